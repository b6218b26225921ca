package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

// everyField is a rule in which no field is empty, whether or not they go together.
func everyField() *Rule {
	ttl := time.Minute
	operations := func(s string) HeaderOperations {
		return HeaderOperations{Add: []HeaderAddition{{"x-add-" + s, "value", true}}, Remove: []string{"x-remove-" + s}}
	}
	return &Rule{
		Origin: Origin{"VirtualService", "default", "delegate", Path{"http", 1, 2}},
		Root:   Origin{"VirtualService", "default", "root", Path{"http", 3, 4}},
		Name:   "name", Source: diag.Place{File: "rules.yaml", Line: 5, Column: 6},
		Match: Match{
			Unconditional: true,
			Path:          PathMatch{Prefix, "/a", true},
			Headers:       []HeaderMatch{{"x-a", Exact, "v", true, true}},
			Query:         []QueryMatch{{"q", Exact, "v"}},
			Claims:        []ClaimMatch{{[]string{"group"}, Exact, "admin", true}},
		},
		Route: &RouteAction{
			Weighted:     true,
			Destinations: []Destination{{"outbound|80||a", 7, operations("d"), operations("dr"), "host.a"}},
			Timeout:      time.Second,
			Retry:        &RetryPolicy{"5xx", 2, time.Second, []uint32{503}, time.Millisecond, true, true},
			Mirrors:      []Mirror{{"outbound|80||m", 1, 100}},
			HashPolicies: []HashPolicy{{"x-h", &HashCookie{"c", "/", &ttl, []HashCookieAttribute{{"SameSite", "Lax"}}}, true, "q"}},

			PrefixRewrite: "/b", RegexRewrite: &RegexRewrite{"a", "b"}, HostRewrite: "host",
		},
		Redirect:       &Redirect{301, "/p", "/r", "host", "https", 443},
		DirectResponse: &DirectResponse{200, []byte("body")},
		RequestHeaders: operations("q"), ResponseHeaders: operations("r"),
		Fault: &Fault{
			&FaultDelay{Percentage{1, 100}, time.Second},
			&FaultAbort{Percentage{2, 100}, 503, 14, true},
		},
		CORS:       &CORSPolicy{[]OriginMatch{{Exact, "https://a"}}, "GET", "x-b", "x-c", "60", true, true, true},
		StatPrefix: "stat",
		Outcomes:   []Outcome{{ID: "k", Destination: 1, Weight: 1}},
	}
}

// part is a value below a rule that can be changed, and its path: Route.Destinations[0].Weight.
type part struct {
	path  string
	value reflect.Value
}

// parts are all texts, numbers and truths of a value, and its lists, which can be emptied. It visits the fields by
// reflection, so that no new one is forgotten.
func parts(path string, v reflect.Value) (out []part) {
	switch v.Kind() {
	case reflect.Pointer:
		return parts(path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out = append(out, parts(strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i))...)
			}
		}
		return out
	case reflect.Slice:
		out = append(out, part{path, v})
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				out = append(out, parts(fmt.Sprintf("%s[%d]", path, i), v.Index(i))...)
			}
		}
		return out
	default:
		return []part{{path, v}}
	}
}

func (p *part) change(t *testing.T) {
	switch v := p.value; v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice:
		v.SetLen(v.Len() - 1)
	default:
		t.Fatalf("%s is a %s, which this test must learn to change", p.path, v.Kind())
	}
}

// notInIDs are the fields that an id does not depend on: those that are not in the outcome's Envoy route, and those that say
// in other words what the others say.
var notInIDs = []string{"Fault.", "Source.", "Outcomes", "Route.Destinations[0].Weight", "Origin.Kind", "Root.Kind", "Root.Path."}

// An id depends on each field of a rule, but for weights, faults and the place in a file: a changed weight or fault changes
// the plugin configuration alone, and a comment in a file changes nothing.
func TestWhatAnIDDependsOn(t *testing.T) {
	r := everyField()
	r.Seal()
	require.Len(t, r.Outcomes, 1)
	id := r.Outcomes[0].ID
	n := len(parts("", reflect.ValueOf(everyField())))
	require.Greater(t, n, 100)
	met := map[string]bool{}
	for i := range n {
		changed := everyField()
		p := parts("", reflect.ValueOf(changed))[i]
		assert.False(t, p.value.IsZero(), "everyField leaves %s empty", p.path)
		if p.path == "Route.Destinations" {
			continue // without one there is no outcome
		}
		p.change(t)
		changed.Seal()
		require.Len(t, changed.Outcomes, 1, p.path)
		same := false
		for _, prefix := range notInIDs {
			if strings.HasPrefix(p.path, prefix) {
				same, met[prefix] = true, true
			}
		}
		if same {
			assert.Equal(t, id, changed.Outcomes[0].ID, "%s is not in the id", p.path)
		} else {
			assert.NotEqual(t, id, changed.Outcomes[0].ID, "%s is in the id", p.path)
		}
	}
	assert.Len(t, met, len(notInIDs), "each is a field")
}

