package explain

import (
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// boundHosts are the hosts of a VirtualService, and the Gateways that it is bound to.
type boundHosts struct {
	key      string // namespace/name
	domains  plan.VirtualHost
	gateways []string
	object   *resource.Object
}

// hostsOf are the VirtualServices of a set that have hosts and rules for HTTP.
func hostsOf(set *resource.Set, clusterDomain string) []boundHosts {
	var out []boundHosts
	for _, vs := range set.VirtualServices {
		b := boundHosts{key: vs.Key(), object: vs.Object}
		for _, h := range vs.Spec.GetHosts() {
			if !vs.IsRoute() {
				h = names.FullName(h, vs.Namespace, clusterDomain)
			}
			b.domains.Domains = append(b.domains.Domains, strings.ToLower(h))
		}
		for _, g := range names.GatewaysOf(vs.Spec) {
			b.gateways = append(b.gateways, names.GatewayKey(g, vs.Namespace))
		}
		if len(b.domains.Domains) > 0 && len(vs.Spec.GetHttp()) > 0 {
			out = append(out, b)
		}
	}
	return out
}

// dropped are the rules of the VirtualServices for the request's host that the listener does not have.
func (x *Explainer) dropped(w *verdict.Walk) []Dropped {
	ours := map[string]bool{} // the VirtualServices of the host; true if it is known why one is not on the listener
	seen := map[string]bool{} // rules that are there, and those that were listed
	if w.Host != nil {
		for _, r := range w.Host.Rules {
			ours[r.VirtualService()] = true
			seen[r.String()] = true
		}
	}
	for _, b := range x.bound {
		if !ours[b.key] && effect.Domain(&b.domains, w.Received.Authority) != "" {
			ours[b.key] = false
		}
	}
	out := []Dropped{}
	for _, d := range slices.Concat(w.Chain.Routes.Dropped, x.plan.Dropped) {
		key := d.Origin.Key()
		if d.Root.Kind != "" {
			key = d.Root.Key()
		}
		if _, ok := ours[key]; d.Origin.Kind != "VirtualService" || !ok {
			continue
		}
		ours[key] = true
		if seen[d.String()] {
			continue // another Gateway of the listener has it
		}
		seen[d.String()] = true
		out = append(out, Dropped{d.String(), d.Source.File, d.Source.Line, why(d, w)})
	}
	for _, b := range x.bound {
		if known, ok := ours[b.key]; known || !ok || x.isServed(w.Chain.Routes, b.key) {
			continue
		}
		place := b.object.Place("")
		out = append(out, Dropped{b.key, place.File, place.Line, notHere(b, w)})
	}
	return out
}

// why is the reason for which a rule was dropped, in the words of the listener where these say more.
func why(d plan.Dropped, w *verdict.Walk) string {
	switch d.Code {
	case plan.DropPort:
		return fmt.Sprintf("its match is for another port than this listener's, %d", w.Chain.Routes.Port)
	case plan.DropGateway:
		return "its match is for other gateways than this listener's, " + gateways(w)
	default:
		return d.Why()
	}
}

// notHere is why a VirtualService of the host has no rule on a listener, though it may have some on others.
func notHere(b boundHosts, w *verdict.Walk) string {
	here := w.Chain.Gateways
	if len(here) == 0 {
		here = []string{names.MeshGateway}
	}
	if !slices.ContainsFunc(b.gateways, func(g string) bool { return slices.Contains(here, g) }) {
		return fmt.Sprintf("it is bound to %s, and this listener is for %s", strings.Join(b.gateways, ", "), gateways(w))
	}
	return "no server of this listener has its host, or another VirtualService has it"
}

// isServed reports whether a VirtualService has a rule in any virtual host of a listener. One that has no rule in the
// virtual host of the request has its rules in a less specific one then, which was passed over.
func (x *Explainer) isServed(rc *plan.RouteConfig, key string) bool {
	served, ok := x.served[rc]
	if !ok {
		served = map[string]bool{}
		for _, h := range rc.VirtualHosts {
			for _, r := range h.Rules {
				served[r.VirtualService()] = true
			}
		}
		x.served[rc] = served
	}
	return served[key]
}

// gateways names what the chain of a walk serves.
func gateways(w *verdict.Walk) string {
	if len(w.Chain.Gateways) == 0 {
		return names.MeshGateway
	}
	return strings.Join(w.Chain.Gateways, ", ")
}
