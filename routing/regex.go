package routing

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// regex is a regular expression of RE2's dialect that must match the whole value (VS-MATCH-08, VS-MATCH-25).
type regex struct{ re *regexp.Regexp }

// compileRegex refuses what RE2 refuses. The pattern is parsed alone first, so that "a)(b" is not rescued by the
// group around it.
func compileRegex(pattern string) (*regex, error) {
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		var e *syntax.Error
		if errors.As(err, &e) {
			return nil, errors.New(string(e.Code))
		}
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, err
	}
	return &regex{re}, nil
}

// matches says whether the whole of s matches. RE2 reads UTF-8: a byte that is none is matched by no character, not
// even by a dot, so a value that holds one never matches as a whole.
func (x *regex) matches(s string) bool { return utf8.ValidString(s) && x.re.MatchString(s) }

// CheckRegex says why a pattern cannot be used in a rule, or nil.
func CheckRegex(pattern string) error {
	_, err := compileRegex(pattern)
	return err
}
