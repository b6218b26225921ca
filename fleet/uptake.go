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
			for _, suspect := range suspects(groups[s.Group.Key()], r) {
				message := r.Message
				if suspect.Field != "" {
					message = suspect.Field + ": " + message
				}
				if o := suspect.Object; !slices.Contains(refused[o], message) {
					refused[o] = append(refused[o], message)
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

// Suspect is an object out of which a resource was made that a proxy refuses.
type Suspect struct {
	// Object is Kind namespace/name, Field the part of it; "" is the whole object.
	Object string `json:"object"`
	Field  string `json:"field,omitempty"`
}

func (s Suspect) String() string {
	if s.Field == "" {
		return s.Object
	}
	return s.Object + ": " + s.Field
}

// suspects are the objects out of which the resources of a refusal were made. Of rules they are those that are new to the
// group: what it had before was taken.
func suspects(t *translated, r xds.Refusal) (out []Suspect) {
	if t == nil || t.plan == nil {
		return nil
	}
	add := func(object, field string) {
		if s := (Suspect{object, field}); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	named := func(name string) bool { return slices.Contains(r.Names, name) }
	for _, l := range t.plan.Listeners {
		for _, c := range l.Chains {
			shows := c.TLS != nil && slices.ContainsFunc(c.TLS.Certificates, func(c *plan.Credential) bool { return named(c.Name) })
			if r.Type == envoy.ListenerType && named(l.Name) || r.Type == envoy.SecretType && shows {
				for _, gw := range c.Gateways {
					add("Gateway "+gw, "spec.servers")
				}
			}
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				if !isOf(r, c.Routes.Name, h.Name) {
					continue
				}
				for _, rule := range h.Rules {
					if o := rule.Origin; o.Name != "" && t.isNew(rule) {
						add(o.Kind+" "+o.Key(), o.Field())
					}
				}
			}
		}
	}
	if r.Type == envoy.ClusterType {
		for _, c := range t.plan.Clusters {
			if named(c.Name) {
				for _, rule := range c.Rules {
					add("DestinationRule "+rule, "")
				}
			}
		}
	}
	return out
}

// isOf: the refusal is about a virtual host, or about all of a route configuration.
func isOf(r xds.Refusal, routes, host string) bool {
	switch r.Type {
	case envoy.RouteType:
		return slices.Contains(r.Names, routes)
	case envoy.ExtensionType:
		return slices.Contains(r.Names, envoy.PluginName(routes))
	case envoy.HostType:
		return slices.ContainsFunc(r.Names, func(n string) bool { return strings.TrimSuffix(n, ".old") == envoy.HostName(routes, host) })
	default:
		return false
	}
}

// isNew: the group had no such rule in the change before.
func (t *translated) isNew(r *plan.Rule) bool {
	return t.before == nil || slices.ContainsFunc(r.Outcomes, func(o plan.Outcome) bool { return !t.before[o.ID] })
}

// outcomes are the ids of a plan's outcomes.
func outcomes(p *plan.Plan) map[string]bool {
	out := map[string]bool{}
	for rc := range p.RouteConfigs() {
		for _, h := range rc.VirtualHosts {
			for _, r := range h.Rules {
				for _, o := range r.Outcomes {
					out[o.ID] = true
				}
			}
		}
	}
	return out
}
