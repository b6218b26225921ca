package envoy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/plan"
)

// resourcesOf are resources in short: "cluster a=1" is a cluster named a, and with another number it is another one. The
// kinds are listener, cluster, routes, endpoints, plugin and secret; routes have one virtual host, with the number as its
// name and domain.
func resourcesOf(t *testing.T, texts ...string) *Resources {
	r := &Resources{}
	for _, text := range texts {
		var kind, name string
		var n uint32
		_, err := fmt.Sscanf(strings.ReplaceAll(text, "=", " "), "%s %s %d", &kind, &name, &n)
		require.NoError(t, err, text)
		number := fmt.Sprint(n)
		r.Set(map[string]proto.Message{
			"listener":  &listenerv3.Listener{Name: name, StatPrefix: number},
			"cluster":   &clusterv3.Cluster{Name: name, AltStatName: number},
			"routes":    &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{Name: number, Domains: []string{number}}}},
			"endpoints": &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{Priority: n}}},
			"plugin":    &corev3.TypedExtensionConfig{Name: name, TypedConfig: typed(&corev3.Locality{Zone: number})},
			"secret":    &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{PrivateKey: dataSource(number, nil)}}},
		}[kind])
	}
	return r
}

// describe writes a step as "kind: +what is set -what is removed"; of routes it has the domains.
func describe(s Step) string {
	var b strings.Builder
	b.WriteString(string(s.Kind) + ":")
	for _, r := range s.Set {
		b.WriteString(" +" + r.Name + "=")
		switch m := r.Message.(type) {
		case *listenerv3.Listener:
			b.WriteString(m.StatPrefix)
		case *clusterv3.Cluster:
			b.WriteString(m.AltStatName)
		case *endpointv3.ClusterLoadAssignment:
			fmt.Fprint(&b, m.Endpoints[0].Priority)
		case *corev3.TypedExtensionConfig:
			l := &corev3.Locality{}
			_ = m.TypedConfig.UnmarshalTo(l)
			b.WriteString(l.Zone)
		case *tlsv3.Secret:
			b.WriteString(m.GetTlsCertificate().PrivateKey.GetFilename())
		case *routev3.RouteConfiguration:
			for i, h := range m.VirtualHosts {
				b.WriteString(strings.Repeat(",", min(i, 1)) + strings.Join(h.Domains, ","))
			}
		}
	}
	for _, k := range s.Remove {
		b.WriteString(" -" + k.Name)
	}
	return b.String()
}

func TestSequence(t *testing.T) {
	full := []string{"listener l=1", "cluster c=1", "routes r=1", "endpoints c=1", "plugin p=1", "secret s=1"}
	for sentence, c := range map[string]struct {
		old, next []string // old nil: nothing is in force
		want      []string
	}{
		"the first start has nothing to merge or to remove": {nil, full, []string{
			"certificates: +s=1", "endpoints: +c=1", "clusters: +c=1", "routes: +r=1", "plugin configuration: +p=1", "listeners: +l=1"}},
		"nothing to do": {full, full, nil},
		"everything changes: routes have both, and the rest is replaced": {
			full, []string{"listener l=2", "cluster c=2", "routes r=2", "endpoints c=2", "plugin p=2", "secret s=2"}, []string{
				"certificates: +s=2", "endpoints: +c=2", "clusters: +c=2", "routes: +r=2,1", "plugin configuration: +p=2", "listeners: +l=2",
				"what nothing needs any more: +r=2"}},
		"everything has another name: the old stays until the end": {
			full, []string{"listener m=1", "cluster d=1", "routes q=1", "endpoints d=1", "plugin o=1", "secret t=1"}, []string{
				"certificates: +t=1", "endpoints: +d=1", "clusters: +d=1 +c=1", "routes: +q=1", "plugin configuration: +o=1", "listeners: +m=1 +l=1",
				"what nothing needs any more: +m=1 -l",
				"what nothing needs any more: -r -p", "what nothing needs any more: +d=1 -c -c -s"}},
		"everything goes": {full, []string{}, []string{
			"what nothing needs any more: -l", "what nothing needs any more: -r -p", "what nothing needs any more: -c -c -s"}},
		"endpoints alone": {full, []string{"listener l=1", "cluster c=1", "routes r=1", "endpoints c=2", "plugin p=1", "secret s=1"}, []string{"endpoints: +c=2"}},
		"a certificate alone": {full, []string{"listener l=1", "cluster c=1", "routes r=1", "endpoints c=1", "plugin p=1", "secret s=2"}, []string{
			"certificates: +s=2"}},
		"one of two of a type: of clusters and listeners all are set, of others the one": {
			[]string{"listener l=1", "listener m=1", "cluster c=1", "cluster d=1", "endpoints c=1", "endpoints d=1", "secret s=1", "secret t=1"},
			[]string{"listener l=1", "listener m=2", "cluster c=1", "cluster d=2", "endpoints c=1", "endpoints d=2", "secret s=1", "secret t=2"}, []string{
				"certificates: +t=2", "endpoints: +d=2", "clusters: +c=1 +d=2", "listeners: +l=1 +m=2"}},
		"a cluster comes and another goes": {
			[]string{"cluster a=1", "cluster b=1"}, []string{"cluster b=2", "cluster c=1"}, []string{
				"clusters: +b=2 +c=1 +a=1", "what nothing needs any more: +b=2 +c=1 -a"}},
		"a cluster goes: it is in force until the routes have changed": {
			[]string{"cluster a=1", "cluster b=1", "routes r=1"}, []string{"cluster b=1", "routes r=2"}, []string{
				"clusters: +b=1 +a=1", "routes: +r=2,1", "what nothing needs any more: +r=2", "what nothing needs any more: +b=1 -a"}},
		"names of different types are different": {
			[]string{"plugin a=1"}, []string{"plugin a=1", "secret a=1"}, []string{"certificates: +a=1"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			var old *Resources
			if c.old != nil {
				old = resourcesOf(t, c.old...)
			}
			before := fmt.Sprint(old)
			var got []string
			for _, s := range Sequence(old, resourcesOf(t, c.next...)) {
				got = append(got, describe(s))
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, before, fmt.Sprint(old), "what is in force is not changed")
		})
	}
}

