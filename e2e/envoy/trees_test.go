package envoy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/internal/envoymodel"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
)

// overlapping are virtual hosts whose rules overlap heavily, and requests to them, made by chance. Each rule answers with its
// name.
func overlapping(seed uint64, sets, requests int) (rc *plan.RouteConfig, asked [][]*routing.Request) {
	dice := rand.New(rand.NewPCG(seed, 15))
	rc = &plan.RouteConfig{Name: "http.80"}
	for len(rc.VirtualHosts) < sets {
		s := routingtest.NewSource(routingtest.Noise(dice, 4000))
		c, _ := s.Rules()
		for i := range c.VirtualHosts {
			h := routingtest.VirtualHost(c, i)
			domain := fmt.Sprintf("h%d.test", len(rc.VirtualHosts))
			h.Name, h.Domains = domain, []string{domain}
			h.Rules = slices.DeleteFunc(h.Rules, func(r *plan.Rule) bool { return envoy.RouteMatch(&r.Match).ValidateAll() != nil }) // such as an empty prefix
			for n, r := range h.Rules {
				r.Name = fmt.Sprintf("%s-%d", domain, n)
				r.DirectResponse = &plan.DirectResponse{Status: http.StatusOK, Body: []byte(r.Name)}
				r.Seal()
			}
			rc.VirtualHosts = append(rc.VirtualHosts, h)
		}
	}
	for _, h := range rc.VirtualHosts {
		var all []*routing.Request
		for len(all) < requests {
			q := routingtest.NewSource(routingtest.Noise(dice, 60)).Request()
			// Over HTTP/1.1 with this host: what a client cannot send, or a connection manager changes, is left out.
			if q.HasPath && strings.IndexFunc(q.Path, func(r rune) bool { return r == '#' || r > '~' }) < 0 && q.Method != "a" {
				q.Set(":authority", h.Domains[0])
				q.Set(":scheme", "http")
				all = append(all, q)
			}
		}
		asked = append(asked, all)
	}
	return rc, asked
}

// virtualHosts are those of a bootstrap, by name.
func virtualHosts(t testing.TB, b *bootstrapv3.Bootstrap) map[string]*routev3.VirtualHost {
	out := map[string]*routev3.VirtualHost{}
	for _, l := range b.GetStaticResources().GetListeners() {
		for _, c := range l.GetFilterChains() {
			for _, f := range c.GetFilters() {
				var m hcmv3.HttpConnectionManager
				require.NoError(t, f.GetTypedConfig().UnmarshalTo(&m))
				for _, h := range m.GetRouteConfig().GetVirtualHosts() {
					out[h.GetName()] = h
				}
			}
		}
	}
	require.NotEmpty(t, out)
	return out
}

// TestTreesOnEnvoys sends requests to Envoys that find the rules in a list, in a tree, and by the filter. All must choose the
// rule that the plain model of Envoy's matcher chooses in both forms, on which other tests of trees rely.
func TestTreesOnEnvoys(t *testing.T) {
	module, _ := program.ReadModule(t)
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) { treesOn(t, b, module) })
	}
}

func treesOn(t *testing.T, b envoytest.Binary, module string) {
	rc, asked := overlapping(uint64(b.Minor), 40, 60)
	model := envoymodel.New(version.Of(b.Minor))
	trees, met, repeated := 0, 0, 0
	names := map[string][]string{} // by way to match, the rules that answered
	for _, m := range []envoy.Matching{envoy.MatchingNative, treesAlone, envoy.MatchingFilter} {
		ports, err := process.FreePorts(2)
		require.NoError(t, err)
		p := &plan.Plan{Listeners: []*plan.Listener{{Name: "l", Bind: "127.0.0.1", Port: ports[0], Chains: []*plan.FilterChain{{Routes: rc}}}}}
		o := envoy.Options{AdminPort: ports[1], Minor: b.Minor, Module: module, Profile: envoy.ProfilePlain}
		matchingOf(m)(&o)
		if m == treesAlone {
			choices, err := envoy.Choices(p, o)
			require.NoError(t, err)
			for _, c := range choices {
				if c.Strategy == envoy.StrategyTree {
					trees++
				}
			}
		}
		bootstrap, err := envoy.Bootstrap(p, o)
		require.NoError(t, err)
		text, err := envoy.JSON(bootstrap)
		require.NoError(t, err)
		e, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: o.AdminPort, Concurrency: 1})
		require.NoError(t, err)
		built := virtualHosts(t, bootstrap)
		client := &client{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
		for i, h := range rc.VirtualHosts {
			for _, q := range asked[i] {
				headers := map[string]verdict.Values{}
				for _, line := range q.Headers {
					if len(headers[line.Name]) == 1 && m == envoy.MatchingNative {
						repeated++
					}
					headers[line.Name] = append(headers[line.Name], line.Value)
				}
				got, err := client.retry(verdict.Request{Method: q.Method, Path: q.Path, Authority: q.Authority, Headers: headers})
				require.NoError(t, err)
				if got.status == http.StatusNotFound {
					got.body = ""
				}
				names[string(m)] = append(names[string(m)], got.body)
				if m == envoy.MatchingFilter {
					continue // its routes are chosen by the header that it writes
				}
				if got.body != "" {
					met++
				}
				if want := model.Route(built[h.Name], q).GetName(); want != got.body {
					t.Errorf("%s, %s: Envoy takes %q, the model %q: %s %s %v", m, h.Name, got.body, want, q.Method, q.Path, q.Headers)
				}
			}
		}
		client.close()
		require.NoError(t, e.Stop())
	}
	assert.Equal(t, names[string(envoy.MatchingNative)], names[string(treesAlone)])
	assert.Equal(t, names[string(envoy.MatchingNative)], names[string(envoy.MatchingFilter)])
	t.Logf("%d requests, %d met a rule, %d repeated a header; %d of %d virtual hosts are trees", len(names[string(treesAlone)]), met/2, repeated, trees, len(rc.VirtualHosts))
	assert.Greater(t, trees, 25)
	assert.Greater(t, met, 500)
	assert.Greater(t, repeated, 500)
}
