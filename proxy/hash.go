package proxy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"

	"waymark.dev/waymark/plan"
)

// hashKey returns the results of all hash policies of the rule for the request, joined, as Envoy combines them
// (DR-HASH-02). If the client does not have the cookie of a policy with a TTL, one is made and sent with the answer
// (DR-HASH-03).
func (ex *exchange) hashKey() string {
	var parts []string
	for _, p := range ex.rule.Route.HashPolicies {
		part := ""
		switch {
		case p.Header != "":
			part = strings.Join(ex.in.Headers[strings.ToLower(p.Header)], ",")
		case p.Query != "":
			if u, err := url.ParseRequestURI(ex.in.Path); err == nil {
				part = u.Query().Get(p.Query)
			}
		case p.SourceIP:
			part, _, _ = net.SplitHostPort(ex.r.RemoteAddr)
		case p.Cookie != nil:
			part = ex.hashCookie(p.Cookie)
		}
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "\x00")
}

func (ex *exchange) hashCookie(c *plan.HashCookie) string {
	if sent, err := ex.r.Cookie(c.Name); err == nil && sent.Value != "" {
		return sent.Value
	}
	if c.TTL == nil {
		return ""
	}
	made := &http.Cookie{Name: c.Name, Value: fmt.Sprintf("%016x", rand.Uint64()), Path: c.Path, HttpOnly: true, MaxAge: int(c.TTL.Seconds())}
	ex.setCookie = append(ex.setCookie, made.String())
	return made.Value
}
