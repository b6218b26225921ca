package regex_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

func match(t testing.TB, pattern, value string, encoding regex.Encoding) bool {
	p, err := regex.Compile(pattern, encoding)
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
		{"(?i)/orders/.*", "/ORDERS/x", true}, {"k", "\u212a", false},
		{`\d{1,3}`, "123", true}, {`\d{1,3}`, "1234", false}, {`[^a].*`, "ba", true}, {`[^a].*`, "", false},
		{`^(.*?;)?(user=jason)(;.*)?$`, "id=1;user=jason;x", true}, {`^(.*?;)?(user=jason)(;.*)?$`, "user=jason2", false},
		{`.`, "\n", false}, {`(?s).`, "\n", true}, {`(?m)^a$\n^b$`, "a\nb", true}, {`a$`, "a\n", false},
		{`\bfoo\b`, "foo", true}, {`\Boo`, "oo", false}, {`a\b.*`, "a b", true}, {`a\b.*`, "ab", false},
		{`(a*)*`, "aaaa", true}, {`(a|b)*abb`, "ababb", true}, {`\pL+`, "1", false},
		{`[[:alpha:]]+`, "abC", true}, {`\Qa.b\E`, "a.b", true}, {`\Qa.b\E`, "axb", false},
	} {
		assert.Equal(t, c.want, match(t, c.pattern, c.value, regex.Latin1), "%q on %q", c.pattern, c.value)
		assert.Equal(t, c.want, match(t, c.pattern, c.value, regex.UTF8), "%q on %q", c.pattern, c.value)
	}
}

// From 1.39 on, Envoy's RE2 reads bytes: e2e holds more of this against real ones.
func TestLatin1(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{".", "\xff", true}, {".*", "a\xffb", true}, {".", "\u00e9", false}, {"..", "\u00e9", true}, {"\u00e9", "\u00e9", true},
		{"[\u00e9]", "\u00e9", false}, {"[\u00e9]", "\xa9", true}, {`\x{e9}`, "\xe9", true}, {`\x{e9}`, "\u00e9", false}, {"[^a]", "\xc3", true},
		{"\u4e2d+", "\u4e2d", true}, {`\Q\x{100}\E`, `\x{100}`, true},
	} {
		assert.Equal(t, c.want, match(t, c.pattern, c.value, regex.Latin1), "%q on %q", c.pattern, c.value)
	}
}

// Before 1.39 it reads UTF-8, and a byte that is none is matched by nothing.
func TestUTF8(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{".", "\xff", false}, {".*", "a\xffb", false}, {"[^a]", "\xff", false}, {"[^a]", "\u00e9", true}, {"(?i)k", "\u212a", true}, {"(?i)\u00c9", "\u00e9", true},
		{".", "\xc3", false}, {"..", "\xc3\xa9", false}, {".", "\xed\xa0\x80", true}, {".", "\xe0\x80\x80", true}, {`\pL+`, "\u00e9\u4e2d", true},
		{`\x{e9}`, "\xe9", false}, {`[\x{80}-\x{7ff}]`, "\xed\xa0\x80", false}, {`\x{10FFFF}`, "\U0010FFFF", true},
	} {
		assert.Equal(t, c.want, match(t, c.pattern, c.value, regex.UTF8), "%q on %q", c.pattern, c.value)
	}
}

func TestWhatIsNoExpressionIsRefused(t *testing.T) {
	for _, pattern := range []string{"(", "*", "a)", "[a", `\C`, "(?=a)", `\1`, "a{1001}", "a**", `\p{Nope}`, `\x{100}`, `[\x{100}-\x{200}]`} {
		_, err := regex.Compile(pattern, regex.Latin1)
		assert.Error(t, err, pattern)
	}
	_, err := regex.Compile(strings.Repeat(`(\pL{10}){100}`, 1000), regex.Latin1)
	assert.ErrorContains(t, err, "pattern too large")
}

func TestPatternsMadeToExplodeDoNot(t *testing.T) {
	value := strings.Repeat("a", 60_000)
	for _, pattern := range []string{`(a+)+b`, `(a|a)*b`, `(a*)*b`, `.*.*.*.*b`, `(.?){500}b`} {
		assert.False(t, match(t, pattern, value, regex.Latin1), pattern)
	}
}

func TestAMatchAllocatesNothing(t *testing.T) {
	p, err := regex.Compile(`(?i)/api/v[0-9]+/(users|orders)/[^/]+`, regex.Latin1)
	require.NoError(t, err)
	var m routing.Machine
	value := "/api/v2/users/jason"
	require.True(t, p.Match(&m, value))
	assert.Zero(t, testing.AllocsPerRun(100, func() { p.Match(&m, value) }))
}

// FuzzMatch holds the programs against Go's regexp, where the two agree: on UTF-8, and on ASCII in Latin-1.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{`a(b|c)*d`, "abcbd"}, {`(?i)[k-m]+`, "KLM"}, {`\bx\B.*`, "xy"}, {`[^\x{100}-\x{200}]`, "\u0150"}, {`(?m)^$`, "\n"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if len(pattern) > 200 || len(value) > 1000 || !utf8.ValidString(pattern) || !utf8.ValidString(value) {
			return
		}
		want, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil {
			return
		}
		ascii := !strings.ContainsFunc(pattern+value, func(r rune) bool { return r > unicode.MaxASCII })
		for _, encoding := range []regex.Encoding{regex.UTF8, regex.Latin1} {
			p, err := regex.Compile(pattern, encoding)
			if err != nil || encoding == regex.Latin1 && !ascii {
				continue
			}
			var m routing.Machine
			if got := p.Match(&m, value); got != want.MatchString(value) {
				t.Errorf("%q on %q, encoding %d: %v", pattern, value, encoding, got)
			}
		}
	})
}
