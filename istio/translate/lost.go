package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// tellLost says for each refused object what is missing without it, and for a VirtualService who answers its hosts now,
// or the hosts of those that delegate to it.
func tellLost(set *resource.Set, p *plan.Plan, o *Options, out *output) {
	var roots map[string][]*resource.VirtualService // made for the first refused delegate
	for _, r := range set.Refused {
		what := ""
		switch {
		case r.Kind == "Gateway":
			what = "none of its servers is served"
		case r.Kind == "DestinationRule":
			what = lostPolicies(r)
		case r.Kind == "ServiceEntry":
			what = lostHosts(r)
		case r.Kind == "WorkloadEntry":
			what = "its endpoint is missing"
		case r.Kind != "VirtualService":
			continue
		case len(r.Hosts) > 0:
			what = answersNow(r, p, o)
		default:
			if roots == nil {
				roots = rootsByDelegate(set.VirtualServices)
			}
			what = "its rules are missing" + delegatedNow(roots[r.Key()], p, o)
		}
		out.findings.Add(diag.Warning, CodeLost, r.Object, "", "is left out: %s", what)
	}
}

// lostPolicies says what is missing without a DestinationRule.
func lostPolicies(r resource.Refused) string {
	if len(r.Hosts) == 0 {
		return "its subsets and policies are missing"
	}
	return "the subsets and policies of " + few(r.Hosts) + " are missing"
}

// lostHosts says what is missing without a ServiceEntry.
func lostHosts(r resource.Refused) string {
	switch len(r.Hosts) {
	case 0:
		return "its hosts are missing"
	case 1:
		return "its host " + r.Hosts[0] + " is missing"
	default:
		return "its hosts " + few(r.Hosts) + " are missing"
	}
}

// rootsByDelegate are the VirtualServices that delegate to each name, namespace/name, whether it is there or not.
func rootsByDelegate(all []*resource.VirtualService) map[string][]*resource.VirtualService {
	out := map[string][]*resource.VirtualService{}
	for _, vs := range all {
		if len(vs.Spec.Hosts) == 0 {
			continue // one level only (VS-DEL-02)
		}
		for _, rule := range vs.Spec.Http {
			if rule.GetDelegate() == nil {
				continue
			}
			key := delegateKey(vs, rule)
			if known := out[key]; len(known) == 0 || known[len(known)-1] != vs {
				out[key] = append(known, vs)
			}
		}
	}
	return out
}

// delegatedNow says which VirtualServices delegate to a refused one, and who answers their hosts now: a rule after the one
// that delegates may let in what the delegate denied.
func delegatedNow(roots []*resource.VirtualService, p *plan.Plan, o *Options) string {
	var text strings.Builder
	for i, root := range roots {
		if i == mostRootsNamed {
			fmt.Fprintf(&text, "; %d more VirtualServices delegate to it", len(roots)-i)
			break
		}
		fmt.Fprintf(&text, "; %s delegates to it: without them, %s", root, answersNow(resource.Refused{Object: root.Object, Hosts: root.Spec.Hosts}, p, o))
	}
	return text.String()
}

// mostRootsNamed is how many VirtualServices that lose rules a message names.
const mostRootsNamed = 3

// answersNow says for the hosts of a refused VirtualService, or of one that loses rules with it, who answers them.
func answersNow(r resource.Refused, p *plan.Plan, o *Options) string {
	var all []string
	for i, h := range r.Hosts {
		if r.Placeholder != "" && strings.Contains(h, r.Placeholder) {
			continue // nobody asks for it
		}
		if i == 5 {
			all = append(all, strconv.Itoa(len(r.Hosts)-i)+" more hosts")
			break
		}
		host := strings.ToLower(names.FullName(h, r.Namespace, o.ClusterDomain))
		by := "by nothing (404)"
		for rc := range p.RouteConfigs() {
			if vh := bestVirtualHost(rc, host); vh != nil && len(vh.Rules) > 0 {
				by = "by the rules of " + ownersOf(vh)
				if vh.Rules[0].Origin.Kind == "" {
					by = "without rules (" + vh.Rules[0].Name + ")" // of the outbound traffic policy, or of a service
				}
				break
			}
		}
		all = append(all, h+" is answered "+by)
	}
	if len(all) == 0 {
		return "its rules are missing"
	}
	return strings.Join(all, ", ")
}

// bestVirtualHost is the virtual host with the most specific domain that covers a host, or nil.
func bestVirtualHost(rc *plan.RouteConfig, host string) (best *plan.VirtualHost) {
	var domain string
	for _, vh := range rc.VirtualHosts {
		for _, d := range vh.Domains {
			if names.IsCoveredBy(host, d) && (best == nil || moreSpecific(d, domain) < 0) {
				best, domain = vh, d
			}
		}
	}
	return best
}

// ownersOf lists the VirtualServices that a virtual host has rules of.
func ownersOf(vh *plan.VirtualHost) string {
	var all []string
	for _, r := range vh.Rules {
		name := r.Name
		if r.Origin.Kind != "" {
			name = r.Origin.Kind + " " + r.Origin.Key()
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return few(all)
}
