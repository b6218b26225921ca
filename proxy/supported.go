package proxy

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
)

const instead = "the embedded data plane does not execute it; use --engine envoy"

// Servable returns the part of a plan that the embedded data plane can serve: the listeners that speak HTTP, with TLS or
// without, the rules that it can execute, and the clusters that it can reach. Requests for the other rules and clusters get
// 503. What is left out is a warning each; a cluster is left out, too, if its certificates cannot be used. behaviour is that
// of the Envoy as which rules are decided.
func Servable(p *plan.Plan, behaviour version.Behaviour) (*plan.Plan, diag.Findings) {
	out, _, left := servable(p, behaviour)
	return out, left
}

// servable is [Servable], and returns what makes the connections to each cluster with TLS as well, by its name.
func servable(p *plan.Plan, behaviour version.Behaviour) (*plan.Plan, map[string]*encryptor, diag.Findings) {
	out := *p
	var left diag.Findings
	encryptors := map[string]*encryptor{}
	out.Listeners = nil
	for _, l := range p.Listeners {
		switch what := notServed(l); what {
		case "":
			out.Listeners = append(out.Listeners, withoutUnservable(l, behaviour, &left))
		default:
			left.Add(diag.Warning, "", diag.Name("listener "+l.Name), "", "is left out: %s: %s", what, instead)
		}
	}
	out.Clusters = nil
	for _, c := range p.Clusters {
		e, err := reach(c)
		if err != nil {
			left.Add(diag.Warning, "", diag.Name("cluster "+c.Name), "", "is left out, and its requests get 503: %s", err)
			continue
		}
		out.Clusters = append(out.Clusters, c)
		if e != nil {
			encryptors[c.Name] = e
		}
	}
	return &out, encryptors, once(left)
}

// once removes repetitions: a rule of a VirtualService with several Gateways, or a virtual host, may be in several listeners.
func once(findings diag.Findings) diag.Findings {
	known := map[string]bool{}
	return slices.DeleteFunc(findings, func(f diag.Finding) bool {
		key := f.String()
		repeats := known[key]
		known[key] = true
		return repeats
	})
}

// reach returns what makes the connections to a cluster with TLS; nil for one without. The error says why the cluster cannot
// be reached.
func reach(c *plan.Cluster) (*encryptor, error) {
	if c.Discovery == plan.OriginalDestination { // SE-02, VS-MESH-05
		return nil, errors.New("it sends to a connection's original destination, which the embedded data plane does not know; use --engine envoy, block unknown hosts with --outbound-traffic-policy REGISTRY_ONLY, or give the service an address")
	}
	if c.TLS == nil {
		return nil, nil
	}
	return newEncryptor(c)
}

// notServed says why a listener cannot be served, or "".
func notServed(l *plan.Listener) string {
	for _, c := range l.Chains {
		switch {
		case c.Routes == nil:
			return "it forwards connections"
		case c.TLS != nil && len(c.TLS.SubjectAltNames)+len(c.TLS.SPKI)+len(c.TLS.Hashes) > 0:
			return "it accepts certain client certificates"
		case c.TLS != nil && c.TLS.Authority != nil && revokes(c.TLS.Authority):
			return "it checks a list of revoked client certificates"
		case (c.TLS == nil) != (l.Chains[0].TLS == nil):
			return "it serves TLS and plain text on one port"
		case c.Routes.GRPCWeb:
			return "it speaks gRPC-Web"
		}
	}
	return ""
}

// withoutUnservable returns a listener in which rules that cannot be executed answer 503. They keep their conditions, since
// another rule must not get their requests.
func withoutUnservable(l *plan.Listener, behaviour version.Behaviour, left *diag.Findings) *plan.Listener {
	out := *l
	out.Chains = make([]*plan.FilterChain, len(l.Chains))
	for i, c := range l.Chains {
		chain, routes := *c, *c.Routes
		routes.VirtualHosts = make([]*plan.VirtualHost, len(c.Routes.VirtualHosts))
		for j, h := range c.Routes.VirtualHosts {
			routes.VirtualHosts[j] = withoutUnservableRules(h, behaviour, left)
		}
		chain.Routes = &routes
		out.Chains[i] = &chain
	}
	return &out
}

func withoutUnservableRules(h *plan.VirtualHost, behaviour version.Behaviour, left *diag.Findings) *plan.VirtualHost {
	out := *h
	if why := pluginconfig.TooCostly(h, behaviour); why != "" {
		left.Add(diag.Warning, "", diag.Name("virtual host "+h.Name), "", "answers 503: %s; use --engine envoy", why)
		out.Rules = []*plan.Rule{unavailable(&plan.Rule{Name: "unavailable", Match: plan.Match{Unconditional: true}})}
		return &out
	}
	out.Rules = make([]*plan.Rule, len(h.Rules))
	for i, r := range h.Rules {
		out.Rules[i] = r
		for _, operator := range effect.Operators(r) {
			name, _, _ := strings.Cut(operator, "(")
			if !slices.Contains(effect.Evaluated, name) {
				left.Add(diag.Warning, "", r, "", "answers 503: %%%s%% in a header operation: %s", operator, instead)
				out.Rules[i] = unavailable(r)
				break
			}
		}
		if len(r.Match.Claims) > 0 {
			left.Add(diag.Warning, "", r, "", "matches on the claim %s of a JWT: there are no tokens here, so that no claim has a value, as in an Envoy without a JWT filter", strings.Join(r.Match.Claims[0].Path, "."))
		}
	}
	return &out
}

// unavailable is a rule with the conditions of another one that answers 503.
func unavailable(r *plan.Rule) *plan.Rule {
	out := &plan.Rule{Origin: r.Origin, Root: r.Root, Name: r.Name, Source: r.Source, Match: r.Match, DirectResponse: &plan.DirectResponse{Status: http.StatusServiceUnavailable}}
	out.Seal()
	return out
}
