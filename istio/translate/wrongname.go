package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// Codes of findings about names that nothing has, and about what is missing without a refused object.
const (
	// CodeNoGateway is a VirtualService that names a Gateway that is not there, or none although there are some.
	CodeNoGateway = "WM-NAME-01"
	// CodeNoServer is a host of a VirtualService that no server of its Gateways has.
	CodeNoServer = "WM-NAME-02"
	// CodeNoDelegate is a rule that delegates to a VirtualService that is not there, or cannot be used.
	CodeNoDelegate = "WM-NAME-03"
	// CodeNoHost is a DestinationRule whose host no service has, although there is one of a similar name.
	CodeNoHost = "WM-NAME-04"
	// CodeNoDestination is a destination that is not there.
	CodeNoDestination = "WM-DEST-01"
	// CodeNoEndpoint is a destination without an endpoint.
	CodeNoEndpoint = "WM-DEST-02"
	// CodeLost says what answers in place of a refused object.
	CodeLost = "WM-LEFT-01"
)

// Names warns of VirtualServices that no gateway proxy uses because of a name: of a Gateway that is not there, or a host
// that no server has. It looks at all Gateways, whichever proxy they select, as Istio's analysis does (IST0101,
// IST0132). It is about gateway proxies; for a sidecar it returns nothing.
func Names(r *resource.Set, o *Options) (findings diag.Findings) {
	if o.Proxy == SidecarProxy {
		return nil
	}
	byKey := make(map[string]*hostsOfGateway, len(r.Gateways))
	for _, gw := range r.Gateways {
		byKey[gw.Key()] = newHostsOfGateway(gw)
	}
	for _, vs := range r.VirtualServices {
		if len(vs.Spec.Hosts) == 0 {
			continue // a delegate
		}
		if len(vs.Spec.Gateways) == 0 {
			if len(r.Gateways) > 0 {
				findings.Add(diag.Warning, CodeNoGateway, vs.Object, "spec", "names no Gateway, so only sidecars use it, and no gateway proxy does; if it is meant for one, add gateways: [%s]", r.Gateways[0].Key())
			}
			continue
		}
		var known []*hostsOfGateway
		mesh := false
		for i, name := range vs.Spec.Gateways {
			key := names.GatewayKey(name, vs.Namespace)
			switch gw := byKey[key]; {
			case key == names.MeshGateway:
				mesh = true
			case gw != nil:
				known = append(known, gw)
			default:
				findings.Add(diag.Warning, CodeNoGateway, vs.Object, "spec.gateways["+strconv.Itoa(i)+"]", "there is no Gateway %s%s", key, nearGateway(r, key))
			}
		}
		if len(known) > 0 && !mesh {
			hostsWithoutServer(&findings, vs, known, o)
		}
	}
	return findings
}

// nearGateway says what may have been meant by the key of a Gateway that is not there.
func nearGateway(r *resource.Set, key string) string {
	_, name, _ := strings.Cut(key, "/")
	var keys []string
	for _, gw := range r.Gateways {
		if gw.Name == name {
			return fmt.Sprintf(": the one of this name is in namespace %s; write %s, or give --default-namespace %s if the documents have none", gw.Namespace, gw.Key(), gw.Namespace)
		}
		keys = append(keys, gw.Key())
	}
	for _, refused := range r.Refused {
		if refused.Kind == "Gateway" && refused.Key() == key {
			return ": it is refused"
		}
	}
	return resource.DidYouMean(key, keys)
}

// hostsOfGateway are the servers of a Gateway with an index of their hosts.
type hostsOfGateway struct {
	servers    []*server
	hosts      []string // of all servers, without namespaces
	namespaces []string // to which hosts are limited
}

func newHostsOfGateway(gw *resource.Gateway) *hostsOfGateway {
	out := &hostsOfGateway{}
	for _, s := range gw.Spec.Servers {
		hosts := names.NormalizeServerHosts(s.GetHosts(), gw.Namespace)
		out.servers = append(out.servers, &server{Server: s, gateway: gw, hosts: hosts})
		for _, h := range hosts {
			namespace, host, ok := strings.Cut(h, "/")
			if !ok {
				namespace, host = "*", h
			}
			out.hosts, out.namespaces = append(out.hosts, host), append(out.namespaces, namespace)
		}
	}
	return out
}

// mostHostsNamed is how many hosts of a Gateway a message is made of.
const mostHostsNamed = 1000

// hostsWithoutServer warns of each host of a VirtualService that no server of its Gateways has.
func hostsWithoutServer(findings *diag.Findings, vs *resource.VirtualService, gateways []*hostsOfGateway, o *Options) {
	for i, h := range vs.Spec.Hosts {
		full := names.FullName(h, vs.Namespace, o.ClusterDomain)
		if vs.IsRoute() {
			full = h
		}
		served := slices.ContainsFunc(gateways, func(gw *hostsOfGateway) bool {
			return slices.ContainsFunc(gw.servers, func(s *server) bool { return len(s.hostsFor(vs.Namespace).Intersect([]string{full})) > 0 })
		})
		if !served {
			findings.Add(diag.Warning, CodeNoServer, vs.Object, "spec.hosts["+strconv.Itoa(i)+"]", "no server of its Gateways has the host %q, so that no request comes to its rules by it: %s", h, whyNoServer(h, vs, gateways))
		}
	}
}

