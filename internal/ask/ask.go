// Package ask reads lines in which tests and documents state what happens to a request:
//
//	POST shop.example.com:8080/cart?id=7 x-user=ann @port:80 => kind=route clusters.0.upstream.path=/cart?id=7 fault=-
//
// Left of the arrow is the request: the method (default GET), the Host with the path, and headers as name=value.
// @port:N is the port of the Gateway's server (default 80); @tls is set for a connection with TLS, and @sni:NAME for
// one with TLS and this server name. Right of the arrow are fields of the verdict, as path=text: a path is a gjson path
// into the output of 'waymark decide -o json', and the text "-" means that the field is absent. %20 in a value is a
// space.
//
// Only tests use it.
package ask

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"waymark.dev/waymark/verdict"
)

// Line is a request with what is expected of it.
type Line struct {
	Request verdict.Request
	Want    []Want
}

// Want is one expectation: the text at a path of the verdict, or that the path is absent.
type Want struct {
	Path, Text string
	Absent     bool
}

// Parse reads a line. A line without an expectation is an error, since it would test nothing.
func Parse(line string) (Line, error) {
	left, right, found := strings.Cut(line, "=>")
	if !found {
		return Line{}, fmt.Errorf("%q has no =>", line)
	}
	r, err := request(left)
	if err != nil {
		return Line{}, err
	}
	out := Line{Request: r}
	for _, word := range strings.Fields(right) {
		path, text, found := strings.Cut(word, "=")
		if !found {
			return Line{}, fmt.Errorf("%q in %q is not path=text", word, line)
		}
		out.Want = append(out.Want, Want{path, unescape(text), text == "-"})
	}
	if len(out.Want) == 0 {
		return Line{}, fmt.Errorf("%q expects nothing", line)
	}
	return out, nil
}

func request(text string) (verdict.Request, error) {
	r := verdict.Request{Name: strings.TrimSpace(text), GatewayPort: 80, Method: "GET"}
	headers := map[string]verdict.Values{}
	for i, word := range strings.Fields(text) {
		name, value, isHeader := strings.Cut(word, "=")
		switch {
		case word == "@tls":
			r.TLS = true
		case strings.HasPrefix(word, "@sni:"):
			r.SNI, r.TLS = strings.TrimPrefix(word, "@sni:"), true
		case strings.HasPrefix(word, "@port:"):
			port, err := strconv.ParseUint(strings.TrimPrefix(word, "@port:"), 10, 16)
			if err != nil {
				return r, fmt.Errorf("%q in %q: %w", word, text, err)
			}
			r.GatewayPort = uint32(port)
		case strings.Contains(word, "/") && r.Path == "":
			r.Authority, r.Path, _ = strings.Cut(word, "/")
			r.Path = "/" + r.Path
		case i == 0:
			r.Method = word
		case isHeader:
			headers[name] = append(headers[name], unescape(value))
		default:
			return r, fmt.Errorf("%q in %q is not a part of a request", word, text)
		}
	}
	if r.Path == "" {
		return r, fmt.Errorf("%q has no path", text)
	}
	r.Headers = headers
	return r, nil
}

func unescape(text string) string { return strings.ReplaceAll(text, "%20", " ") }

// Problems returns each difference between a verdict and the expectations of the line.
func (l Line) Problems(v *verdict.Verdict) ([]string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, w := range l.Want {
		switch got := gjson.GetBytes(text, w.Path); {
		case w.Absent && got.Exists():
			out = append(out, fmt.Sprintf("%s: %s is %s, want nothing, in %s", l.Request.Name, w.Path, got.Raw, text))
		case !w.Absent && (!got.Exists() || got.String() != w.Text):
			out = append(out, fmt.Sprintf("%s: %s is %q, want %q, in %s", l.Request.Name, w.Path, got.String(), w.Text, text))
		}
	}
	return out, nil
}
