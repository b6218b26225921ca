package gateway

import (
	"slices"

	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"
)

// resolveNames returns copies of the VirtualServices in which every short name of a host or a destination and every
// name of a Gateway is written out, in the namespace of the resource (VS-NAME-01, VS-SEL-02).
func resolveNames(all []*VirtualService, domain string) []*VirtualService {
	out := make([]*VirtualService, len(all))
	for i, vs := range all {
		spec := proto.Clone(vs.Spec).(*istio.VirtualService)
		full := func(name string) string {
			if vs.isRoute() {
				return name
			}
			return fullName(name, vs.Namespace, domain)
		}
		for j, h := range spec.Hosts {
			spec.Hosts[j] = full(h)
		}
		resolveGateways(spec.Gateways, vs.Namespace)
		for _, rule := range spec.Http {
			for _, m := range rule.GetMatch() {
				resolveGateways(m.GetGateways(), vs.Namespace)
			}
			for _, d := range destinations(rule) {
				d.Host = full(d.Host)
			}
		}
		forwarded := func(routes []*istio.RouteDestination) {
			for _, r := range routes {
				if d := r.GetDestination(); d != nil {
					d.Host = full(d.Host)
				}
			}
		}
		for _, rule := range spec.Tcp {
			for _, m := range rule.GetMatch() {
				resolveGateways(m.GetGateways(), vs.Namespace)
			}
			forwarded(rule.GetRoute())
		}
		for _, rule := range spec.Tls {
			for _, m := range rule.GetMatch() {
				resolveGateways(m.GetGateways(), vs.Namespace)
			}
			forwarded(rule.GetRoute())
		}
		out[i] = &VirtualService{vs.Object, spec}
	}
	return out
}

func resolveGateways(names []string, namespace string) {
	for i, name := range names {
		names[i] = gatewayKey(name, namespace)
	}
}

// destinations are all that a rule names: of its routes and of its mirrors.
func destinations(rule *istio.HTTPRoute) []*istio.Destination {
	var out []*istio.Destination
	for _, r := range rule.GetRoute() {
		out = append(out, r.GetDestination())
	}
	out = append(out, rule.GetMirror())
	for _, m := range rule.GetMirrors() {
		out = append(out, m.GetDestination())
	}
	return slices.DeleteFunc(out, func(d *istio.Destination) bool { return d == nil })
}

// gatewaysOf are the Gateways that a VirtualService is bound to: none means the mesh alone (VS-SEL-01).
func gatewaysOf(vs *VirtualService) []string {
	if len(vs.Spec.Gateways) == 0 {
		return []string{meshGateway}
	}
	return vs.Spec.Gateways
}
