package gateway

import (
	"regexp"
	"strings"
)

// The forms of names that Istio and Kubernetes allow.
var (
	dnsLabel      = regexp.MustCompile(`^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	wildcardLabel = regexp.MustCompile(`^(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$`)
	token         = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9a-zA-Z]+$")
	labelName     = regexp.MustCompile(`^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$`)
	digits        = regexp.MustCompile(`^[0-9]+$`)
)

// isLabel is a DNS label in lower case: the name of a namespace, a subset, a port.
func isLabel(s string) bool { return len(s) <= 63 && namespaceName.MatchString(s) }

// isToken is the name of a header.
func isToken(s string) bool { return token.MatchString(s) }

// isFQDN is a name of DNS labels, the last of which is not a number.
func isFQDN(s string) bool {
	return isDomain(s) && eachLabel(s, func(l string) bool { return dnsLabel.MatchString(l) })
}

// isWildcardDomain is a name whose first label may be, or begin with, a star.
func isWildcardDomain(s string) bool {
	first, rest, more := strings.Cut(s, ".")
	if !isDomain(s) || len(first) > 63 || !wildcardLabel.MatchString(first) {
		return false
	}
	return !more || eachLabel(rest, func(l string) bool { return dnsLabel.MatchString(l) })
}

func isDomain(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	s = strings.TrimSuffix(s, ".")
	return !digits.MatchString(s[strings.LastIndexByte(s, '.')+1:])
}

// eachLabel holds for every label; the last may be empty.
func eachLabel(s string, holds func(string) bool) bool {
	labels := strings.Split(s, ".")
	for i, l := range labels {
		if i > 0 && i == len(labels)-1 && l == "" {
			continue
		}
		if len(l) > 63 || !holds(l) {
			return false
		}
	}
	return true
}

// isLabelKey and isLabelValue are Kubernetes' labels.
func isLabelKey(s string) bool {
	if prefix, name, ok := strings.Cut(s, "/"); ok {
		if !isFQDN(prefix) {
			return false
		}
		s = name
	}
	return s != "" && len(s) <= 63 && labelName.MatchString(s)
}

func isLabelValue(s string) bool { return s == "" || len(s) <= 63 && labelName.MatchString(s) }
