package routing

import "strings"

// matchKind is the way in which a condition compares a value.
type matchKind uint8

const (
	matchAny   matchKind = iota // no condition; for headers and query parameters: presence
	matchExact                  // the whole value
	matchPrefix
	matchSeparated // a prefix that ends at a "/" or at the end of the path
	matchRegex     // the whole value
)

// stringCondition compares one value, byte by byte.
type stringCondition struct {
	kind  matchKind
	value string
	regex *Program
}

func (c *stringCondition) matches(s string, m *Machine) bool {
	switch c.kind {
	case matchExact:
		return s == c.value
	case matchPrefix:
		return strings.HasPrefix(s, c.value)
	case matchRegex:
		return c.regex.Match(m, s)
	default:
		return true
	}
}

// pathCondition compares the path without its query.
//
//	prefix "/foo"      takes /foo, /foo/bar and /foobar        (VS-MATCH-05)
//	separated "/foo"   takes /foo and /foo/bar                 (VS-MATCH-06)
//	exact "/foo"       takes /foo, not /foo/                   (VS-MATCH-04)
//	regex "/foo"       takes /foo, not /foo/bar                (VS-MATCH-08)
type pathCondition struct {
	stringCondition
	ignoreCase bool
}

func (c *pathCondition) matches(path string, m *Machine) bool {
	if c.kind == matchSeparated {
		if len(path) > len(c.value) && path[len(c.value)] != '/' {
			return false
		}
		return c.hasPrefix(path)
	}
	if !c.ignoreCase || c.kind == matchRegex {
		return c.stringCondition.matches(path, m)
	}
	switch c.kind {
	case matchExact:
		return len(path) == len(c.value) && equalFold(path, c.value)
	case matchPrefix:
		return c.hasPrefix(path)
	default:
		return true
	}
}

func (c *pathCondition) hasPrefix(path string) bool {
	if len(path) < len(c.value) {
		return false
	}
	if c.ignoreCase {
		return equalFold(path[:len(c.value)], c.value)
	}
	return path[:len(c.value)] == c.value
}

// equalFold compares two strings of equal length without regard to the case of ASCII letters.
func equalFold(a, b string) bool {
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