// Ids are the same from release to release: where one changes, an upgrade changes every route of every Envoy. So a new
// field of a rule is left out of the hash where it is empty, and these ids stay.
func TestIDsStay(t *testing.T) {
	without := func(change func(r *Rule)) *Rule {
		r := everyField()
		change(r)
		return r
	}
	for what, c := range map[string]struct {
		rule *Rule
		want string
	}{
		"every field":     {everyField(), "k2ib76vfe3wkp"},
		"a route":         {without(func(r *Rule) { r.Redirect, r.DirectResponse = nil, nil }), "kij3sjw4jk5pn"},
		"a redirect":      {without(func(r *Rule) { r.Route, r.DirectResponse = nil, nil }), "khoijpg5duu63"},
		"a response":      {without(func(r *Rule) { r.Route, r.Redirect = nil, nil }), "kft3kgmdgx4yh"},
		"no delegate":     {without(func(r *Rule) { r.Root = Origin{} }), "klywt6jztrpcr"},
		"no claims":       {without(func(r *Rule) { r.Match.Claims = nil }), "kuzqunmlt4icl"},
		"Istio's own":     {&Rule{Name: "allow_any", Route: &RouteAction{Destinations: []Destination{{Cluster: "PassthroughCluster"}}}}, "kf4zp4mortg2x"},
		"nothing but 404": {&Rule{DirectResponse: &DirectResponse{Status: 404}}, "kmsmi7nwgazkx"},
	} {
		c.rule.Seal()
		assert.Equal(t, c.want, c.rule.Outcomes[0].ID, what)
	}
}

// An outcome is what becomes of a request with one of the destinations: what the others are does not matter to it, and one
// without weight is none.
func TestOutcomes(t *testing.T) {
	split := func(destinations ...Destination) *Rule {
		r := &Rule{Route: &RouteAction{Weighted: true, Destinations: destinations}}
		r.Seal()
		return r
	}
	a, b, c := Destination{Cluster: "a", Weight: 1}, Destination{Cluster: "b"}, Destination{Cluster: "c", Weight: 98}
	all, one := split(a, b, c), split(c)
	require.Len(t, all.Outcomes, 2)
	require.Len(t, one.Outcomes, 1)
	assert.Equal(t, 0, all.Outcomes[0].Destination)
	assert.Equal(t, uint32(1), all.Outcomes[0].Weight)
	assert.Equal(t, 2, all.Outcomes[1].Destination)
	assert.Equal(t, uint32(98), all.Outcomes[1].Weight)
	assert.NotEqual(t, all.Outcomes[0].ID, all.Outcomes[1].ID)
	assert.Equal(t, one.Outcomes[0].ID, all.Outcomes[1].ID)
	assert.Regexp(t, "^k[a-z2-7]{12}$", one.Outcomes[0].ID)
	all.Seal()
	assert.Len(t, all.Outcomes, 2, "outcomes are not added to those that were there")

	alone := &Rule{Route: &RouteAction{Destinations: []Destination{b}}}
	alone.Seal()
	assert.Equal(t, []int{0, 1}, []int{alone.Outcomes[0].Destination, int(alone.Outcomes[0].Weight)}, "not weighted: all of it")
	redirect := &Rule{Redirect: &Redirect{Status: 301}}
	redirect.Seal()
	assert.Equal(t, []int{-1, 1}, []int{redirect.Outcomes[0].Destination, int(redirect.Outcomes[0].Weight)})
}

// Two outcomes that are not the same have different ids; should the hash ever fail, the plan is refused.
func TestIDsAreChecked(t *testing.T) {
	rule := func(name string) *Rule {
		r := &Rule{Name: name, DirectResponse: &DirectResponse{Status: 200}}
		r.Seal()
		return r
	}
	planOf := func(rules ...*Rule) *Plan {
		return &Plan{Listeners: []*Listener{{Chains: []*FilterChain{{TCP: &TCPProxy{}}, {Routes: &RouteConfig{VirtualHosts: []*VirtualHost{{Rules: rules}}}}}}}}
	}
	a, b := rule("a"), rule("b")
	require.NoError(t, planOf(a, b, a, rule("a")).CheckIDs())
	b.Outcomes[0].ID = a.Outcomes[0].ID
	assert.EqualError(t, planOf(a, b).CheckIDs(), "rules a and b have an outcome with the same id "+a.Outcomes[0].ID+"; rename one of the resources")
}