// whyNoServer says which hosts the Gateways have, and what may have been meant.
func whyNoServer(host string, vs *resource.VirtualService, gateways []*hostsOfGateway) string {
	var all []string
	for _, gw := range gateways {
		all = append(all, gw.hosts[:min(len(gw.hosts), mostHostsNamed)]...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	why := "they have " + few(all)
	for _, gw := range gateways {
		for i, namespace := range gw.namespaces {
			if namespace != "*" && namespace != vs.Namespace && names.HostsMatch(gw.hosts[i], host) {
				return why + fmt.Sprintf(", and %s is for VirtualServices of namespace %s alone; this one is in %s (--default-namespace %s, if its document has none)", gw.hosts[i], namespace, vs.Namespace, namespace)
			}
		}
	}
	return why + resource.DidYouMean(host, all)
}

// few lists some names.
func few(all []string) string {
	const most = 5
	switch {
	case len(all) == 0:
		return "none"
	case len(all) > most:
		return strings.Join(all[:most], ", ") + " and " + strconv.Itoa(len(all)-most) + " more"
	default:
		return strings.Join(all, ", ")
	}
}

// hostIndex finds services by what may be wrong with the name of a destination.
type hostIndex struct {
	hidden  map[string]string   // why a service is not visible, by host
	refused map[string]string   // why an object with the host cannot be used
	byFirst map[string][]string // hosts by their first label
	all     []string            // hosts
	spent   int                 // how often the nearest name was looked for

	wildcards []string // of refused
}

// mostNearNames is how often the nearest name is looked for, since that compares with every host.
const mostNearNames = 20

func newHostIndex(r *resource.Set, o *Options) *hostIndex {
	x := &hostIndex{hidden: map[string]string{}, refused: map[string]string{}, byFirst: map[string][]string{}}
	add := func(object *resource.Object, host string, exportTo []string, where string) {
		first, _, _ := strings.Cut(host, ".")
		if names.VisibilityTo(o.Namespace, object.Namespace, exportTo) == names.Hidden {
			x.hidden[host] = fmt.Sprintf("%s is not exported to namespace %s (%s: %s)", object, o.Namespace, where, strings.Join(exportTo, ", "))
			return
		}
		x.byFirst[first] = append(x.byFirst[first], host)
		x.all = append(x.all, host)
	}
	for _, s := range r.Services {
		add(s.Object, kubernetesHost(s, o.ClusterDomain), exportAnnotation(s), "annotation networking.istio.io/exportTo")
	}
	for _, e := range r.ServiceEntries {
		for _, host := range e.Spec.Hosts {
			add(e.Object, host, e.Spec.ExportTo, "exportTo")
		}
	}
	for _, refused := range r.Refused {
		switch refused.Kind {
		case "Service":
			x.refused[refused.Name+"."+refused.Namespace+".svc."+o.ClusterDomain] = refused.String() + " cannot be read"
		case "ServiceEntry":
			for _, host := range refused.Hosts {
				x.refused[host] = refused.String() + " is refused"
				if names.IsWildcard(host) {
					x.wildcards = append(x.wildcards, host)
				}
			}
		}
	}
	return x
}

// missing says why there is no service with a host, and what may have been meant.
func (x *hostIndex) missing(host string) string {
	if why := x.hidden[host]; why != "" {
		return why
	}
	if why := x.leftOut(host); why != "" {
		return why
	}
	text := "no Service or ServiceEntry has the host " + host
	if near := x.near(host); near != "" {
		return text + near
	}
	return text + "; give its address with --endpoint " + host + "=ADDRESS:PORT, or --dns-fallback"
}

// leftOut says which object with a host is there and cannot be used, or "".
func (x *hostIndex) leftOut(host string) string {
	if why := x.refused[host]; why != "" {
		return why
	}
	for _, wildcard := range x.wildcards {
		if names.IsCoveredBy(host, wildcard) {
			return x.refused[wildcard]
		}
	}
	return ""
}

// near says what may have been meant by a host that nothing has, or "".
func (x *hostIndex) near(host string) string {
	first, _, _ := strings.Cut(host, ".")
	if same := x.byFirst[first]; len(same) > 0 { // a name with a dot is not completed (VS-NAME-02), so the host is written in full
		return "; did you mean " + few(same) + "?"
	}
	if x.spent++; x.spent <= mostNearNames {
		return resource.DidYouMean(host, x.all)
	}
	return ""
}
