package fleet

import (
	"slices"
	"strings"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// Uptake is how many proxies have taken an object as it is now.
type Uptake struct {
	// Taken of Connected proxies have it.
	Taken, Connected int
	// Refused are the messages of proxies that refuse what was made of the object, each once.
	Refused []string
}

// Uptake is that of each object in force. Objects that changed together have the same.
func (p *Plane) Uptake() func(*resource.Object) Uptake {
	all := p.server.Status()
	p.mu.Lock()
	defer p.mu.Unlock()
	since, groups := p.since, p.groups
	counted := map[uint64]Uptake{}
	refused := map[string][]string{} // by object
	for _, s := range all {
		for _, r := range s.Refusals {
			for _, o := range suspects(groups[s.Group.Key()], r) {
				if !slices.Contains(refused[o], r.Message) {
					refused[o] = append(refused[o], r.Message)
				}
			}
		}
	}
	return func(o *resource.Object) Uptake {
		n := since[o.String()].number
		u, ok := counted[n]
		if !ok {
			u.Connected = len(all)
			for _, s := range all {
				if s.Number >= n && s.InSync {
					u.Taken++
				}
			}
			counted[n] = u
		}
		u.Refused = refused[o.String()]
		return u
	}
}

// version is which change an object is in force since.
type version struct {
	object *resource.Object
	number uint64
}

// changedSince notes since which change each object is as it is. An object that did not change has the same pointer.
func changedSince(before map[string]version, set *resource.Set, number uint64) map[string]version {
	out := make(map[string]version, len(before))
	note := func(o *resource.Object) {
		name := o.String()
		if v, ok := before[name]; ok && v.object == o {
			out[name] = v
		} else {
			out[name] = version{o, number}
		}
	}
	for _, gw := range set.Gateways {
		note(gw.Object)
	}
	for _, vs := range set.VirtualServices {
		note(vs.Object)
	}
	for _, dr := range set.DestinationRules {
		note(dr.Object)
	}
	for _, se := range set.ServiceEntries {
		note(se.Object)
	}
	for _, we := range set.WorkloadEntries {
		note(we.Object)
	}
	return out
}

// suspects are the objects out of which the resources of a refusal were made, as Kind namespace/name.
func suspects(t *translated, r xds.Refusal) (out []string) {
	if t == nil || t.plan == nil {
		return nil
	}
	add := func(kind, key string) {
		if name := kind + " " + key; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	named := func(name string) bool { return slices.Contains(r.Names, name) }
	for _, l := range t.plan.Listeners {
		for _, c := range l.Chains {
			if r.Type == envoy.ListenerType && named(l.Name) || r.Type == envoy.SecretType && c.TLS != nil && slices.ContainsFunc(c.TLS.Certificates, func(c *plan.Credential) bool { return named(c.Name) }) {
				for _, gw := range c.Gateways {
					add("Gateway", gw)
				}
			}
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				whole := r.Type == envoy.RouteType && named(c.Routes.Name) || r.Type == envoy.ExtensionType && named(envoy.PluginName(c.Routes.Name))
				if !whole && !(r.Type == envoy.HostType && slices.ContainsFunc(r.Names, func(n string) bool { return strings.TrimSuffix(n, ".old") == envoy.HostName(c.Routes.Name, h.Name) })) {
					continue
				}
				for _, rule := range h.Rules {
					if rule.Origin.Name != "" {
						add(rule.Origin.Kind, rule.Origin.Namespace+"/"+rule.Origin.Name)
					}
				}
			}
		}
	}
	if r.Type == envoy.ClusterType {
		for _, c := range t.plan.Clusters {
			if named(c.Name) {
				for _, rule := range c.Rules {
					add("DestinationRule", rule)
				}
			}
		}
	}
	return out
}
