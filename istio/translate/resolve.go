package translate

import (
	"slices"

	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// resolveNames returns copies of the VirtualServices in which every short name of a host or destination and every name
// of a Gateway is expanded in the namespace of the resource (VS-NAME-01, VS-SEL-02).
func resolveNames(all []*resource.VirtualService, domain string) []*resource.VirtualService {
	out := make([]*resource.VirtualService, len(all))
	for i, vs := range all {
		spec := proto.Clone(vs.Spec).(*istio.VirtualService)
		full := func(name string) string {
			if vs.IsRoute() {
				return name
			}
			return names.FullName(name, vs.Namespace, domain)
		}
		for j, h := range spec.Hosts {
			spec.Hosts[j] = full(h)
		}
		resolveGateways(spec.Gateways, vs.Namespace)
		for _, rule := range spec.Http {
			for _, m := range rule.GetMatch() {
				resolveGateways(m.GetGateways(), vs.Namespace)
			}
		}
		for _, rule := range spec.Tcp {
			for _, m := range rule.GetMatch() {
				resolveGateways(m.GetGateways(), vs.Namespace)
			}
		}
		for _, rule := range spec.Tls {
			for _, m := range rule.GetMatch() {
				resolveGateways(m.GetGateways(), vs.Namespace)
			}
		}
		for _, d := range Destinations(spec) {
			d.Host = full(d.Host)
		}
		out[i] = &resource.VirtualService{Object: vs.Object, Spec: spec}
	}
	return out
}

func resolveGateways(list []string, namespace string) {
	for i, name := range list {
		list[i] = names.GatewayKey(name, namespace)
	}
}

// Destinations are all destinations that the rules of a VirtualService name, as they stand in it.
func Destinations(vs *istio.VirtualService) (all []*istio.Destination) {
	for _, rule := range vs.GetHttp() {
		all = append(all, namedBy(rule)...)
	}
	for _, rule := range vs.GetTcp() {
		all = append(all, forwardedTo(rule.GetRoute())...)
	}
	for _, rule := range vs.GetTls() {
		all = append(all, forwardedTo(rule.GetRoute())...)
	}
	return all
}

func forwardedTo(routes []*istio.RouteDestination) (all []*istio.Destination) {
	for _, to := range routes {
		if d := to.GetDestination(); d != nil {
			all = append(all, d)
		}
	}
	return all
}

// namedBy are all destinations that a rule names, in its routes and its mirrors.
func namedBy(rule *istio.HTTPRoute) []*istio.Destination {
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
