package routing

import (
	"cmp"
	"slices"
	"strings"
)

// maxDomain bounds a domain, in bytes: a DNS name has at most 255.
const maxDomain = 255

// hostIndex finds a virtual host by the request's authority, as Envoy does (VS-GW-05): the exact domain, else the
// longest suffix domain, else "*". Domains stand in one table by their hash; suffixes are looked up once for each length
// that they have, longest first, which is at most maxDomain times, however many there are.
type hostIndex struct {
	domains rows[domain]
	slots   []int32 // numbers of domains plus 1, by hash
	lengths []int32 // of suffixes, longest first
	any     int32   // the virtual host of "*", or -1
}

// domain is an exact domain, or "*" and text.
type domain struct {
	text   string
	suffix bool
	host   int32
}

// find returns the index of the virtual host for an authority, or -1.
//
//	authority          looked up
//	Shop.Example.com   shop.example.com
//	a.test:8443        a.test            the port is ignored (VS-GW-04)
//	[::1]:80           [::1]
//	a.test.            a.test.           a trailing dot is not (GW-HCM-09)
func (hi *hostIndex) find(authority string, w *work) int32 {
	host := Host(authority)
	if len(host) <= maxDomain {
		if d := hi.lookUp(host, false, w); d >= 0 {
			return hi.domains.at(d).host
		}
	}
	for _, n := range hi.lengths {
		if int(n) >= len(host) { // at least one byte must stand for the "*"
			continue
		}
		if d := hi.lookUp(host[len(host)-int(n):], true, w); d >= 0 {
			return hi.domains.at(d).host
		}
	}
	return hi.any
}

// lookUp returns the number of a domain, or -1.
func (hi *hostIndex) lookUp(text string, suffix bool, w *work) int32 {
	w.key()
	w.readBytes(len(text))
	mask := uint64(len(hi.slots) - 1)
	for i := hashDomain(text, suffix) & mask; ; i = (i + 1) & mask {
		w.probe()
		n := hi.slots[i] - 1
		if n < 0 {
			return n
		}
		if d := hi.domains.at(n); d.suffix == suffix && len(d.text) == len(text) && equalFold(d.text, text) {
			return n
		}
	}
}

// add enters a domain; false says that it is there already.
func (hi *hostIndex) add(text string, suffix bool, host int32) bool {
	if hi.lookUp(text, suffix, &work{}) >= 0 {
		return false
	}
	if 2*int(hi.domains.count) >= len(hi.slots) {
		hi.slots = make([]int32, 2*len(hi.slots))
		for n := range hi.domains.count {
			hi.enter(n)
		}
	}
	hi.domains.add(domain{text, suffix, host})
	hi.enter(hi.domains.count - 1)
	if suffix {
		if i, known := slices.BinarySearchFunc(hi.lengths, int32(len(text)), func(a, b int32) int { return cmp.Compare(b, a) }); !known {
			hi.lengths = slices.Insert(hi.lengths, i, int32(len(text)))
		}
	}
	return true
}

func (hi *hostIndex) enter(n int32) {
	mask := uint64(len(hi.slots) - 1)
	i := hashDomain(hi.domains.at(n).text, hi.domains.at(n).suffix) & mask
	for hi.slots[i] != 0 {
		i = (i + 1) & mask
	}
	hi.slots[i] = n + 1
}

func hashDomain(text string, suffix bool) uint64 {
	h := hashFold(text)
	if suffix {
		h = ^h
	}
	return h * multiplier >> 32
}

// Host is the authority without its port, as it is compared with domains but for the case. A colon inside the brackets
// of an IPv6 address starts no port (Envoy: HeaderUtility::getPortStart).
func Host(authority string) string {
	if indexEither(authority, ':', ':') == len(authority) {
		return authority
	}
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.LastIndexByte(authority, ']') > colon {
		return authority
	}
	return authority[:colon]
}
