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

// supported returns an error with everything in a plan that the embedded data plane does not execute, or nil.
func supported(p *plan.Plan, behaviour version.Behaviour) error {
	const instead = "the embedded data plane does not execute it; use --engine envoy"
	var found diag.Findings
	for _, l := range p.Listeners {
		if len(l.Chains) != 1 || l.Chains[0].Routes == nil || l.Chains[0].TLS != nil {
			found.Add(diag.Error, "", diag.Name("listener "+l.Name), "TLS or TCP", instead)
		}
	}
	for rc := range p.RouteConfigs() {
		for _, h := range rc.VirtualHosts {
			if why := pluginconfig.TooCostly(h, behaviour); why != "" {
				found.Add(diag.Error, "", diag.Name("virtual host "+h.Name), "expressions that are left to Envoy", "%s; use --engine envoy", why)
			}
		}
	}
	for rc := range p.RouteConfigs() {
		if rc.GRPCWeb {
			found.Add(diag.Error, "", diag.Name("routes "+rc.Name), "gRPC-Web", instead)
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
	for _, c := range p.Clusters {
		if c.Discovery == plan.OriginalDestination { // SE-02, VS-MESH-05
			found.Add(diag.Error, "", diag.Name("cluster "+c.Name), "sending to a connection's original destination", "the embedded data plane does not know it; use --engine envoy, block unknown hosts with --outbound-traffic-policy REGISTRY_ONLY, or give the service an address")
		}
		if c.HTTP2 {
			found.Add(diag.Error, "", diag.Name("cluster "+c.Name), "HTTP/2", instead)
		}
	}
	return found.Err()
}
