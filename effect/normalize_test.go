package effect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
)

// GW-NORM-01: what the connection manager makes of a path before any rule is asked, at each of Istio's levels.
func TestNormalizePath(t *testing.T) {
	for _, c := range []struct {
		sentence, path string
		none, base, merge, decode/* "" is 400 */ string
	}{
		{"a plain path stays", "/a/b?c=d", "/a/b?c=d", "/a/b?c=d", "/a/b?c=d", "/a/b?c=d"},
		{"slashes are merged from the third level on, the query's never", "//a///b//?c=//", "//a///b//?c=//", "//a///b//?c=//", "/a/b/?c=//", "/a/b/?c=//"},
		{"a path of slashes alone keeps two", "///", "///", "///", "//", "//"},
		{"dot segments are resolved", "/a/./b/../c/.", "/a/./b/../c/.", "/a/c/", "/a/c/", "/a/c/"},
		{"... also above the root, and written as escapes", "/../a/%2e%2E/.%2e/b", "/../a/%2e%2E/.%2e/b", "/b", "/b", "/b"},
		{"a dot segment goes one slash up, of several too", "/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b"},
		{"three dots are a name, and so are dots in one", "/.../a.b/..c/d..", "/.../a.b/..c/d..", "/.../a.b/..c/d..", "/.../a.b/..c/d..", "/.../a.b/..c/d.."},
		{"dot segments may have parameters, from Envoy 1.39 on", "/a/..;x=1/b/.;y", "/a/..;x=1/b/.;y", "/b/", "/b/", "/b/"},
		{"a name with parameters stays", "/a;x/b", "/a;x/b", "/a;x/b", "/a;x/b", "/a;x/b"},
		{"letters, digits and -._~ are decoded, others stay as they are written", "/%61%5a%30%2d%2E%5F%7e%41%2b%c3%BC", "/%61%5a%30%2d%2E%5F%7e%41%2b%c3%BC", "/aZ0-._~A%2b%c3%BC", "/aZ0-._~A%2b%c3%BC", "/aZ0-._~A%2b%c3%BC"},
		{"escaped slashes are decoded at the last level alone", "/a%2Fb%5cc%2f%2Fd", "/a%2Fb%5cc%2f%2Fd", "/a%2Fb%5cc%2f%2Fd", "/a%2Fb%5cc%2f%2Fd", "/a/b/c/d"},
		{"... and then they part segments", "/a/b%2F..%2Fc", "/a/b%2F..%2Fc", "/a/b%2F..%2Fc", "/a/b%2F..%2Fc", "/a/c"},
		{"a backslash is a slash", `/a\b\..\c`, `/a\b\..\c`, "/a/c", "/a/c", "/a/c"},
		{"a percent sign that begins no escape stays", "/a%/b%2/%zz", "/a%/b%2/%zz", "/a%/b%2/%zz", "/a%/b%2/%zz", "/a%/b%2/%zz"},
		{"bytes that a path may not hold are escaped", "/a|b\"c<>^`{}\xfc", "/a|b\"c<>^`{}\xfc", "/a%7Cb%22c%3C%3E%5E%60%7B%7D%FC", "/a%7Cb%22c%3C%3E%5E%60%7B%7D%FC", "/a%7Cb%22c%3C%3E%5E%60%7B%7D%FC"},
		{"an escaped zero byte is refused", "/a%00", "/a%00", "", "", ""},
		{"a query is never touched", "/a?b=/../%61", "/a?b=/../%61", "/a?b=/../%61", "/a?b=/../%61", "/a?b=/../%61"},
		{"what follows a # is cut off", "/a/../b#c?d", "/a/../b", "/b", "/b", "/b"},
		{"a path that begins with no slash gets one", "a/b", "a/b", "/a/b", "/a/b", "/a/b"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			for level, want := range map[effect.PathNormalization]string{
				effect.NormalizeNone: c.none, effect.NormalizeBase: c.base, effect.NormalizeMergeSlashes: c.merge, effect.NormalizeDecodeAndMergeSlashes: c.decode,
			} {
				got, action := effect.Paths{Level: level}.Normalize(c.path, version.Of(version.Newest))
				assert.Equal(t, want, got, level)
				assert.Equal(t, want != "", action == effect.PathTaken, level)
			}
		})
	}
}

// Receive is what filters and router see: names in lower case, one entry for headers of which Envoy keeps one.
func TestReceive(t *testing.T) {
	in, refusal := effect.Intake{}.Receive(effect.Request{Method: "GET", Path: "/a/../b", Headers: effect.Headers{
		"X-Many": {"a", " b "}, "x-many": {"c"}, "User-Agent": {"x", "", "y"}, "Accept": {"", "z"}, "Cookie": {"a=1", "b=2"},
	}})
	assert.Nil(t, refusal)
	assert.Equal(t, "/b", in.Path)
	for _, name := range effect.FromProxy[:4] {
		assert.NotEmpty(t, in.Headers[name], name)
		delete(in.Headers, name)
	}
	assert.Equal(t, effect.Headers{"x-many": {"a", "b", "c"}, "user-agent": {"x,y"}, "accept": {"z"}, "cookie": {"a=1", "b=2"}}, in.Headers)
	_, refusal = effect.Intake{}.Receive(effect.Request{Method: "GET", Path: "/%00"})
	assert.Equal(t, &effect.Refusal{Status: 400}, refusal)
}
