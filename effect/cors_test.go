package effect_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
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
	ask := func(method, origin, wants string) effect.Request {
		h := effect.Headers{}
		if origin != "" {
			h["origin"] = []string{origin}
		}
		if wants != "" {
			h["access-control-request-method"] = []string{wants}
			h["access-control-request-headers"] = []string{"x-z"}
		}
		return effect.Request{Method: method, Headers: h}
	}
	allowed := effect.Headers{"access-control-allow-origin": {"https://a.com"}, "access-control-allow-credentials": {"true"}, "access-control-expose-headers": {"x-b"}}
	preflight := effect.Headers{
		"access-control-allow-origin": {"https://a.com"}, "access-control-allow-credentials": {"true"}, "access-control-expose-headers": {"x-b"},
		"access-control-allow-methods": {"GET,PUT"}, "access-control-allow-headers": {"x-a"}, "access-control-max-age": {"60"},
	}
	apply := func(p *plan.CORSPolicy, r effect.Request) *effect.CORSEffect {
		return effect.Of(&plan.Rule{CORS: p}).ApplyCORS(r)
	}
	for _, c := range []struct {
		sentence string
		policy   *plan.CORSPolicy
		request  effect.Request
		want     *effect.CORSEffect
	}{
		{"no policy does nothing", nil, ask("GET", "https://a.com", ""), nil},
		{"no origin, nothing", &policy, ask("OPTIONS", "", "GET"), nil},
		{"a request of an allowed origin goes on, and its response says so", &policy, ask("GET", "https://a.com", ""), &effect.CORSEffect{OriginAllowed: true, ResponseHeaders: allowed}},
		{"one of another goes on as well", &policy, ask("GET", "https://z.com", ""), &effect.CORSEffect{ResponseHeaders: effect.Headers{}}},
		{"OPTIONS without a wanted method is no preflight", &policy, ask("OPTIONS", "https://a.com", ""), &effect.CORSEffect{OriginAllowed: true, ResponseHeaders: allowed}},
		{"a wanted method without OPTIONS is none either", &policy, ask("GET", "https://a.com", "PUT"), &effect.CORSEffect{OriginAllowed: true, ResponseHeaders: allowed}},
		{"a preflight is answered", &policy, ask("OPTIONS", "https://a.com", "PUT"), &effect.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: preflight}},
		{"a foreign preflight goes on", &policy, ask("OPTIONS", "https://z.com", "PUT"), &effect.CORSEffect{ResponseHeaders: effect.Headers{}}},
		{"... or is answered without an origin", with(func(p *plan.CORSPolicy) { p.ForwardUnmatched = false }), ask("OPTIONS", "https://z.com", "PUT"), &effect.CORSEffect{Preflight: true, Status: 200, ResponseHeaders: effect.Headers{
			"access-control-allow-credentials": {"true"}, "access-control-allow-methods": {"GET,PUT"}, "access-control-allow-headers": {"x-a"}, "access-control-max-age": {"60"},
		}}},
		{"a star for methods and headers echoes what was asked", &plan.CORSPolicy{AllowOrigins: policy.AllowOrigins, AllowMethods: "*", AllowHeaders: "*"}, ask("OPTIONS", "https://a.com", "PUT"),
			&effect.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: effect.Headers{"access-control-allow-origin": {"https://a.com"}, "access-control-allow-methods": {"PUT"}, "access-control-allow-headers": {"x-z"}}}},
		{"... also where no headers were asked for", &plan.CORSPolicy{AllowOrigins: policy.AllowOrigins, AllowHeaders: "*"}, effect.Request{Method: "OPTIONS", Headers: effect.Headers{"origin": {"https://a.com"}, "access-control-request-method": {"PUT"}}},
			&effect.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: effect.Headers{"access-control-allow-origin": {"https://a.com"}, "access-control-allow-headers": {""}}}},
		{"what a policy does not say is not said", &plan.CORSPolicy{AllowOrigins: policy.AllowOrigins}, ask("OPTIONS", "https://a.com", "PUT"),
			&effect.CORSEffect{Preflight: true, OriginAllowed: true, Status: 200, ResponseHeaders: effect.Headers{"access-control-allow-origin": {"https://a.com"}}}},
	} {
		t.Run(c.sentence, func(t *testing.T) { assert.Equal(t, c.want, apply(c.policy, c.request)) })
	}
	for origin, want := range map[string]bool{"http://b.org": true, "https://x.c.com": true, "https://x.c.com.evil": false, "HTTPS://A.COM": false, "https://a.com:443": false} {
		assert.Equal(t, want, apply(&policy, ask("GET", origin, "")).OriginAllowed, origin)
	}
	for _, every := range []plan.OriginMatch{{Kind: plan.Exact, Value: "*"}, {Kind: plan.Prefix, Value: "*"}, {Kind: plan.Regex, Value: ".*"}} {
		p := plan.CORSPolicy{AllowOrigins: []plan.OriginMatch{every}}
		assert.True(t, apply(&p, ask("GET", "null", "")).OriginAllowed, "VS-CORS-02: %v", every)
	}
}

// An expression for origins is compiled with the rule, not per request.
func TestARequestCompilesNoOrigin(t *testing.T) {
	r := effect.Of(&plan.Rule{CORS: &plan.CORSPolicy{AllowOrigins: []plan.OriginMatch{{Kind: plan.Regex, Value: "https://[a-z]{1,30}[.](one|two|three)[.]com"}}}})
	request := effect.Request{Method: "GET", Headers: effect.Headers{"origin": {"https://shop.two.com"}}}
	assert.True(t, r.ApplyCORS(request).OriginAllowed)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { r.ApplyCORS(request) }), 10.0)
}
