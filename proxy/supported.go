package proxy

import (
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
// without, and the clusters that it can reach. Requests to the others get 503. What is left out is a warning each; a
// cluster is left out, too, if its certificates cannot be used.
func Servable(p *plan.Plan) (*plan.Plan, diag.Findings) {
	out := *p
	var left diag.Findings
	out.Listeners = nil
	for _, l := range p.Listeners {
		switch what := notServed(l); what {
		case "":
			out.Listeners = append(out.Listeners, l)
		default:
			left.Add(diag.Warning, "", diag.Name("listener "+l.Name), "", "is left out: %s: %s", what, instead)
		}
	}
	out.Clusters = nil
	for _, c := range p.Clusters {
		switch what := notReached(c); what {
		case "":
			out.Clusters = append(out.Clusters, c)
		default:
			left.Add(diag.Warning, "", diag.Name("cluster "+c.Name), "", "is left out, and its requests get 503: %s", what)
		}
	}
	return &out, left
}

// notReached says why a cluster cannot be reached, or "".
func notReached(c *plan.Cluster) string {
	if c.Discovery == plan.OriginalDestination { // SE-02, VS-MESH-05
		return "it sends to a connection's original destination, which the embedded data plane does not know; use --engine envoy, block unknown hosts with --outbound-traffic-policy REGISTRY_ONLY, or give the service an address"
	}
	if c.TLS == nil {
		return ""
	}
	if _, err := newEncryptor(c); err != nil {
		return err.Error()
	}
	return ""
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

// supported returns an error with everything in a plan that the embedded data plane does not execute, or nil. What
// [Servable] leaves out is not in it.
func supported(p *plan.Plan, behaviour version.Behaviour) error {
	var found diag.Findings
	for rc := range p.RouteConfigs() {
		for _, h := range rc.VirtualHosts {
			if why := pluginconfig.TooCostly(h, behaviour); why != "" {
				found.Add(diag.Error, "", diag.Name("virtual host "+h.Name), "expressions that are left to Envoy", "%s; use --engine envoy", why)
			}
		}
	}
	for r := range p.Rules() {
		for _, c := range r.Match.Claims {
			found.Add(diag.Error, "", r, "a match on the claim "+strings.Join(c.Path, ".")+" of a JWT", "the filter knows no tokens; take the rule out")
		}
		for _, operator := range effect.Operators(r) {
			name, _, _ := strings.Cut(operator, "(")
			if !slices.Contains(effect.Evaluated, name) {
				found.Add(diag.Error, "", r, "%"+operator+"% in a header operation", instead)
			}
		}
	}
	return found.Err()
}
