package suite

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// headerMatcher compiles a matcher of Envoy for the value of a header, which is nil where the header is absent. An absent
// header meets no condition on a value, inverted or not, unless it is treated as empty (Envoy: http/header_utility.cc).
func headerMatcher(m *route.HeaderMatcher) (func(value *string) bool, error) {
	invert := m.GetInvertMatch()
	if p, ok := m.GetHeaderMatchSpecifier().(*route.HeaderMatcher_PresentMatch); ok {
		return func(value *string) bool {
			if value == nil && m.GetTreatMissingHeaderAsEmpty() {
				value = new(string)
			}
			return (value != nil) == (p.PresentMatch != invert)
		}, nil
	}
	if m.GetHeaderMatchSpecifier() == nil {
		return func(value *string) bool { return (value != nil) != invert }, nil
	}
	match, err := valueMatcher(m)
	if err != nil {
		return nil, err
	}
	return func(value *string) bool {
		if value == nil {
			if !m.GetTreatMissingHeaderAsEmpty() {
				return false
			}
			value = new(string)
		}
		return match(*value) != invert
	}, nil
}

// valueMatcher compiles the condition of a matcher.
func valueMatcher(m *route.HeaderMatcher) (func(string) bool, error) {
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_StringMatch:
		return stringMatcher(s.StringMatch)
	case *route.HeaderMatcher_RangeMatch:
		return func(value string) bool {
			n, err := strconv.ParseInt(value, 10, 64)
			return err == nil && n >= s.RangeMatch.GetStart() && n < s.RangeMatch.GetEnd()
		}, nil
	// The forms below are deprecated, and still in force: older files have them.
	case *route.HeaderMatcher_ExactMatch:
		return func(value string) bool { return value == s.ExactMatch }, nil //nolint:staticcheck // as above
	case *route.HeaderMatcher_PrefixMatch:
		return func(value string) bool { return strings.HasPrefix(value, s.PrefixMatch) }, nil //nolint:staticcheck // as above
	case *route.HeaderMatcher_SuffixMatch:
		return func(value string) bool { return strings.HasSuffix(value, s.SuffixMatch) }, nil //nolint:staticcheck // as above
	case *route.HeaderMatcher_ContainsMatch:
		return func(value string) bool { return strings.Contains(value, s.ContainsMatch) }, nil //nolint:staticcheck // as above
	case *route.HeaderMatcher_SafeRegexMatch:
		return whole(s.SafeRegexMatch.GetRegex()) //nolint:staticcheck // as above
	default:
		return nil, fmt.Errorf("a condition %T is not known", s)
	}
}

// stringMatcher compiles a matcher of texts.
func stringMatcher(m *matcher.StringMatcher) (func(string) bool, error) {
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower
	}
	compare := func(is func(value, with string) bool, with string) func(string) bool {
		with = fold(with)
		return func(value string) bool { return is(fold(value), with) }
	}
	switch s := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return compare(func(value, with string) bool { return value == with }, s.Exact), nil
	case *matcher.StringMatcher_Prefix:
		return compare(strings.HasPrefix, s.Prefix), nil
	case *matcher.StringMatcher_Suffix:
		return compare(strings.HasSuffix, s.Suffix), nil
	case *matcher.StringMatcher_Contains:
		return compare(strings.Contains, s.Contains), nil
	case *matcher.StringMatcher_SafeRegex:
		return whole(s.SafeRegex.GetRegex())
	default:
		return nil, errors.New("string_match has none of exact, prefix, suffix, contains and safe_regex")
	}
}

// whole compiles a regular expression that must match the whole value.
func whole(expression string) (func(string) bool, error) {
	compiled, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		return nil, err
	}
	return compiled.MatchString, nil
}
