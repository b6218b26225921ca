package effect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// VS-HDR-07: command operators in the values of headers.
func TestFormat(t *testing.T) {
	request := effect.Request{Method: "GET", Scheme: "https", Authority: "a.com:8", Path: "/p?q=1", Headers: effect.Headers{"x-user": {"alice", "bob"}, "x-empty": {""}}}
	for _, c := range []struct{ sentence, value, want string }{
		{"text is text", "a b", "a b"},
		{"two percent signs are one", "100%% of %%REQ%%", "100% of %REQ%"},
		{"a header, its first line", "<%REQ(X-User)%>", "<alice>"},
		{"a header or else another", "%REQ(x-none?X-User)%", "alice"},
		{"an empty header is there", "<%REQ(x-empty?x-user)%>", "<>"},
		{"no more than so many bytes", "%REQ(x-user):3%", "ali"},
		{"pseudo-headers", "%REQ(:METHOD)% %REQ(:SCHEME)% %REQ(:AUTHORITY)% %REQ(:PATH)%", "GET https a.com:8 /p?q=1"},
		{"the protocol", "%PROTOCOL%", "HTTP/1.1"},
		{"a header of the response is not there yet", "a%RESP(x-user)%b", "ab"},
		{"an argument may hold percent signs", "a%START_TIME(%Y/%m/%d)%b", "ab"},
		{"what a proxy alone knows is nothing here", "a%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%b%UPSTREAM_HOST%c", "abc"},
		{"what is no operator stays", "50% off, %lower%, %OPEN(", "50% off, %lower%, %OPEN("},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := plan.Rule{Route: &plan.RouteAction{Destinations: []plan.Destination{{}}},
				RequestHeaders: plan.HeaderOperations{Add: []plan.HeaderAddition{{Name: "Out", Value: c.value, Overwrite: true}}}}
			got := effect.Of(&r).Upstream(0, request).Headers
			assert.Equal(t, c.want, got["out"][0])
			assert.NotContains(t, request.Headers, "out", "the request itself does not change")
		})
	}
}

// VS-HDR-07: operators in responses.
func TestFormatResponse(t *testing.T) {
	add := func(value string) effect.Headers {
		r := plan.Rule{Redirect: &plan.Redirect{}, ResponseHeaders: plan.HeaderOperations{Remove: []string{"X-Gone"}, Add: []plan.HeaderAddition{{Name: "Out", Value: value}}}}
		return effect.Of(&r).Response(-1, effect.Request{Path: "/p"}, effect.Headers{"x-a": {"1", "2"}, "x-gone": {"3"}})
	}
	assert.Equal(t, effect.Headers{"x-a": {"1", "2"}, "out": {"1 1 /p"}}, add("%RESP(X-A)% %RESP(x-none?x-a)% %REQ(:PATH)%"))
	assert.Equal(t, effect.Headers{"x-a": {"1", "2"}}, add("%RESP(x-gone)%"), "what the same level removes is gone already (VS-HDR-08)")
	assert.Equal(t, []string{"1"}, add("%RESP(x-a):9%")["out"])
}

// VS-RED-02 to VS-RED-07, VS-DR-03: where a client is sent.
func TestLocation(t *testing.T) {
	for _, c := range []struct {
		sentence string
		redirect plan.Redirect
		in       effect.Request
		want     string
	}{
		{"nothing new is where the request went", plan.Redirect{}, effect.Request{Scheme: "http", Authority: "a:81", Path: "/p?q"}, "http://a:81/p?q"},
		{"a path without a slash gets one", plan.Redirect{Path: "x"}, effect.Request{Scheme: "http", Authority: "a", Path: "/p?q"}, "http://a/x?q"},
		{"a new port takes the place of any other", plan.Redirect{Port: 9}, effect.Request{Scheme: "http", Authority: "a:81", Path: "/"}, "http://a:9/"},
		{"a new host has no port but the new one", plan.Redirect{Host: "b", Port: 9}, effect.Request{Scheme: "http", Authority: "a:81", Path: "/"}, "http://b:9/"},
		{"from https to http, 443 goes", plan.Redirect{Scheme: "http"}, effect.Request{Scheme: "https", TLS: true, Authority: "a:443", Path: "/"}, "http://a/"},
		{"from https to http, 80 stays", plan.Redirect{Scheme: "http"}, effect.Request{Scheme: "https", TLS: true, Authority: "a:80", Path: "/"}, "http://a:80/"},
		{"to the same scheme, a default port stays", plan.Redirect{Scheme: "http"}, effect.Request{Scheme: "http", Authority: "a:80", Path: "/"}, "http://a:80/"},
		{"the connection counts, not what the request says of itself", plan.Redirect{}, effect.Request{Scheme: "http", TLS: true, Authority: "a:443", Path: "/"}, "http://a/"},
		{"an address in brackets keeps its colons", plan.Redirect{Port: 9}, effect.Request{Scheme: "http", Authority: "[::1]", Path: "/"}, "http://[::1]:9/"},
		{"an empty host stays empty", plan.Redirect{Scheme: "https"}, effect.Request{Scheme: "http", Path: "/"}, "https:///"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			assert.Equal(t, c.want, effect.Of(&plan.Rule{Redirect: &c.redirect}).Location(c.in))
		})
	}
	assert.Equal(t, "https://a:80/p?q", effect.TLSLocation(effect.Request{Authority: "a:80", Path: "/p?q"}), "GW-REDIR-01")
}

