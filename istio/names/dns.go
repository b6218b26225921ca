package names

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The forms of names that Istio allows. DNS labels may have capital letters in Istio, unlike in Kubernetes.
var (
	dnsLabel      = regexp.MustCompile(`^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	wildcardLabel = regexp.MustCompile(`^(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$`)
	token         = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9a-zA-Z]+$")
	labelName     = regexp.MustCompile(`^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
	labelPrefix   = regexp.MustCompile(`^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*$`)
)

// The longest names, in bytes; MaxDomain is for a whole DNS name.
const (
	maxLabel       = 63
	MaxDomain      = 255
	maxLabelPrefix = 253
)

// IsLabel reports whether s is a DNS label, as the names of namespaces, subsets and ports are.
func IsLabel(s string) bool { return len(s) <= maxLabel && dnsLabel.MatchString(s) }

// IsToken reports whether s can be the name of a header.
func IsToken(s string) bool { return token.MatchString(s) }

// IsFQDN reports whether s is a DNS name: labels separated by dots, the last of which is not a number. It may end with
// a dot.
func IsFQDN(s string) bool { return s != "" && len(s) <= MaxDomain && areLabels(s) }

// IsWildcardDomain reports whether s is a DNS name whose first label may be, or begin with, a star. A single label may
// be a number.
//
//	foo.com, *.foo.com, *-a.foo.com, *, 123   true
//	foo.*.com, 1.2.3.4, .foo.com              false
func IsWildcardDomain(s string) bool {
	first, rest, more := strings.Cut(s, ".")
	if len(s) > MaxDomain || len(first) > maxLabel || !wildcardLabel.MatchString(first) {
		return false
	}
	return !more || areLabels(rest)
}

func areLabels(s string) bool {
	labels := strings.Split(s, ".")
	last := len(labels) - 1
	if _, err := strconv.Atoi(labels[last]); err == nil {
		return false
	}
	for i, l := range labels {
		if !IsLabel(l) && (i != last || l != "") {
			return false
		}
	}
	return true
}

// IsAddress reports whether s is an IP address.
func IsAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// IsSubnet reports whether s is an IP address or a range of addresses such as 10.0.0.0/8.
func IsSubnet(s string) bool {
	if strings.Count(s, "/") != 1 {
		return IsAddress(s)
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// IsLabelKey reports whether Istio accepts s as the key of a label of an object.
func IsLabelKey(s string) bool {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		if i > maxLabelPrefix || !labelPrefix.MatchString(s[:i]) {
			return false
		}
		s = s[i+1:]
	}
	return len(s) <= maxLabel && labelName.MatchString(s)
}

// IsLabelValue reports whether Istio accepts s as the value of a label of an object. Unlike in Kubernetes, its length
// is not limited.
func IsLabelValue(s string) bool { return s == "" || labelName.MatchString(s) }
