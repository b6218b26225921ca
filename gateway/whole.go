package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// Whole is what a set of resources does on every proxy that it is about.
type Whole struct {
	// Plan has the listeners of all proxies; if there are several, each has its proxy in [plan.Listener.Proxy]. It is for
	// questions, not for an Envoy: two proxies may listen on the same port.
	Plan *plan.Plan
	// Findings are those of translation for any of the proxies, each once.
	Findings diag.Findings
	// Assumed are the sentences that say what is not among the resources, and how it was taken to be.
	Assumed []string
}

// mostSidecars bounds the sidecars that differ by sourceLabels and sourceNamespace of matches.
const mostSidecars = 32

// All translates a set for every proxy that it is about, so that VirtualServices alone are enough for a question:
//
//   - the gateway proxy with the labels of the options, for the Gateways that select it. A Gateway that a VirtualService
//     names and that is not in the set is assumed: it serves every host on port 80;
//   - a gateway proxy for each other selector of a Gateway;
//   - if VirtualServices are bound to the mesh, a sidecar, and one more for each combination of sourceLabels and
//     sourceNamespace that their matches name. A host that is not a service of the set is assumed to be one, on port 80.
//
// Destinations that are not in the set are assumed to be there if it has no services at all; else translation has a
// finding for each. The plan is nil where a limit of translation is exceeded, which is an error among the findings.
func All(set *resource.Set, o translate.Options) *Whole {
	return all(set, o, isMeshed(set))
}

// Pair is [All] for two sets that are compared: where one of them has rules for the mesh, both are looked at there.
func Pair(before, after *resource.Set, o translate.Options) (old, now *Whole) {
	meshed := isMeshed(before) || isMeshed(after)
	return all(before, o, meshed), all(after, o, meshed)
}

func all(set *resource.Set, o translate.Options, meshed bool) *Whole {
	o = o.WithDefaults()
	w := &Whole{Plan: &plan.Plan{}}
	given := set
	set = w.assumeGateways(set, o.Labels)
	if len(set.Services)+len(set.ServiceEntries) == 0 {
		o.AssumeDestinations = true
		w.assumeDestinations(set, o.ClusterDomain)
	}
	withoutSecrets := len(set.Secrets)+len(o.Secrets) == 0
	if withoutSecrets {
		w.assumeCertificates(set)
	}
	var parts []*plan.Plan
	var proxies []string
	var found []diag.Findings
	add := func(set *resource.Set, o translate.Options, proxy string) {
		p, findings := translate.Plan(set, o)
		found = append(found, slices.DeleteFunc(findings, func(f diag.Finding) bool {
			isName := f.Code == translate.CodeNoGateway || f.Code == translate.CodeNoServer                         // see below
			isAssumed := o.AssumeDestinations && f.Code == translate.CodeNoDestination && f.Severity == diag.Notice // see Assumed
			isCertificate := withoutSecrets && strings.Contains(f.Field, "redentialName")                           // see Assumed
			return isName || isAssumed || isCertificate || o.Proxy == translate.SidecarProxy && f.Code == ""
		}))
		if p == nil {
			w.Plan = nil
			return
		}
		parts, proxies = append(parts, p), append(proxies, proxy)
	}
	for _, labels := range selectors(set, o.Labels) {
		o, own := o, *set
		o.Labels = labels
		own.Gateways = slices.DeleteFunc(slices.Clone(set.Gateways), func(gw *resource.Gateway) bool { return !names.Selects(gw.Spec.GetSelector(), labels) })
		add(&own, o, strings.TrimSpace("gateway "+labelled(labels)))
	}
	if meshed {
		set := w.assumeServices(set, o.ClusterDomain)
		for _, s := range sidecars(set) {
			add(set, translate.Options{
				Proxy: translate.SidecarProxy, Labels: s.labels, Namespace: s.namespace, ClusterDomain: o.ClusterDomain, AssumeDestinations: o.AssumeDestinations,
			}, strings.TrimSpace("sidecar in "+s.namespace+" "+labelled(s.labels)))
		}
	}
	if len(given.Gateways) > 0 {
		found = append(found, translate.Names(given, &o))
	}
	w.Findings = once(diag.Merge(found...))
	if w.Plan == nil {
		return w
	}
	if len(parts) > 1 {
		for i, p := range parts {
			for _, l := range p.Listeners {
				l.Proxy = proxies[i]
			}
		}
	}
	w.join(parts)
	return w
}

