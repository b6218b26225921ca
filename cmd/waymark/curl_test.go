package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/verdict"
)

// curls are curl's own headers.
func curls(more ...string) map[string]verdict.Values {
	out := map[string]verdict.Values{"accept": {"*/*"}, "user-agent": {"curl/8"}}
	for i := 0; i < len(more); i += 2 {
		out[more[i]] = verdict.Values{more[i+1]}
	}
	return out
}

// A request on the command line is what a client would send.
func TestRequestText(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		text string
		want verdict.Request
	}{
		"a URL":                              {"http://a.test", verdict.Request{Authority: "a.test", Path: "/"}},
		"a URL without a scheme":             {"a.test/x", verdict.Request{Authority: "a.test", Path: "/x"}},
		"a method, a query and a fragment":   {"PUT http://a.test?x=%2F#f", verdict.Request{Method: "PUT", Authority: "a.test", Path: "/?x=%2F"}},
		"https":                              {"https://a.test/x/../y", verdict.Request{TLS: true, SNI: "a.test", Authority: "a.test", Path: "/x/../y"}},
		"https of an address":                {"https://[::1]:8443/", verdict.Request{TLS: true, GatewayPort: 8443, Authority: "[::1]:8443", Path: "/"}},
		"the port of the scheme is not sent": {"https://a.test:443/", verdict.Request{TLS: true, SNI: "a.test", GatewayPort: 443, Authority: "a.test", Path: "/"}},
		"a user":                             {"http://u:p@a.test/", verdict.Request{Authority: "a.test", Path: "/", Headers: map[string]verdict.Values{"authorization": {"Basic dTpw"}}}},

		"curl": {"curl http://a.test/", verdict.Request{Authority: "a.test", Path: "/", Headers: curls()}},
		"curl of a browser, over several lines": {
			"curl 'https://a.test/x?a=1&b=2' \\\n  -H $'x-a: it\\'s' \\\n  --compressed --insecure",
			verdict.Request{TLS: true, SNI: "a.test", Authority: "a.test", Path: "/x?a=1&b=2", Headers: curls("x-a", "it's", "accept-encoding", "deflate, gzip")},
		},
		"letters together, and values without a space": {"/usr/bin/curl -sSLXPOST -oout a.test", verdict.Request{Method: "POST", Authority: "a.test", Path: "/", Headers: curls()}},
		"data":                       {"curl -d a=b a.test", verdict.Request{Method: "POST", Authority: "a.test", Path: "/", Headers: curls("content-type", "application/x-www-form-urlencoded")}},
		"data with its own type":     {"curl --data-raw '{}' -H 'Content-Type: text/x' a.test", verdict.Request{Method: "POST", Authority: "a.test", Path: "/", Headers: curls("content-type", "text/x")}},
		"data as JSON":               {"curl --json '{}' a.test", verdict.Request{Method: "POST", Authority: "a.test", Path: "/", Headers: curls("content-type", "application/json", "accept", "application/json")}},
		"data in the query":          {"curl -G -d a=b --data-urlencode 'c=d e' 'a.test/?x=1'", verdict.Request{Method: "GET", Authority: "a.test", Path: "/?x=1&a=b&c=d%20e", Headers: curls()}},
		"a form":                     {"curl -F a=b a.test", verdict.Request{Method: "POST", Authority: "a.test", Path: "/", Headers: curls("content-type", "multipart/form-data; boundary=waymark")}},
		"an upload":                  {"curl -T file a.test", verdict.Request{Method: "PUT", Authority: "a.test", Path: "/", Headers: curls()}},
		"a head":                     {"curl -I a.test", verdict.Request{Method: "HEAD", Authority: "a.test", Path: "/", Headers: curls()}},
		"headers of their own":       {"curl -H 'X-A: 1' -H 'x-a: 2' -H 'X-Empty;' -H 'Accept:' --url a.test", verdict.Request{Authority: "a.test", Path: "/", Headers: map[string]verdict.Values{"user-agent": {"curl/8"}, "x-a": {"1", "2"}, "x-empty": {""}}}},
		"Host":                       {"curl -H 'Host: b.test' 192.0.2.1:8080", verdict.Request{GatewayPort: 8080, Authority: "b.test", Path: "/", Headers: curls()}},
		"who asks":                   {"curl -A me -e http://b.test/ -b a=b -b c=d -u user -r 0-9 a.test", verdict.Request{Authority: "a.test", Path: "/", Headers: curls("user-agent", "me", "referer", "http://b.test/", "cookie", "a=b; c=d", "authorization", "Basic dXNlcjo=", "range", "bytes=0-9")}},
		"a token":                    {"curl --oauth2-bearer abc a.test", verdict.Request{Authority: "a.test", Path: "/", Headers: curls("authorization", "Bearer abc")}},
		"HTTP/2":                     {"curl --http2 https://a.test/", verdict.Request{TLS: true, SNI: "a.test", Protocol: verdict.HTTP2, Authority: "a.test", Path: "/", Headers: curls()}},
		"HTTP/2 begins as HTTP/1.1":  {"curl --http2 a.test", verdict.Request{Authority: "a.test", Path: "/", Headers: curls()}},
		"HTTP/2 without TLS":         {"curl --http2-prior-knowledge a.test", verdict.Request{Protocol: verdict.HTTP2, Authority: "a.test", Path: "/", Headers: curls()}},
		"another port to connect to": {"curl --connect-to other:80:x:1 --connect-to a.test:443:10.0.0.1:8443 https://a.test/", verdict.Request{TLS: true, SNI: "a.test", GatewayPort: 8443, Authority: "a.test", Path: "/", Headers: curls()}},
		"a host that is resolved":    {"curl --resolve a.test:443:10.0.0.1 https://a.test/", verdict.Request{TLS: true, SNI: "a.test", GatewayPort: 443, Authority: "a.test", Path: "/", Headers: curls()}},
		"another that is resolved":   {"curl --resolve b.test:443:10.0.0.1 https://a.test/", verdict.Request{TLS: true, SNI: "a.test", Authority: "a.test", Path: "/", Headers: curls()}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got, err := requestText(c.text, nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

// What cannot be read is refused with its name.
func TestRequestTextThatIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://":                            "is not http://HOST or https://HOST",
		"http://a.test:70000/":               `the port "70000" of http://a.test:70000/ is not between 1 and 65535`,
		"http://a b/ c":                      "is neither URL, METHOD URL, nor a curl command",
		"curl":                               "want one URL, got 0",
		"curl a.test b.test":                 "want one URL, got 2",
		"curl -d a.test":                     "want one URL, got 0",
		"curl --next a.test":                 "unknown flag: --next",
		"curl -Z a.test":                     "unknown shorthand flag: 'Z'",
		"curl -H a a.test":                   `-H "a" is not NAME: VALUE`,
		"curl -H @file a.test":               "--header @file: the content of a file is not known here",
		"curl -b jar a.test":                 "--cookie jar: the content of a file is not known here",
		"curl -G -d @file a.test":            "--data @file: the content of a file is not known here",
		"curl -G --data-urlencode a@f x":     "--data-urlencode a@f: the content of a file is not known here",
		"curl -H \"x: $TOKEN\" a.test":       `the value of "$TOKEN" is not known here`,
		"curl a.test/$(date)":                `the value of "$(date)" is not known here`,
		"curl 'a.test":                       "reached EOF without closing quote",
		"curl a.test/?a=1&b=2":               "`&` is not a valid word",
		"curl --connect-to a a.test":         "--connect-to a is not HOST:PORT:HOST:PORT",
		"curl --connect-to ::b:x a.test":     `the port "x" is not between 1 and 65535`,
		"curl --resolve a a.test":            "--resolve a is not HOST:PORT:ADDRESS",
		"curl --request-target /x -X a b c ": "unknown flag: --request-target",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := requestText(text, nil)
			require.ErrorContains(t, err, want)
			assert.Equal(t, exitUsage, statusOf(err))
		})
	}
}