// What refers to a rule, in text and in the name of its route.
func TestReferences(t *testing.T) {
	origin := func(name string, path Path) Origin { return Origin{"VirtualService", "default", name, path} }
	for want, r := range map[string]*Rule{
		"default/a.http[1].match[2]":           {Origin: origin("a", Path{"http", 1, 2})},
		"default/a.http[1].match[0]":           {Origin: origin("a", Path{"http", 1, 0})},
		"default/a.http[0]":                    {Origin: origin("a", EntryPath("http", 0))},
		"default/r+default/a.http[0].match[1]": {Origin: origin("a", Path{"http", 0, 1}), Root: origin("r", EntryPath("http", 3))},
		"own":                                  {Name: "own"},
	} {
		assert.Equal(t, want, r.String())
		assert.Equal(t, want, r.RouteName())
	}
	named := &Rule{Origin: origin("a", EntryPath("http", 0)), Name: "n"}
	assert.Equal(t, "default/a.http[0]:n", named.RouteName())
	assert.Equal(t, "spec.tcp[0]", origin("a", EntryPath("tcp", 0)).Field())
	assert.Equal(t, "", origin("a", Path{}).Field())
	assert.Equal(t, "default/a", origin("a", Path{}).String())
	assert.Equal(t, "", (&Rule{Origin: origin("a", EntryPath("tcp", 0))}).VirtualService())
}

// Expressions and values are visited everywhere where a rule has them.
func TestVisits(t *testing.T) {
	r := everyField()
	var values, expressions []string
	r.EachValue(func(v string) { values = append(values, v) })
	assert.Equal(t, []string{"value", "value", "value", "value"}, values)
	r.EachExpression(func(what, pattern string) { expressions = append(expressions, what+": "+pattern) })
	assert.Equal(t, []string{"the rewrite: a"}, expressions)
	m := &r.Match
	m.Path.Kind, m.Headers[0].Kind, m.Query[0].Kind, m.Claims[0].Kind, r.CORS.AllowOrigins[0].Kind = Regex, Regex, Regex, Regex, Regex
	expressions = nil
	r.EachExpression(func(what, pattern string) { expressions = append(expressions, what+": "+pattern) })
	assert.Equal(t, []string{"path: /a", "header x-a: v", "query parameter q: v", "a claim: admin", "the rewrite: a", "an origin: https://a"}, expressions)
	assert.Equal(t, "regex", Regex.String())
	assert.Equal(t, "unknown(5)", MatchKind(5).String())
	assert.Equal(t, uint32(20_000), Percentage{2, 100}.PerMillion())
	assert.Equal(t, uint32(2), Percentage{2, 1_000_000}.PerMillion())
	assert.Equal(t, uint32(1_000_000), Percentage{200, 100}.PerMillion())
	assert.True(t, HeaderOperations{}.Empty())
	assert.False(t, HeaderOperations{Remove: []string{"x"}}.Empty())
	assert.False(t, HeaderOperations{Add: []HeaderAddition{{}}}.Empty())
}

// A rule that several chains share is visited once; a chain without HTTP has none, and a visit ends where it is told to.
func TestRulesAreVisitedOnce(t *testing.T) {
	a, b := &Rule{Name: "a"}, &Rule{Name: "b"}
	shared := &FilterChain{Routes: &RouteConfig{VirtualHosts: []*VirtualHost{{Rules: []*Rule{a}}, {Rules: []*Rule{b, a}}}}}
	p := &Plan{Listeners: []*Listener{{Chains: []*FilterChain{{TCP: &TCPProxy{}}, shared}}, {Chains: []*FilterChain{shared}}}}
	assert.Equal(t, []*Rule{a, b}, slices.Collect(p.Rules()))
	for r := range p.Rules() {
		assert.Same(t, a, r)
		break
	}
	for rc := range p.RouteConfigs() {
		assert.Same(t, shared.Routes, rc)
		break
	}
}

// What comes from a Secret is content, which has to be written into files; what a server names by its path is not.
func TestHasContent(t *testing.T) {
	assert.False(t, (&Credential{CertFile: "c", KeyFile: "k", CAFile: "a"}).HasContent())
	assert.True(t, (&Credential{Cert: []byte("c"), Key: []byte("k")}).HasContent())
	assert.True(t, (&Credential{CA: []byte("a")}).HasContent())
}
