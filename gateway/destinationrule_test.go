package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// hashed is a DestinationRule that hashes by a header of the given name.
func hashed(name, host, header, more string) string {
	return object("DestinationRule", name, "host: '"+host+"'\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: "+header+"}}}\n"+more)
}

// Which DestinationRules hold for a destination, seen by the hash policy of its route (sections 9.1 and 9.3).
func TestDestinationRules(t *testing.T) {
	to := func(destination string) string { return ruled("a", "- {route: [{destination: {"+destination+"}}]}") }
	svc := everything + entry("shop/svc", "svc.com", "", 80) + to("host: svc.com")
	const by = "x/ => hashPolicy.0.header.headerName="
	check(t, "", []fact{
		{"the service's namespace is asked before the root's (DR-SEL-01)", svc + hashed("istio-system/r", "svc.com", "root", "") + hashed("shop/s", "svc.com", "shop", ""), []string{by + "shop"}},
		{"a rule of the root namespace is for everybody (DR-SEL-01)", svc + hashed("istio-system/r", "*.com", "root", ""), []string{by + "root"}},
		{"rules of other namespaces are nothing (DR-SEL-01)", svc + hashed("default/d", "svc.com", "d", ""), []string{"x/ => hashPolicy=-"}},
		{"a proxy in the root namespace asks first for rules that are private there (DR-SEL-01, DR-SEL-02)", svc + hashed("istio-system/r", "*.com", "root", "exportTo: [.]") + hashed("shop/s", "svc.com", "shop", ""), []string{by + "root"}},
		{"in a namespace the exact host wins, else the longest wildcard (DR-SEL-01)", svc + hashed("shop/a", "*", "any", "") + hashed("shop/b", "*.com", "com", ""), []string{by + "com"}},
		{"a rule that is exported elsewhere hides a wildcard for all (DR-SEL-01)", svc + hashed("shop/a", "svc.com", "exact", "exportTo: [other]") + hashed("shop/b", "*.com", "wild", "") + hashed("istio-system/r", "svc.com", "root", ""), []string{by + "root"}},
		{"one that is private to its namespace hides nothing (DR-SEL-01)", svc + hashed("shop/a", "svc.com", "exact", "exportTo: [.]") + hashed("shop/b", "*.com", "wild", ""), []string{by + "wild"}},
		{"a rule with a selector is for proxies of its namespace with these labels, and comes first (DR-SEL-03)",
			svc + hashed("istio-system/a", "svc.com", "general", "") + hashed("istio-system/b", "svc.com", "mine", "workloadSelector: {matchLabels: {istio: ingressgateway}}"), []string{by + "mine"}},
		{"it is nothing to proxies elsewhere (DR-SEL-03)", svc + hashed("shop/b", "svc.com", "theirs", "workloadSelector: {matchLabels: {istio: ingressgateway}}"), []string{"x/ => hashPolicy=-"}},
		{"of several rules for a host the first policy counts, and all subsets (DR-SEL-04)",
			everything + entry("shop/svc", "svc.com", "", 80) + to("host: svc.com, subset: two") +
				object("DestinationRule", "shop/a", "host: svc.com\nsubsets: [{name: one}]") + hashed("shop/b", "svc.com", "second", "subsets: [{name: two, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}]") + hashed("shop/c", "svc.com", "third", "subsets: [{name: two}]"),
			[]string{"x/ => hashPolicy.#=1 hashPolicy.0.connectionProperties.sourceIp=true"}},
		{"rules with other exports are kept apart, and the last is found (DR-SEL-04)", svc + hashed("shop/a", "svc.com", "first", "exportTo: [istio-system]") + hashed("shop/b", "svc.com", "second", "exportTo: ['*']"), []string{by + "second"}},
		{"a short host is the service beside the rule (DR-SEL-05)", everything + entry("shop/svc", "svc.shop.svc.cluster.local", "", 80) + to("host: svc.shop.svc.cluster.local") + hashed("shop/a", "svc", "short", ""), []string{by + "short"}},
		{"without a service there is no rule", everything + to("host: svc.com") + hashed("istio-system/r", "svc.com", "root", ""), []string{"x/ => hashPolicy=- retryPolicy.retryHostPredicate.#=1"}},

		{"a hash by cookie, query parameter and address (DR-HASH-02, DR-HASH-03)",
			everything + entry("a", "a.com", "", 80) + entry("b", "b.com", "", 80) + entry("c", "c.com", "", 80) +
				object("DestinationRule", "a", "host: a.com\ntrafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: 'n', path: /p, ttl: 0s}}}}") +
				object("DestinationRule", "b", "host: b.com\ntrafficPolicy: {loadBalancer: {consistentHash: {httpQueryParameterName: q}}}") +
				object("DestinationRule", "c", "host: c.com\ntrafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}") +
				ruled("a", "- {route: [{destination: {host: a.com}, weight: 1}, {destination: {host: b.com}, weight: 1}, {destination: {host: c.com}, weight: 1}]}"),
			[]string{"x/ => hashPolicy.0.cookie.name=n hashPolicy.0.cookie.path=/p hashPolicy.0.cookie.ttl=0s hashPolicy.1.queryParameter.name=q hashPolicy.2.connectionProperties.sourceIp=true"}},
		{"a hash holds a single destination to its hosts, also by a retry (VS-RETRY-06)", svc + hashed("shop/s", "svc.com", "h", ""), []string{"x/ => retryPolicy.retryHostPredicate=-"}},
		{"several destinations are not held (VS-RETRY-06, VS-SPLIT-09)", everything + entry("shop/svc", "svc.com", "", 80) + hashed("shop/s", "svc.com", "h", "") + ruled("a", "- {route: [{destination: {host: svc.com}, weight: 1}, {destination: {host: svc.com, port: {number: 80}}, weight: 1}]}"),
			[]string{"x/ => hashPolicy.#=2 retryPolicy.retryHostPredicate.#=1"}},
		{"settings of a port count if the destination names it (DR-HASH-04)",
			everything + entry("shop/svc", "svc.com", "", 80) + object("DestinationRule", "shop/s", "host: svc.com\ntrafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {consistentHash: {httpHeaderName: p}}}]}") +
				ruled("a", "- {match: [{uri: {exact: /1}}], route: [{destination: {host: svc.com}}]}\n- {route: [{destination: {host: svc.com, port: {number: 80}}}]}"),
			[]string{"x/1 => hashPolicy=-", "x/2 => hashPolicy.0.header.headerName=p"}},
		{"settings of a port or a subset without a hash leave the rule's (DR-HASH-04)",
			everything + entry("shop/svc", "svc.com", "", 80) + object("DestinationRule", "shop/s", "host: svc.com\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: top}}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}\nsubsets: [{name: v, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]") +
				to("host: svc.com, port: {number: 80}, subset: v"),
			[]string{"x/ => hashPolicy.0.header.headerName=top"}},
		{"the subset's port comes before the subset, that before the rule's port (DR-HASH-04)",
			everything + entry("shop/svc", "svc.com", "", 80, 81) + object("DestinationRule", "shop/s", "host: svc.com\ntrafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {consistentHash: {httpHeaderName: p80}}}, {port: {number: 81}, loadBalancer: {consistentHash: {httpHeaderName: p81}}}]}\n"+
				"subsets: [{name: v, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: v}}, portLevelSettings: [{port: {number: 80}, loadBalancer: {consistentHash: {httpHeaderName: v80}}}]}}]") +
				ruled("a", "- {match: [{uri: {exact: /1}}], route: [{destination: {host: svc.com, subset: v, port: {number: 80}}}]}\n- {match: [{uri: {exact: /2}}], route: [{destination: {host: svc.com, subset: v, port: {number: 81}}}]}\n- {route: [{destination: {host: svc.com, port: {number: 81}}}]}"),
			[]string{"x/1 => hashPolicy.0.header.headerName=v80", "x/2 => hashPolicy.0.header.headerName=v", "x/3 => hashPolicy.0.header.headerName=p81"}},
	})
}