// join makes one plan of several. A resource that some proxies do not use is left out only if none uses it.
func (w *Whole) join(parts []*plan.Plan) {
	clusters := map[string]bool{}
	unused := map[plan.Origin]int{}
	for _, p := range parts {
		w.Plan.Listeners = append(w.Plan.Listeners, p.Listeners...)
		for _, c := range p.Clusters {
			if !clusters[c.Name] {
				clusters[c.Name] = true
				w.Plan.Clusters = append(w.Plan.Clusters, c)
			}
		}
		for _, d := range p.Dropped {
			if d.Code.IsOfProxy() {
				unused[d.Origin]++
			}
		}
	}
	slices.SortFunc(w.Plan.Clusters, func(a, b *plan.Cluster) int { return strings.Compare(a.Name, b.Name) })
	type what struct {
		origin, by plan.Origin
		code       plan.DropCode
	}
	told := map[what]bool{}
	for _, p := range parts {
		for _, d := range p.Dropped {
			key := what{d.Origin, d.By, d.Code}
			if d.Code.IsOfProxy() {
				key = what{origin: d.Origin}
			}
			if told[key] || d.Code.IsOfProxy() && unused[d.Origin] < len(parts) {
				continue
			}
			told[key] = true
			w.Plan.Dropped = append(w.Plan.Dropped, d)
		}
	}
}

// once leaves each finding out that is the same as an earlier one, which another proxy has.
func once(all diag.Findings) diag.Findings {
	seen := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(f diag.Finding) bool {
		key := f.Code + " " + f.String()
		known := seen[key]
		seen[key] = true
		return known
	})
}

func (w *Whole) assume(format string, args ...any) {
	w.Assumed = append(w.Assumed, diag.Printable(fmt.Sprintf(format, args...)))
}

// assumeGateways adds a Gateway for each that a VirtualService names and that is not in the set. One that is refused is
// not assumed: it is there, and serves nothing.
func (w *Whole) assumeGateways(set *resource.Set, labels map[string]string) *resource.Set {
	known := map[string]bool{names.MeshGateway: true}
	for _, gw := range set.Gateways {
		known[gw.Key()] = true
	}
	for _, r := range set.Refused {
		if r.Kind == "Gateway" {
			known[r.Key()] = true
		}
	}
	out := *set
	out.Gateways = slices.Clone(set.Gateways)
	for _, vs := range set.VirtualServices {
		for _, name := range vs.Spec.GetGateways() {
			key := names.GatewayKey(name, vs.Namespace)
			if known[key] || len(vs.Spec.GetHosts()) == 0 {
				continue
			}
			known[key] = true
			namespace, base, _ := strings.Cut(key, "/")
			out.Gateways = append(out.Gateways, &resource.Gateway{
				Object: &resource.Object{Kind: "Gateway", Namespace: namespace, Name: base},
				Spec: &istio.Gateway{Selector: labels, Servers: []*istio.Server{{
					Port: &istio.Port{Number: 80, Name: "http", Protocol: "HTTP"}, Hosts: []string{"*"},
				}}},
			})
			w.assume("Gateway %s: not among the files; taken to serve every host on port 80", key)
		}
	}
	return &out
}

