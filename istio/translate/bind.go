package translate

import (
	"strconv"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// noPortTranslation is the label of Services whose target ports are not used as ports to bind (GW-PORT-01).
const noPortTranslation = "experimental.istio.io/disable-gateway-port-translation"

// bindings finds the ports that servers bind.
type bindings struct {
	services []*resource.Service // those that select the proxy, in order
	pods     *podIndex
	slices   []*resource.EndpointSlice
	findings *diag.Findings
	reported map[*core.ServicePort]bool
}

func newBindings(r *resource.Set, o *Options, d *destinations, findings *diag.Findings) *bindings {
	return &bindings{orderBoundServices(r.Services, o), d.pods, d.slices, findings, map[*core.ServicePort]bool{}}
}

// port gives the port that a server binds. The number of a server refers to a port of the oldest Service that selects
// the proxy and has the port: its target port is bound. Without such a Service, that is the number itself (GW-PORT-01).
func (b *bindings) port(s *istio.Server) uint32 {
	number := s.GetPort().GetNumber()
	for _, svc := range b.services {
		if _, off := svc.Labels[noPortTranslation]; off {
			continue
		}
		for i := range svc.Spec.Ports {
			if p := &svc.Spec.Ports[i]; uint32(p.Port) == number {
				return b.target(svc, p, "spec.ports["+strconv.Itoa(i)+"].targetPort")
			}
		}
	}
	return number
}

// target is the number of the target port of a Service. One that is given by name is the number of a port of the
// Service's Pods, or else of its EndpointSlices. If it is in neither, that is an error, once for each port, and the
// result is the port of the Service.
func (b *bindings) target(svc *resource.Service, p *core.ServicePort, field string) uint32 {
	name := p.TargetPort.StrVal
	switch {
	case p.TargetPort.IntValue() > 0:
		return uint32(p.TargetPort.IntValue())
	case name == "": // the default target port is the port itself
		return uint32(p.Port)
	}
	for _, pod := range b.pods.selected(svc) {
		if n := containerPort(pod, p.Protocol, name); n != 0 {
			return n
		}
	}
	for _, slice := range b.slices {
		if slice.Namespace == svc.Namespace && slice.Labels[serviceName] == svc.Name {
			if n := slicePort(slice, p.Name); n != 0 {
				return n
			}
		}
	}
	if !b.reported[p] {
		b.reported[p] = true
		b.findings.Add(diag.Error, "", svc.Object, field, "which port a Gateway binds for port %d is not known: the target port is given by name, "+
			"and neither a Pod nor an EndpointSlice of the Service has a port %q; add the Pods (kubectl get pods -o yaml), or give the target port by number", p.Port, name)
	}
	return uint32(p.Port)
}
