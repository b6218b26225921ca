package effect

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// Place is a place where Envoy writes a text that is a user's.
type Place int

// The places. What one may hold follows from what a reader on the other side would make of it.
const (
	// HeaderName of a line that is added or set.
	HeaderName Place = iota
	// HeaderValue of such a line, and what else ends up in one: a host or path in a Location, a list of CORS.
	HeaderValue
	// RequestPath is a path that an upstream gets in its request line.
	RequestPath
	// Authority that an upstream gets.
	Authority
	// CookieName of a cookie that Envoy sets.
	CookieName
	// CookieAttribute is the path of such a cookie, or the name or value of another attribute.
	CookieAttribute
)

// CheckWritable says why a text must not be written in a place, or nil. It is the one answer to that question: the
// validator asks it field by field, and nothing is handed to Envoy that was not asked about.
//
//	place             may hold
//	HeaderName        the characters of a token (RFC 9110); not transfer-encoding and content-length, which say where a message ends
//	HeaderValue       all but control characters; a tab is none
//	RequestPath       all but control characters and blanks
//	Authority         all but control characters and blanks
//	CookieName        the characters of a token
//	CookieAttribute   all but control characters and semicolons
//
// Envoy itself looks at few of these texts. The path of a cookie it writes as it is, line breaks included; with a header
// name that is none, it fails each request to an upstream and writes each response as it is.
func CheckWritable(text string, place Place) error {
	for i := range len(text) {
		if c := text[i]; c < ' ' && (c != '\t' || place != HeaderValue) || c == 0x7f {
			return fmt.Errorf("a control character (%s) must not be written there", strconv.QuoteRuneToASCII(rune(c)))
		}
	}
	switch place {
	case HeaderName, CookieName:
		if !isToken(text) {
			return errors.New("it has characters that a name cannot have")
		}
		if lower := strings.ToLower(text); place == HeaderName && (lower == "transfer-encoding" || lower == "content-length") {
			return errors.New("it marks where a message ends, which only the proxy knows")
		}
	case RequestPath, Authority:
		if strings.Contains(text, " ") {
			return errors.New("a blank must not be written there; in a path it is %20")
		}
	case CookieAttribute:
		if strings.Contains(text, ";") {
			return errors.New("a semicolon would end the attribute")
		}
	}
	return nil
}

// eachText visits everything in a rule that is a user's text and that Envoy writes somewhere.
func eachText(r *plan.Rule, visit func(what string, place Place, text string)) {
	operations := func(what string, o plan.HeaderOperations) {
		for _, a := range o.Add {
			visit("a name in "+what, HeaderName, a.Name)
			visit(what+" "+strconv.Quote(a.Name), HeaderValue, a.Value)
		}
	}
	operations("headers.request", r.RequestHeaders)
	operations("headers.response", r.ResponseHeaders)
	if c := r.CORS; c != nil {
		visit("corsPolicy.allowMethods", HeaderValue, c.AllowMethods)
		visit("corsPolicy.allowHeaders", HeaderValue, c.AllowHeaders)
		visit("corsPolicy.exposeHeaders", HeaderValue, c.ExposeHeaders)
		visit("corsPolicy.maxAge", HeaderValue, c.MaxAge)
	}
	if d := r.Redirect; d != nil {
		visit("redirect.uri", HeaderValue, d.Path)
		visit("redirect.prefixRewrite", HeaderValue, d.PrefixRewrite)
		visit("redirect.authority", HeaderValue, d.Host)
		visit("redirect.scheme", HeaderValue, d.Scheme)
	}
	a := r.Route
	if a == nil {
		return
	}
	visit("rewrite.uri", RequestPath, a.PrefixRewrite)
	if a.RegexRewrite != nil {
		visit("rewrite.uriRegexRewrite.rewrite", RequestPath, a.RegexRewrite.Substitution)
	}
	visit("rewrite.authority", Authority, a.HostRewrite)
	for _, d := range a.Destinations {
		operations("route.headers.request", d.RequestHeaders)
		operations("route.headers.response", d.ResponseHeaders)
		visit("the authority of a destination", Authority, d.HostRewrite)
	}
	for _, p := range a.HashPolicies {
		if c := p.Cookie; c != nil {
			visit("the name of the cookie of a consistent hash", CookieName, c.Name)
			visit("the path of the cookie of a consistent hash", CookieAttribute, c.Path)
			for _, attribute := range c.Attributes {
				visit("an attribute of the cookie of a consistent hash", CookieAttribute, attribute.Name)
				visit("an attribute of the cookie of a consistent hash", CookieAttribute, attribute.Value)
			}
		}
	}
}

// Unwritable are the texts of the plan's rules that must not be written where Envoy would write them.
func Unwritable(p *plan.Plan) diag.Findings {
	var found diag.Findings
	for r := range p.Rules() {
		eachText(r, func(what string, place Place, text string) {
			if text == "" && place != HeaderName && place != CookieName {
				return
			}
			if err := CheckWritable(text, place); err != nil {
				found.Add(diag.Error, "", r, what+": "+strconv.Quote(text), "%s", err)
			}
		})
	}
	return found
}
