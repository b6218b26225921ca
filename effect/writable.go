package effect

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// Place is a place in a message where Envoy writes a text of a user.
type Place int

// The places. A text must not change how a client or an upstream reads the rest of the message.
const (
	// HeaderName is the name of a header line that is added or set.
	HeaderName Place = iota
	// HeaderValue is the value of such a line, or a part of another one: a host or path in a Location, a list of CORS.
	HeaderValue
	// RequestPath is a path that an upstream gets in its request line.
	RequestPath
	// Authority is the authority that an upstream gets.
	Authority
	// CookieName is the name of a cookie that Envoy sets.
	CookieName
	// CookieAttribute is the path of such a cookie, or the name or value of another attribute.
	CookieAttribute
)

// CheckWritable returns why a text must not be written in a place, or nil. It is the only check of this kind: the
// validator calls it for each field, and [Unwritable] for each text of a plan before it is given to Envoy.
//
//	place             allowed
//	HeaderName        the characters of a token (RFC 9110); not transfer-encoding or content-length: they mark its end
//	HeaderValue       all but control characters; a tab is allowed
//	RequestPath       all but control characters and blanks
//	Authority         all but control characters and blanks
//	CookieName        the characters of a token
//	CookieAttribute   all but control characters and semicolons
//
// Envoy itself checks few of these texts. It writes the path of a cookie as it is, even with line breaks. If the name
// of a header is not valid, each request to an upstream fails, and each response is written with the name as it is.
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

// eachText calls visit for every text of a user in a rule that Envoy writes into a message. what is its name for
// messages.
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

// Unwritable reports the texts in the rules of a plan that must not be written where Envoy would write them.
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