// hostWith is a virtual host of rules, each named after its path, as one strategy builds it: "filter", "tree" or "list".
func hostWith(name, strategy, domains string, prefixes ...string) *routev3.VirtualHost {
	h := &plan.VirtualHost{Name: name, Domains: strings.Fields(domains)}
	for _, path := range prefixes {
		r := &plan.Rule{Name: path, DirectResponse: &plan.DirectResponse{Status: 200}, Match: plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: path}}}
		r.Seal()
		h.Rules = append(h.Rules, r)
	}
	rc := &plan.RouteConfig{Name: "r", VirtualHosts: []*plan.VirtualHost{h}}
	found, _ := newTree(h, len(h.Rules), free, &Options{Minor: 40})
	s := &strategies{of: map[*plan.VirtualHost]Strategy{h: Strategy(strategy)}, trees: map[*plan.VirtualHost]*tree{h: found}, filter: true}
	return virtualHost(rc, h, s, &Options{Minor: 40, Module: "x"})
}

// describeHost writes a virtual host as "name domains: how", where how is a sorted list of "map N" (the number of outcomes),
// "list N" and "tree" in the order in which Envoy tries them.
func describeHost(t *testing.T, h *routev3.VirtualHost) string {
	text := h.Name + " " + strings.Join(h.Domains, " ") + ":"
	if len(h.Routes) > 0 {
		text += fmt.Sprintf(" list %d", len(h.Routes))
	}
	if h.Matcher == nil {
		return text
	}
	if outcomes(h) == nil {
		return text + " tree"
	}
	text += fmt.Sprintf(" map %d", len(outcomes(h)))
	upgrades := h.Matcher.GetOnNoMatch().GetMatcher()
	require.Len(t, upgrades.GetMatcherList().GetMatchers(), 1, "upgrades are refused before anything else is tried")
	switch then := upgrades.GetOnNoMatch(); {
	case then.GetMatcher() != nil:
		text += " tree"
	case then.GetAction() != nil:
		list := &routev3.RouteList{}
		require.NoError(t, then.GetAction().TypedConfig.UnmarshalTo(list))
		text += fmt.Sprintf(" list %d", len(list.Routes))
	}
	return text
}

