package regex_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

func match(t testing.TB, pattern, value string) bool {
	p, err := regex.Compile(pattern)
	require.NoError(t, err, pattern)
	var m routing.Machine
	return p.Match(&m, value)
}

func TestTheWholeValueMustMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"/foo", "/foo", true}, {"/foo", "/foo/bar", false}, {"foo", "/foo", false},
		{"a|ab", "ab", true}, {"a*?", "aaa", true}, {"", "", true}, {"", "a", false},
		{"(?i)/orders/.*", "/ORDERS/x", true}, {"(?i)k", "\u212a", true}, {"k", "\u212a", false},
		{`\d{1,3}`, "123", true}, {`\d{1,3}`, "1234", false}, {`[^a].*`, "ba", true}, {`[^a].*`, "", false},
		{`^(.*?;)?(user=jason)(;.*)?$`, "id=1;user=jason;x", true}, {`^(.*?;)?(user=jason)(;.*)?$`, "user=jason2", false},
		{`.`, "\n", false}, {`(?s).`, "\n", true}, {`(?m)^a$\n^b$`, "a\nb", true}, {`a$`, "a\n", false},
		{`\bfoo\b`, "foo", true}, {`\Boo`, "oo", false}, {`a\b.*`, "a b", true}, {`a\b.*`, "ab", false},
		{`(a*)*`, "aaaa", true}, {`(a|b)*abb`, "ababb", true}, {`\pL+`, "\u00e9\u4e2d", true}, {`\pL+`, "1", false},
		{`[[:alpha:]]+`, "abC", true}, {`\x{10FFFF}`, "\U0010FFFF", true}, {`\Qa.b\E`, "a.b", true}, {`\Qa.b\E`, "axb", false},
	} {
		assert.Equal(t, c.want, match(t, c.pattern, c.value), "%q on %q", c.pattern, c.value)
	}
}

// What RE2 says of bytes that are no UTF-8: e2e holds the same table against a real Envoy.
func TestInvalidUTF8(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{".", "\xff", false}, {".*", "a\xffb", false}, {"[^a]", "\xff", false}, {"[^a]", "\u00e9", true},
		{".", "\xc3", false}, {"..", "\xc3\xa9", false}, {".", "\xed\xa0\x80", true}, {".", "\xe0\x80\x80", true},
		{`\x{e9}`, "\xe9", false}, {`[\x{80}-\x{7ff}]`, "\xed\xa0\x80", false},
	} {
		assert.Equal(t, c.want, match(t, c.pattern, c.value), "%q on %q", c.pattern, c.value)
	}
}

func TestWhatIsNoExpressionIsRefused(t *testing.T) {
	for _, pattern := range []string{"(", "*", "a)", "[a", `\C`, "(?=a)", `\1`, "a{1001}", "a**", `\p{Nope}`} {
		_, err := regex.Compile(pattern)
		assert.Error(t, err, pattern)
	}
	_, err := regex.Compile(strings.Repeat(`\pL{100}`, 100))
	assert.ErrorContains(t, err, "pattern too large")
}

func TestPatternsMadeToExplodeDoNot(t *testing.T) {
	value := strings.Repeat("a", 60_000)
	for _, pattern := range []string{`(a+)+b`, `(a|a)*b`, `(a*)*b`, `.*.*.*.*b`, `(.?){500}b`} {
		assert.False(t, match(t, pattern, value), pattern)
	}
}

func TestAMatchAllocatesNothing(t *testing.T) {
	p, err := regex.Compile(`(?i)/api/v[0-9]+/(users|orders)/[^/]+`)
	require.NoError(t, err)
	var m routing.Machine
	value := "/api/v2/users/jason"
	require.True(t, p.Match(&m, value))
	assert.Zero(t, testing.AllocsPerRun(100, func() { p.Match(&m, value) }))
}

// FuzzMatch holds the programs against Go's regexp, which agrees with RE2 on all that is UTF-8.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{`a(b|c)*d`, "abcbd"}, {`(?i)[k-m]+`, "KLM"}, {`\bx\B.*`, "xy"}, {`[^\x{100}-\x{200}]`, "\u0150"}, {`(?m)^$`, "\n"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if len(pattern) > 200 || len(value) > 1000 || !utf8.ValidString(pattern) || !utf8.ValidString(value) {
			return
		}
		p, err := regex.Compile(pattern)
		if err != nil {
			return
		}
		want, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil {
			return
		}
		var m routing.Machine
		if got := p.Match(&m, value); got != want.MatchString(value) {
			t.Errorf("%q on %q: %v", pattern, value, got)
		}
	})
}
