package regex_test

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strconv"
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

// matchInTable asks a Table whose rules are a pattern and some others, which makes the pattern one of many: taken apart,
// made into an automaton, alone and with others, and led to by what it needs.
func matchInTable(t testing.TB, pattern, value string, encoding regex.Encoding) bool {
	return inTable(t, pattern, encoding)(value)
}

func inTable(t testing.TB, pattern string, encoding regex.Encoding) func(value string) bool {
	c := regex.NewCollection(encoding)
	config := routing.Config{Version: routing.Version, VirtualHosts: []routing.VirtualHost{{Name: "h", Domains: []string{"*"}}}}
	for _, source := range []string{pattern, "z+1", "z+2", "z+[34]", "z+[45]", "/z-1.*", "/z-2.*"} {
		i, err := c.Add(source, "header")
		require.NoError(t, err)
		config.VirtualHosts[0].Rules = append(config.VirtualHosts[0].Rules, routing.Rule{Outcome: "k", Headers: []routing.HeaderMatch{{Name: "x", StringMatch: routing.StringMatch{Regex: &i}}}})
	}
	c.Write(&config)
	text, err := json.Marshal(&config)
	require.NoError(t, err)
	table, err := routing.Compile(text)
	require.NoError(t, err, "%s", text)
	var r routing.Request
	return func(value string) bool {
		r.Reset()
		r.Set(":authority", "a")
		r.Set(":path", "/")
		r.Set("x", value)
		return table.Decide(&r, routing.Dice{}).Rule == 0
	}
}

// TestTakingAPatternApartChangesNothing asks a table what TestTheWholeValueMustMatch asks a program, and more.
func TestTakingAPatternApartChangesNothing(t *testing.T) {
	for pattern, values := range map[string][]string{
		`/team-7/v[0-9]+/.*`:          {"/team-7/v2/x", "/team-7/v/x", "/team-77/v2/x"},
		`/[a-z]+/item-7(/.*)?`:        {"/a/item-7", "/a/item-7/", "/a/item-77", "/a/item-77/item-7"},
		`(?i)/orders/[0-9]`:           {"/ORDERS/1", "/orders/1", "/orders/x"},
		`^(.*?;)?(user=jason)(;.*)?$`: {"user=jason", "id=1;user=jason;x", "user=jason2"},
		`a^b|^c`:                      {"c", "ab", "ac"},
		`x\bfoo`:                      {"xfoo", "x foo"},
		`(?m)a$\n^b`:                  {"a\nb", "ab"},
		`(ab)+c`:                      {"ababc", "abac", "c"},
		`(|x)yz`:                      {"yz", "xyz", "z"},
		`\x{e9}abc`:                   {"\xe9abc", "\u00e9abc"},
		`.*(foo|bar)baz-qux`:          {"foobaz-qux", "barbaz-qux", "baz-qux"},
	} {
		for _, encoding := range []regex.Encoding{regex.Latin1, regex.UTF8} {
			for _, value := range values {
				assert.Equal(t, match(t, pattern, value, encoding), matchInTable(t, pattern, value, encoding), "%q on %q, encoding %d", pattern, value, encoding)
			}
		}
	}
}

func TestPatternsWithoutABearableAutomatonFallBack(t *testing.T) {
	c := regex.NewCollection(regex.Latin1)
	slow := []string{`(a|b)*a(a|b){20}c`, `.{0,200}x.{0,200}`}
	for _, pattern := range append([]string{"/a/.*", "[a-z]+[0-9]"}, slow...) {
		_, err := c.Add(pattern, "path")
		require.NoError(t, err)
	}
	c.Write(&routing.Config{})
	assert.Equal(t, slow, c.Fallbacks())
}

// A pattern is parsed once in a process, whoever asks for it and however often.
func TestAPatternIsParsedOnce(t *testing.T) {
	regex.Forget()
	const source = "/once/(a|b)+/[0-9]{3}"
	n := regex.Parses(source, func() {
		for range 3 {
			_, err := regex.Compile(source, regex.Latin1)
			require.NoError(t, err)
			regex.IsSlow(source, regex.Latin1)
			regex.Steps(source, regex.Latin1)
			c := regex.NewCollection(regex.Latin1)
			_, err = c.Add(source, "path")
			require.NoError(t, err)
			c.AlwaysRead(0)
			c.Write(&routing.Config{})
		}
	})
	assert.Equal(t, 1, n)
	assert.Equal(t, 1, regex.Parses(source, func() { regex.IsSlow(source, regex.UTF8) }), "each encoding has its own")
}

