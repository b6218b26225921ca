package routing

import (
	"cmp"
	"slices"
	"strings"
)

// maxDomain bounds a domain, in bytes: a DNS name has at most 255.
const maxDomain = 255

// hostIndex finds a virtual host by the request's authority, as Envoy does (VS-GW-05): the exact domain, else the
// longest suffix domain, else "*". All domains are in one hash table. A suffix is looked up for each length that the
// suffix domains have, longest first: at most maxDomain times, however many domains there are.
type hostIndex struct {
	domains rows[domain]
	slots   []int32 // a hash table: indexes into domains plus 1, or 0
	lengths []int32 // the lengths of suffixes, longest first
	any     int32   // the virtual host of "*", or -1
}

// domain is an exact domain or, with suffix, "*" followed by text.
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
//	a.test.            a.test.           a trailing dot is not ignored (GW-HCM-09)
//
// In range: n is less than the length of the host.
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

// lookUp returns the index of a domain in domains, or -1.
//
// In range: the number of slots is a power of two, and mask is one less.
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

// add enters a domain; false means that it has been entered before.
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

// Host returns the authority without its port. Domains are compared with it without regard to case. A colon inside the
// brackets of an IPv6 address does not begin a port (Envoy: HeaderUtility::getPortStart).
//
// In range: colon is an index in authority, or the function has returned.
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
