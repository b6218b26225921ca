package resource

import (
	"fmt"
	"net/netip"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// unfit reports the values of a Kubernetes object that an API server refuses although their type is right, as far as they
// would become addresses and ports of Envoy. The object is left out then. The rules are those of Kubernetes' validation
// (ValidateEndpointSlice, validateServicePort).
func (r *reader) unfit(o *Object, object any) bool {
	found := false
	refuse := func(field, format string, args ...any) {
		found = true
		r.input.Findings.Add(r.lost(), SchemaCode, o, field, format+"; the object is left out", args...)
	}
	port := func(field string, n int32) {
		if n < 1 || n > 65535 {
			refuse(field, "%d is not a valid port", n)
		}
	}
	switch k := object.(type) {
	case *core.Service:
		for i, p := range k.Spec.Ports {
			at := fmt.Sprintf("spec.ports[%d].", i)
			port(at+"port", p.Port)
			if p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal != 0 {
				port(at+"targetPort", p.TargetPort.IntVal)
			}
		}
	case *discovery.EndpointSlice:
		for i, p := range k.Ports {
			if p.Port != nil {
				port(fmt.Sprintf("ports[%d].port", i), *p.Port)
			}
		}
		for i, e := range k.Endpoints {
			for j, a := range e.Addresses {
				if what := unfitAddress(k.AddressType, a); what != "" {
					refuse(fmt.Sprintf("endpoints[%d].addresses[%d]", i, j), "%q is not %s", a, what)
				}
			}
		}
	}
	return found
}

// unfitAddress says what an address of an EndpointSlice must be and is not, or "".
func unfitAddress(kind discovery.AddressType, address string) string {
	ip, err := netip.ParseAddr(address)
	switch {
	case kind == discovery.AddressTypeIPv4 && (err != nil || !ip.Is4()):
		return "an IPv4 address"
	case kind == discovery.AddressTypeIPv6 && (err != nil || !ip.Is6()):
		return "an IPv6 address"
	case err != nil && len(validation.IsDNS1123Subdomain(address)) > 0:
		return "an IP address or a host name"
	default:
		return ""
	}
}
