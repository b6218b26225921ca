package routing

import "strings"

// maxDomain bounds a domain, in bytes: a DNS name has at most 255.
const maxDomain = 255

// hostIndex finds a virtual host by the request's authority, as Envoy does (VS-GW-05): the exact domain, else the
// longest suffix domain, else "*".
type hostIndex struct {
	exact    map[string]int32
	suffixes []suffixDomains // longest first
	any      int32           // the virtual host of "*", or -1
}

// suffixDomains are the domains "*suffix" whose suffixes have one length.
type suffixDomains struct {
	length int
	hosts  map[string]int32
}

// find returns the index of the virtual host for an authority, or -1.
//
//	authority          looked up
//	Shop.Example.com   shop.example.com
//	a.test:8443        a.test            the port is ignored (VS-GW-04)
//	[::1]:80           [::1]
//	a.test.            a.test.           a trailing dot is not (GW-HCM-09)
func (x *hostIndex) find(authority string) int {
	host := Host(authority)
	// No domain is longer than maxDomain, so only the last bytes of a longer host can matter.
	var buf [maxDomain]byte
	tail := host
	if len(tail) > maxDomain {
		tail = tail[len(tail)-maxDomain:]
	}
	for i := 0; i < len(tail); i++ {
		buf[i] = lower(tail[i])
	}
	if len(host) <= maxDomain {
		if i, ok := x.exact[string(buf[:len(tail)])]; ok {
			return int(i)
		}
	}
	for i := range x.suffixes {
		s := &x.suffixes[i]
		if s.length >= len(host) { // at least one byte must stand for the "*"
			continue
		}
		if i, ok := s.hosts[string(buf[len(tail)-s.length:len(tail)])]; ok {
			return int(i)
		}
	}
	return int(x.any)
}

// Host is the authority without its port, as it is compared with domains but for the case. A colon inside the brackets
// of an IPv6 address starts no port (Envoy: HeaderUtility::getPortStart).
func Host(authority string) string {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.LastIndexByte(authority, ']') > colon {
		return authority
	}
	return authority[:colon]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