// VS-RW-01 to VS-RW-05: rewritten paths.
func TestRewrite(t *testing.T) {
	path := func(kind plan.MatchKind, value string) plan.Match {
		return plan.Match{Path: plan.PathMatch{Kind: kind, Value: value}}
	}
	for _, c := range []struct {
		sentence     string
		match        plan.Match
		prefix       string
		regex        *plan.RegexRewrite
		before, want string
	}{
		{"a prefix gives way", path(plan.Prefix, "/foo"), "/x", nil, "/foobar?q", "/xbar?q"},
		{"a segment gives way", path(plan.Separated, "/foo"), "/x/", nil, "/foo/bar", "/x//bar"},
		{"the whole of an exact path does", path(plan.Exact, "/foo"), "/x", nil, "/foo?q=/foo", "/x?q=/foo"},
		{"and the whole of a regex's", path(plan.Regex, "/f.*"), "/x", nil, "/foo/bar?q", "/x?q"},
		{"the empty prefix takes nothing away", path(plan.Prefix, ""), "/x", nil, "/foo", "/x/foo"},
		{"no rewrite is none", path(plan.Prefix, "/foo"), "", nil, "/foo", "/foo"},
		{"a regex finds all, wherever they are", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: "o", Substitution: "0"}, "/foo/o?o", "/f00/0?o"},
		{"\\0 is the whole match, \\1 a group, \\\\ a backslash", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: "/([a-z]+)", Substitution: `/\1-\0\\`}, "/ab", `/ab-/ab\`},
		{"a dollar sign is one", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: "^/(a)", Substitution: "/$1${1}"}, "/ab", "/$1${1}b"},
		{"empty matches are between the others, and not behind one", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: "x*", Substitution: "-"}, "/xa", "-/-a-"},
		{"a regex may be anchored", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: "^/a$", Substitution: "/b"}, "/a/a", "/a/a"},
		{"a dot is one byte", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: "^/.$", Substitution: "/b"}, "/\xc3\xbc", "/\xc3\xbc"},
		{"an empty result is no rewrite", path(plan.Prefix, "/"), "", &plan.RegexRewrite{Pattern: ".+", Substitution: ""}, "/a?q", "/a?q"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := plan.Rule{Match: c.match, Route: &plan.RouteAction{PrefixRewrite: c.prefix, RegexRewrite: c.regex, Destinations: []plan.Destination{{}}}}
			assert.Equal(t, c.want, effect.Of(&r).Upstream(0, effect.Request{Path: c.before}).Path)
		})
	}
}

// VS-HDR-03 to VS-HDR-06: operations of rule and destination, in their order.
func TestOperations(t *testing.T) {
	set := func(name, value string) plan.HeaderAddition {
		return plan.HeaderAddition{Name: name, Value: value, Overwrite: true}
	}
	add := func(name, value string) plan.HeaderAddition { return plan.HeaderAddition{Name: name, Value: value} }
	r := plan.Rule{
		RequestHeaders: plan.HeaderOperations{Remove: []string{"Gone"}, Add: []plan.HeaderAddition{set("Both", "rule"), add("user-agent", "w"), add("More", "rule"), set("Empty", "")}},
		Route: &plan.RouteAction{Weighted: true, Destinations: []plan.Destination{{
			Weight: 1, HostRewrite: "d",
			RequestHeaders: plan.HeaderOperations{Add: []plan.HeaderAddition{set("Both", "destination"), set("Gone", "destination"), add("More", "destination"), set("Host-Before", "%REQ(:AUTHORITY)%")}},
		}}},
	}
	in := effect.Request{Authority: "a", Path: "/", Headers: effect.Headers{"more": {"client"}, "user-agent": {"v"}, "empty": {"client"}}}
	out := effect.Of(&r).Upstream(0, in)
	assert.Equal(t, "d", out.Authority)
	assert.Equal(t, effect.Headers{
		"both": {"rule"}, "more": {"client", "destination", "rule"}, "user-agent": {"v,w"}, "empty": {"client"}, "host-before": {"a"},
	}, out.Headers)
}
