package translate

import (
	"net/netip"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// podIndex finds Pods.
type podIndex struct {
	all   []*resource.Pod // by namespace and name
	byKey map[string]*resource.Pod
	byIP  map[string]*resource.Pod // the first with an address, by namespace/address
}

func newPodIndex(all []*resource.Pod) *podIndex {
	x := &podIndex{byKey(all, func(p *resource.Pod) *resource.Object { return p.Object }), map[string]*resource.Pod{}, map[string]*resource.Pod{}}
	for _, p := range x.all {
		x.byKey[p.Key()] = p
		for _, ip := range addressesOf(p) {
			if key := p.Namespace + "/" + ip; x.byIP[key] == nil {
				x.byIP[key] = p
			}
		}
	}
	return x
}

// selected are the Pods that a Service selects.
func (x *podIndex) selected(s *resource.Service) (out []*resource.Pod) {
	if len(s.Spec.Selector) == 0 {
		return nil
	}
	for _, p := range x.all {
		if p.Namespace == s.Namespace && names.Selects(s.Spec.Selector, p.Labels) {
			out = append(out, p)
		}
	}
	return out
}

// of finds the Pod of an endpoint: the one that the endpoint refers to, else the one with its address in its namespace.
// expected reports whether the endpoint refers to a Pod.
func (x *podIndex) of(namespace, address string, ref *core.ObjectReference) (pod *resource.Pod, expected bool) {
	if ref != nil && ref.Kind == "Pod" {
		expected = true
		if ref.Namespace != "" {
			namespace = ref.Namespace
		}
		pod = x.byKey[namespace+"/"+ref.Name]
	}
	if pod == nil {
		pod = x.byIP[namespace+"/"+address]
	}
	return pod, expected
}

// addressesOf are the addresses of a Pod, the primary one first.
func addressesOf(p *resource.Pod) (out []string) {
	for _, ip := range p.Status.PodIPs {
		out = append(out, ip.IP)
	}
	if ip := p.Status.PodIP; ip != "" && !slices.Contains(out, ip) {
		out = append([]string{ip}, out...)
	}
	return out
}

// servedAddresses are the addresses of a Pod at which a Service reaches it: one for each family of the Service, or the
// primary one where the Service has no families.
func servedAddresses(s *resource.Service, p *resource.Pod) (out []string) {
	all := addressesOf(p)
	if len(s.Spec.IPFamilies) == 0 {
		return all[:min(1, len(all))]
	}
	for _, family := range s.Spec.IPFamilies {
		if i := slices.IndexFunc(all, func(a string) bool { return familyOf(a) == family }); i >= 0 {
			out = append(out, all[i])
		}
	}
	return out
}

func familyOf(address string) core.IPFamily {
	if ip, err := netip.ParseAddr(address); err == nil && ip.Is6() {
		return core.IPv6Protocol
	}
	return core.IPv4Protocol
}

// isServing reports whether Kubernetes would give a Pod to a Service: it is ready, or it is running and the Service
// publishes the Pods that are not ready.
func isServing(s *resource.Service, p *resource.Pod) bool {
	return isReady(p) || s.Spec.PublishNotReadyAddresses && !hasEnded(p)
}

// isReady reports whether a Pod is ready and not shutting down. One without any condition, as in a file that was written
// by hand, is ready.
func isReady(p *resource.Pod) bool {
	ready := len(p.Status.Conditions) == 0
	for _, c := range p.Status.Conditions {
		ready = ready || c.Type == core.PodReady && c.Status == core.ConditionTrue
	}
	return ready && !p.Deleted && !hasEnded(p)
}

func hasEnded(p *resource.Pod) bool {
	return p.Status.Phase == core.PodSucceeded || p.Status.Phase == core.PodFailed
}

// containerPort is the number of a port of a Pod's containers by its name, or 0. An init container counts if it keeps
// running beside the others.
func containerPort(p *resource.Pod, protocol core.Protocol, name string) uint32 {
	containers := slices.Clone(p.Spec.Containers)
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways {
			containers = append(containers, c)
		}
	}
	for _, c := range containers {
		for _, port := range c.Ports {
			if port.Name == name && protocolOf(port.Protocol) == protocolOf(protocol) {
				return uint32(port.ContainerPort)
			}
		}
	}
	return 0
}

// protocolOf is the protocol of a port; the default is TCP.
func protocolOf(p core.Protocol) core.Protocol {
	if p == "" {
		return core.ProtocolTCP
	}
	return p
}

// podLocality is the locality that a label gives to a Pod, region.zone.subzone, or "".
func podLocality(labels map[string]string) string {
	return strings.ReplaceAll(labels["istio-locality"], ".", "/")
}