// What follows a prefix is explored once in a process, for every pattern that has it, and for every configuration. The same
// is true of what patterns have together.
func TestExpressionsAreExploredOnce(t *testing.T) {
	regex.Forget()
	write := func() (programs int) {
		c := regex.NewCollection(regex.Latin1)
		for i := range 100 {
			for _, rest := range []string{"/[0-9]+/.*", "/[a-z]+"} {
				source := "/team-" + strconv.Itoa(i) + rest
				assert.False(t, regex.IsSlow(source, regex.Latin1))
				_, err := c.Add(source, "path")
				require.NoError(t, err)
			}
			_, err := c.Add("/[a-z]+-["+strconv.Itoa(i%10)+"x]["+strconv.Itoa(i/10)+"x]", "path") // no text distinguishes it
			require.NoError(t, err)
		}
		var config routing.Config
		c.AlwaysRead(0)
		c.Write(&config)
		require.NotEmpty(t, config.Sets)
		return len(config.Programs)
	}
	programs := 0
	explored := regex.Explorations(func() { programs = write() })
	assert.GreaterOrEqual(t, explored, programs)
	assert.Less(t, explored, programs+20, "only sets that are too large are tried in vain")
	assert.Zero(t, regex.Explorations(func() { write() }))
}

func TestACheckKeepsNothing(t *testing.T) {
	regex.Forget()
	for range 2 {
		n, err := regex.Check("/a[0-9]", regex.UTF8)
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		_, err = regex.Check("(", regex.UTF8)
		require.EqualError(t, err, "missing closing )")
	}
	assert.Zero(t, regex.Remembered())
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	regex.Forget()
	for i := range 200 {
		_, err := regex.Compile(strconv.Itoa(i)+strings.Repeat("x", 30_000), regex.Latin1)
		require.NoError(t, err)
		require.LessOrEqual(t, regex.Remembered(), regex.MaxRemembered/30_000)
	}
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
			if got := matchInTable(t, pattern, value, encoding); got != want.MatchString(value) {
				t.Errorf("%q on %q, encoding %d, in a table: %v", pattern, value, encoding, got)
			}
		}
	})
}

// TestAnAutomatonTakesWhatItsProgramTakes walks through programs for values that they take, changes some of them in a
// byte, and asks the automaton that was made of the program.
func TestAnAutomatonTakesWhatItsProgramTakes(t *testing.T) {
	dice := rand.New(rand.NewPCG(5, 6))
	for _, pattern := range []string{"/[a-z]+/item-7(/.*)?", "^(.*?;)?(user=jason)(;.*)?$", "(.*,)?gzip(,.*)?", "[^/]+", "(?i)hello|world", "(ab|ac)*d?",
		"a{3,9}b", `\d{4}-\d{2}-\d{2}`, ".*abcabcabd.*", "/v[12]/(users|orders|items)/[0-9a-f]{8}", "", "a", "aaaa", "(aaaa|aaab)*", ".*a.{3}",
		strings.Repeat("long", 100) + "[0-9]*", "[abc]*b[abc]c", "(|x)yz"} {
		for _, encoding := range []regex.Encoding{regex.Latin1, regex.UTF8} {
			p, err := regex.Compile(pattern, encoding)
			require.NoError(t, err)
			table := inTable(t, pattern, encoding)
			var m routing.Machine
			taken := 0
			const values = 1000
			for i := range values {
				value := walk(p, dice)
				if i%2 == 1 && len(value) > 0 {
					at := dice.IntN(len(value))
					value[at] = "abc;/\n0\xff"[dice.IntN(8)]
				}
				want := p.Match(&m, string(value))
				require.Equal(t, want, table(string(value)), "%q on %q, encoding %d", pattern, value, encoding)
				if want {
					taken++
				}
			}
			assert.GreaterOrEqual(t, taken, values/2, pattern)
		}
	}
}

// walk is a value that a program without assertions takes.
func walk(p *routing.Program, dice *rand.Rand) (value []byte) {
	for at := p.Start; ; {
		in := p.Code[at]
		at = in.Out
		switch in.Op {
		case routing.OpMatch:
			return value
		case routing.OpRange:
			value = append(value, in.Lo+byte(dice.IntN(int(in.Hi-in.Lo)+1)))
		case routing.OpSplit:
			if dice.IntN(2) == 0 {
				at = in.Arg
			}
		}
	}
}