func TestMergeRoutes(t *testing.T) {
	for sentence, c := range map[string]struct {
		old, next []*routev3.VirtualHost
		want      []string
	}{
		"outcomes of both, those that are the same once": {
			[]*routev3.VirtualHost{hostWith("a", "filter", "a", "/same", "/old")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/same", "/new")},
			[]string{"a a: map 3"}},
		"a domain that is gone keeps its virtual host": {
			[]*routev3.VirtualHost{hostWith("gone", "filter", "gone", "/x")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/x")},
			[]string{"a a: map 1", "gone gone: map 1"}},
		"a virtual host that loses a domain keeps it under another name": {
			[]*routev3.VirtualHost{hostWith("a", "filter", "a b", "/old")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/new")},
			[]string{"a a: map 2", "a.old b: map 1"}},
		"that name may be taken": {
			[]*routev3.VirtualHost{hostWith("a", "list", "x", "/1"), hostWith("a.old", "list", "y", "/1", "/2")},
			[]*routev3.VirtualHost{hostWith("a", "list", "a", "/1"), hostWith("a.old", "list", "b", "/1")},
			[]string{"a a: list 1", "a.old b: list 1", "a.old.old x: list 1", "a.old.old.old y: list 2"}},
		"a domain that moves to another virtual host has the outcomes of both": {
			[]*routev3.VirtualHost{hostWith("a", "filter", "a b", "/old")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/new"), hostWith("b", "filter", "b", "/b")},
			[]string{"a a: map 2", "b b: map 2"}},
		"the filter decides from now on: the list is tried until the filter does": {
			[]*routev3.VirtualHost{hostWith("a", "list", "a", "/1", "/2")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/1")},
			[]string{"a a: map 1 list 2"}},
		"the filter decides from now on: the tree is tried until the filter does": {
			[]*routev3.VirtualHost{hostWith("a", "tree", "a", "/1", "/2")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/1")},
			[]string{"a a: map 1 tree"}},
		"two domains of one virtual host that were matched by different lists: each by its own": {
			[]*routev3.VirtualHost{hostWith("a", "list", "a", "/1", "/2"), hostWith("b", "list", "b", "/1")}, []*routev3.VirtualHost{hostWith("c", "filter", "a b", "/1")},
			[]string{"c a: map 1 list 2", "c.old b: map 1 list 1"}},
		"two domains of one virtual host, of which the filter decided for one: no list for that": {
			[]*routev3.VirtualHost{hostWith("a", "filter", "a", "/1"), hostWith("b", "list", "b", "/1")}, []*routev3.VirtualHost{hostWith("a", "filter", "a b", "/2")},
			[]string{"a a: map 2", "a.old b: map 1 list 1"}},
		"a domain out of a wildcard has the outcomes of both": {
			[]*routev3.VirtualHost{hostWith("s", "filter", "*.test", "/1")}, []*routev3.VirtualHost{hostWith("s", "filter", "*.test", "/1"), hostWith("a", "filter", "a.test", "/2")},
			[]string{"s *.test: map 1", "a a.test: map 2"}},
		"a domain out of a wildcard is matched by the list of that until the filter decides": {
			[]*routev3.VirtualHost{hostWith("s", "list", "*", "/1"), hostWith("t", "list", "*.test", "/1", "/2")},
			[]*routev3.VirtualHost{hostWith("s", "list", "*", "/1"), hostWith("t", "list", "*.test", "/1", "/2"), hostWith("a", "filter", "*.a.test", "/3")},
			[]string{"s *: list 1", "t *.test: list 2", "a *.a.test: map 1 list 2"}},
		"a domain that goes back to a wildcard has the outcomes of both": {
			[]*routev3.VirtualHost{hostWith("s", "filter", "*.test", "/1"), hostWith("a", "filter", "a.test", "/2")}, []*routev3.VirtualHost{hostWith("s", "filter", "*.test", "/1")},
			[]string{"s *.test: map 1", "a a.test: map 2"}},
		"a domain that goes back to a wildcard that Envoy matches: at once": {
			[]*routev3.VirtualHost{hostWith("s", "list", "*.test", "/1"), hostWith("a", "filter", "a.test", "/2")}, []*routev3.VirtualHost{hostWith("s", "list", "*.test", "/1")},
			[]string{"s *.test: list 1"}},
		"a host without rules is nothing to fall back to": {
			[]*routev3.VirtualHost{hostWith("a", "list", "a")}, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/1")},
			[]string{"a a: map 1"}},
		"Envoy matches by itself from now on: at once": {
			[]*routev3.VirtualHost{hostWith("a", "filter", "a", "/1")}, []*routev3.VirtualHost{hostWith("a", "list", "a", "/1", "/2")},
			[]string{"a a: list 2"}},
		"Envoy matches by itself, before and after": {
			[]*routev3.VirtualHost{hostWith("a", "list", "a", "/1")}, []*routev3.VirtualHost{hostWith("a", "tree", "a", "/1", "/2")},
			[]string{"a a: tree"}},
		"nothing was there": {nil, []*routev3.VirtualHost{hostWith("a", "filter", "a", "/1")}, []string{"a a: map 1"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			old, next := &routev3.RouteConfiguration{Name: "r", VirtualHosts: c.old}, &routev3.RouteConfiguration{Name: "r", VirtualHosts: c.next}
			oldBefore, nextBefore := proto.CloneOf(old), proto.CloneOf(next)
			merged, unreachable := mergeHosts(old.VirtualHosts, next.VirtualHosts)
			var got []string
			for _, h := range merged {
				got = append(got, describeHost(t, h))
			}
			assert.Equal(t, c.want, got)
			assert.NoError(t, validatePacked(&routev3.RouteConfiguration{Name: "r", VirtualHosts: merged}))
			reached := slices.ContainsFunc(got, func(h string) bool {
				return strings.Contains(h, "map") && (strings.Contains(h, "list") || strings.Contains(h, "tree"))
			}) ||
				slices.ContainsFunc(merged, func(h *routev3.VirtualHost) bool {
					return outcomes(h) == nil && byDomain(next.VirtualHosts)[h.Domains[0]] == nil
				})
			assert.Equal(t, !reached, unreachable, "what is more than in next is in maps alone")
			assert.True(t, proto.Equal(oldBefore, old) && proto.Equal(nextBefore, next), "neither is changed")
		})
	}
}

// Of one id the entry of next counts, although both mean the same: the cleanup changes nothing then.
func TestOutcomesOfNextCount(t *testing.T) {
	old, next := hostWith("a", "filter", "a", "/1"), hostWith("a", "filter", "a", "/1")
	id := slices.Collect(maps.Keys(outcomes(old)))[0]
	outcomes(old)[id].GetAction().Name = "old"
	merged, _ := mergeHosts([]*routev3.VirtualHost{old}, []*routev3.VirtualHost{next})
	assert.Equal(t, "route", outcomes(merged[0])[id].GetAction().Name)
}
