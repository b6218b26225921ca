package gateway

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The forms of names that Istio allows. Istio's labels of DNS may have capitals, unlike Kubernetes'.
var (
	dnsLabel      = regexp.MustCompile(`^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	wildcardLabel = regexp.MustCompile(`^(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$`)
	token         = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9a-zA-Z]+$")
	labelName     = regexp.MustCompile(`^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
	labelPrefix   = regexp.MustCompile(`^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*$`)
)

// The longest names, in bytes.
const (
	maxLabel       = 63
	maxDomain      = 255
	maxLabelPrefix = 253
)

// isLabel is one label of a DNS name: the name of a namespace, a subset, a port.
func isLabel(s string) bool { return len(s) <= maxLabel && dnsLabel.MatchString(s) }

// isToken is the name of a header.
func isToken(s string) bool { return token.MatchString(s) }

// isFQDN is a name of DNS labels, the last of which is not a number. One dot may end it.
func isFQDN(s string) bool { return s != "" && len(s) <= maxDomain && areLabels(s) }

// isWildcardDomain is a name whose first label may be, or begin with, a star. A single label may be a number.
//
//	foo.com, *.foo.com, *-a.foo.com, *, 123   yes
//	foo.*.com, 1.2.3.4, .foo.com              no
func isWildcardDomain(s string) bool {
	first, rest, more := strings.Cut(s, ".")
	if len(s) > maxDomain || len(first) > maxLabel || !wildcardLabel.MatchString(first) {
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
		if !isLabel(l) && (i != last || l != "") {
			return false
		}
	}
	return true
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isSubnet is an address, or a range of them such as 10.0.0.0/8.
func isSubnet(s string) bool {
	if strings.Count(s, "/") != 1 {
		return isAddress(s)
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// isLabelKey and isLabelValue are those of the labels of an object, as Istio checks them: a value may have any length.
func isLabelKey(s string) bool {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		if i > maxLabelPrefix || !labelPrefix.MatchString(s[:i]) {
			return false
		}
		s = s[i+1:]
	}
	return len(s) <= maxLabel && labelName.MatchString(s)
}

func isLabelValue(s string) bool { return s == "" || labelName.MatchString(s) }
