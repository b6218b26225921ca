package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/plan"
)

// VS-CORS-01 to VS-CORS-06: what the CORS filter does with a request.
func TestCORS(t *testing.T) {
	policy := plan.CORSPolicy{
		AllowOrigins: []plan.OriginMatch{{Kind: plan.Exact, Value: "https://a.com"}, {Kind: plan.Prefix, Value: "http://b"}, {Kind: plan.Regex, Value: `https://.*\.c\.com`}},
		AllowMethods: "GET,PUT", AllowHeaders: "x-a", ExposeHeaders: "x-b", MaxAge: "60", AllowCredentials: true, ForwardUnmatched: true,
	}
	with := func(change func(*plan.CORSPolicy)) *plan.CORSPolicy {
		p := policy
		change(&p)
		return &p
	}
	ask := func(method, origin, wants string) plan.Request {
		h := plan.Headers{}
		if origin != "" {
			h["origin"] = []string{origin}
		}
		if wants != "" {
			h["access-control-request-method"] = []string{wants}
			h["access-control-request-headers"] = []string{"x-z"}
		}
		return plan.Request{Method: method, Headers: h}
	}
	allowed := plan.Headers{"access-control-allow-origin": {"https://a.com"}, "access-control-allow-credentials": {"true"}, "access-control-expose-headers": {"x-b"}}
	preflight := plan.Headers{
		"access-control-allow-origin": {"https://a.com"}, "access-control-allow-credentials": {"true"}, "access-control-expose-headers": {"x-b"},
		"access-control-allow-methods": {"GET,PUT"}, "access-control-allow-headers": {"x-a"}, "access-control-max-age": {"60"},
	}
	for _, c := range []struct {
		sentence string
		policy   *plan.CORSPolicy
		request  plan.Request
		want     *plan.CORSEffect
	}{
		{"no policy does nothing", nil, ask("GET", "https://a.com", ""), nil},
		{"no origin, nothing", &policy, ask("OPTIONS", "", "GET"), nil},
		{"a request of an allowed origin goes on, and its response says so", &policy, ask("GET", "https://a.com", ""), &plan.CORSEffect{OriginAllowed: true, ResponseHeaders: allowed}},
		{"one of another goes on as well", &policy, ask("GET", "https://z.com", ""), &plan.CORSEffect{ResponseHeaders: plan.Headers{}}},
		{"OPTIONS without a wanted method is no preflight", &policy, ask("OPTIONS", "https://a.com", ""), &plan.CORSEffect{OriginAllowed: true, ResponseHeaders: allowed}},
		{"a wanted method without OPTIONS is none either", &policy, ask("GET", "https://a.com", "PUT"), &plan.CORSEffect{OriginAllowed: true, ResponseHeaders: allowed}},
		{"a preflight is answered", &policy, ask("OPTIONS", "https://a.com", "PUT"), &plan.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: preflight}},
		{"a foreign preflight goes on", &policy, ask("OPTIONS", "https://z.com", "PUT"), &plan.CORSEffect{ResponseHeaders: plan.Headers{}}},
		{"... or is answered without an origin", with(func(p *plan.CORSPolicy) { p.ForwardUnmatched = false }), ask("OPTIONS", "https://z.com", "PUT"), &plan.CORSEffect{Preflight: true, Status: 200, ResponseHeaders: plan.Headers{
			"access-control-allow-credentials": {"true"}, "access-control-allow-methods": {"GET,PUT"}, "access-control-allow-headers": {"x-a"}, "access-control-max-age": {"60"},
		}}},
		{"a star for methods and headers echoes what was asked", &plan.CORSPolicy{AllowOrigins: policy.AllowOrigins, AllowMethods: "*", AllowHeaders: "*"}, ask("OPTIONS", "https://a.com", "PUT"),
			&plan.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: plan.Headers{"access-control-allow-origin": {"https://a.com"}, "access-control-allow-methods": {"PUT"}, "access-control-allow-headers": {"x-z"}}}},
		{"... also where no headers were asked for", &plan.CORSPolicy{AllowOrigins: policy.AllowOrigins, AllowHeaders: "*"}, plan.Request{Method: "OPTIONS", Headers: plan.Headers{"origin": {"https://a.com"}, "access-control-request-method": {"PUT"}}},
			&plan.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: plan.Headers{"access-control-allow-origin": {"https://a.com"}, "access-control-allow-headers": {""}}}},
		{"what a policy does not say is not said", &plan.CORSPolicy{AllowOrigins: policy.AllowOrigins}, ask("OPTIONS", "https://a.com", "PUT"),
			&plan.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: plan.Headers{"access-control-allow-origin": {"https://a.com"}}}},
	} {
		t.Run(c.sentence, func(t *testing.T) { assert.Equal(t, c.want, c.policy.Apply(c.request)) })
	}
	for origin, want := range map[string]bool{"http://b.org": true, "https://x.c.com": true, "https://x.c.com.evil": false, "HTTPS://A.COM": false, "https://a.com:443": false} {
		assert.Equal(t, want, policy.Apply(ask("GET", origin, "")).OriginAllowed, origin)
	}
	for _, every := range []plan.OriginMatch{{Kind: plan.Exact, Value: "*"}, {Kind: plan.Prefix, Value: "*"}, {Kind: plan.Regex, Value: ".*"}} {
		p := plan.CORSPolicy{AllowOrigins: []plan.OriginMatch{every}}
		assert.True(t, p.Apply(ask("GET", "null", "")).OriginAllowed, "VS-CORS-02: %v", every)
	}
}