// Which service a host is, seen by the port of a destination without one (VS-SPLIT-02, SE-08).
func TestServices(t *testing.T) {
	to := ruled("a", "- {route: [{destination: {host: svc.com}}]}")
	check(t, everything, []fact{
		{"the older ServiceEntry wins, then the one of the earlier namespace (SE-08)", to + entry("b/z@2020-01-02", "svc.com", "", 2) + entry("c/a@2020-01-01", "svc.com", "", 1), []string{"x/ => clusters.0.name=outbound|1||svc.com"}},
		{"of the same age, the namespace decides before the name (SE-08)", to + entry("b/z", "svc.com", "", 2) + entry("c/a", "svc.com", "", 1), []string{"x/ => clusters.0.name=outbound|2||svc.com"}},
		{"one in the VirtualService's namespace comes before older ones elsewhere", to + entry("b/old@2020-01-01", "svc.com", "", 1) + entry("default/own", "svc.com", "", 2), []string{"x/ => clusters.0.name=outbound|2||svc.com"}},
		{"one for this proxy's namespace alone comes before public ones", to + entry("b/old@2020-01-01", "svc.com", "", 1) + entry("c/given", "svc.com", "exportTo: [istio-system]", 2), []string{"x/ => clusters.0.name=outbound|2||svc.com"}},
		{"one that is not exported is not there (SE-10)", to + entry("b/hidden", "svc.com", "exportTo: [.]", 1), []string{"x/ => clusters.0.name=outbound|80||svc.com"}},
		{"entries of one namespace that agree are one service, with all ports", to + entry("b/one", "svc.com", "", 1) + entry("b/two", "svc.com", "", 2), []string{"x/ => clusters.0.name=outbound|80||svc.com"}},
		{"a Kubernetes Service wins over an older ServiceEntry of its host (SE-08)",
			ruled("a", "- {route: [{destination: {host: svc.shop.svc.cluster.local}}]}") + entry("shop/e@2020-01-01", "svc.shop.svc.cluster.local", "", 1) + object("Service", "shop/svc", "ports: [{name: http, port: 2}]"),
			[]string{"x/ => clusters.0.name=outbound|2||svc.shop.svc.cluster.local"}},
	})
}

// DR-SEL-02: what a proxy of another namespace than the root's finds in its own comes first.
func TestDestinationRulesOfTheProxy(t *testing.T) {
	p, _ := translated(t, everything+entry("shop/svc", "svc.com", "", 80)+ruled("a", "- {route: [{destination: {host: svc.com}}]}")+
		hashed("edge/e", "*", "edge", "")+hashed("edge/f", "svc.com", "elsewhere", "exportTo: [other]")+hashed("shop/s", "svc.com", "shop", ""), translate.Options{Namespace: "edge"})
	require.Len(t, p.Listeners, 1)
	assert.Equal(t, []plan.HashPolicy{{Header: "edge"}}, p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules[0].Route.HashPolicies)
}