// assumeDestinations says which destinations are taken to be there.
func (w *Whole) assumeDestinations(set *resource.Set, domain string) {
	hosts := map[string]bool{}
	for _, vs := range set.VirtualServices {
		for _, d := range translate.Destinations(vs.Spec) {
			if !vs.IsRoute() {
				hosts[names.FullName(d.GetHost(), vs.Namespace, domain)] = true
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		w.assume("Service %s: not among the files; taken to be there, with the ports and subsets that rules name", host)
	}
}

// assumeCertificates says that the certificates of servers are taken to be there: they decide nothing about a request.
func (w *Whole) assumeCertificates(set *resource.Set) {
	n := 0
	for _, gw := range set.Gateways {
		for _, s := range gw.Spec.GetServers() {
			if s.GetTls().GetCredentialName() != "" || len(s.GetTls().GetCredentialNames()) > 0 {
				n++
			}
		}
	}
	if n > 0 {
		w.assume("Certificates of %s: no Secret is among the files; taken to be there", diag.Count(n, "server", "servers"))
	}
}

// assumeServices adds a service for each host of a VirtualService of the mesh that is not in the set, on port 80: a
// sidecar serves hosts that are not services on that port alone, and only if something listens there (VS-MESH-03).
func (w *Whole) assumeServices(set *resource.Set, domain string) *resource.Set {
	known := map[string]bool{}
	for _, s := range set.Services {
		known[strings.ToLower(s.Name+"."+s.Namespace+".svc."+domain)] = true
	}
	for _, e := range set.ServiceEntries {
		for _, h := range e.Spec.GetHosts() {
			known[strings.ToLower(h)] = true
		}
	}
	out := *set
	out.ServiceEntries = slices.Clone(set.ServiceEntries)
	for _, vs := range set.VirtualServices {
		if !slices.Contains(names.GatewaysOf(vs.Spec), names.MeshGateway) {
			continue
		}
		for _, h := range vs.Spec.GetHosts() {
			host := names.FullName(h, vs.Namespace, domain)
			lower := strings.ToLower(host)
			if known[lower] || host == "*" {
				continue
			}
			known[lower] = true
			out.ServiceEntries = append(out.ServiceEntries, &resource.ServiceEntry{
				Object: &resource.Object{Kind: "ServiceEntry", Namespace: vs.Namespace, Name: host},
				Spec: &istio.ServiceEntry{
					Hosts: []string{host}, Ports: []*istio.ServicePort{{Number: 80, Name: "http", Protocol: "HTTP"}}, Resolution: istio.ServiceEntry_DNS,
				},
			})
			w.assume("Service %s: not among the files; taken to serve HTTP on port 80 of the mesh", host)
		}
	}
	return &out
}

// isMeshed reports whether a VirtualService with hosts is bound to the mesh.
func isMeshed(set *resource.Set) bool {
	return slices.ContainsFunc(set.VirtualServices, func(vs *resource.VirtualService) bool {
		return len(vs.Spec.GetHosts()) > 0 && slices.Contains(names.GatewaysOf(vs.Spec), names.MeshGateway)
	})
}

// selectors are the labels of the gateway proxies: those of the options, if they have a Gateway, and each other selector.
func selectors(set *resource.Set, labels map[string]string) (out []map[string]string) {
	for _, gw := range set.Gateways {
		selector := gw.Spec.GetSelector()
		if names.Selects(selector, labels) {
			selector = labels
		}
		if !slices.ContainsFunc(out, func(known map[string]string) bool { return maps.Equal(known, selector) }) {
			out = append(out, selector)
		}
	}
	return out
}

// sidecar is the namespace and the labels of a workload.
type sidecar struct {
	namespace string
	labels    map[string]string
}

// sidecars are the workloads whose sidecars are looked at: one in the namespace that the VirtualServices of the mesh
// share, else in "default"; and one for each combination of namespace and labels that a match names.
func sidecars(set *resource.Set) []sidecar {
	home := ""
	for _, vs := range set.VirtualServices {
		if len(vs.Spec.GetHosts()) == 0 || !slices.Contains(names.GatewaysOf(vs.Spec), names.MeshGateway) {
			continue
		}
		if home == "" {
			home = vs.Namespace
		} else if home != vs.Namespace {
			home = "default"
			break
		}
	}
	home = cmp.Or(home, "default")
	out := []sidecar{{home, map[string]string{}}}
	for _, vs := range set.VirtualServices {
		for _, r := range vs.Spec.GetHttp() {
			for _, m := range r.GetMatch() {
				s := sidecar{cmp.Or(m.GetSourceNamespace(), home), m.GetSourceLabels()}
				if s.labels == nil {
					s.labels = map[string]string{}
				}
				if len(out) < mostSidecars && !slices.ContainsFunc(out, func(known sidecar) bool {
					return known.namespace == s.namespace && maps.Equal(known.labels, s.labels)
				}) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

func labelled(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ",")
}
