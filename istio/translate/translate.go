package translate

import (
	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// ProxyType is the role of a proxy in Istio.
type ProxyType string

// The types of proxies. A gateway serves the servers of the Gateways that select it; a sidecar serves the requests that
// its workload sends to services.
const (
	GatewayProxy ProxyType = "gateway"
	SidecarProxy ProxyType = "sidecar"
)

// OutboundTrafficPolicy decides what a sidecar does with a request to an unknown host: neither a service nor a host of
// a VirtualService (VS-MESH-05).
type OutboundTrafficPolicy string

// The policies. AllowAny sends the request to the address that its client connected to. That address is known only
// where connections are redirected to the proxy; otherwise the answer is 503. RegistryOnly answers with 502.
const (
	AllowAny     OutboundTrafficPolicy = "ALLOW_ANY"
	RegistryOnly OutboundTrafficPolicy = "REGISTRY_ONLY"
)

// Options describe the proxy for which resources are translated.
type Options struct {
	// Proxy is its type. Default: a gateway.
	Proxy ProxyType
	// Namespace of the proxy; it decides what is exported to it, which DestinationRules it sees, and by which short
	// names a sidecar knows services. Default: istio-system for a gateway, where Istio's own ingress gateway runs, and
	// "default" for a sidecar.
	Namespace string
	// Labels of the proxy, compared with the selectors of Gateways and with sourceLabels. Default: those of Istio's
	// ingress gateway, and none for a sidecar.
	Labels map[string]string
	// OutboundTrafficPolicy of a sidecar. Default: AllowAny, as in Istio.
	OutboundTrafficPolicy OutboundTrafficPolicy
	// ClusterDomain ends the full names of services. Default cluster.local.
	ClusterDomain string
	// Gateway, as name or namespace/name, leaves only one Gateway in. Default: all that select the proxy. A sidecar has
	// none.
	Gateway string
	// Endpoints replace the addresses of services, for a developer's machine: from host, or subset.host, to host:port.
	// The host may be the full name or its first label. Default: none.
	Endpoints map[string]string
	// Locality of the proxy, region/zone/subzone, to prefer endpoints that are near (DR-LOC-01). Default: unknown.
	Locality string
	// Secrets are files by credentialName; they are used instead of Secret documents. Default: none.
	Secrets map[string]SecretFiles
	// ReadFile reads the file of a certificate, so that one that Envoy would refuse is reported. Default: nil, which
	// means that the files are on another machine; they are not checked.
	ReadFile func(path string) ([]byte, error)
	// Strict makes an error of everything that is left out of the plan, and not a warning.
	Strict bool
	// DNSFallback sends to destinations without Service or ServiceEntry by their own name, which Envoy resolves by DNS.
	DNSFallback bool
	// AssumeDestinations makes a cluster for every destination that a rule names, without endpoints where none is known.
	AssumeDestinations bool
	// SystemAuthorities is the file with the authorities that Envoy's system trusts. Default: Debian's.
	SystemAuthorities string
	// SystemIsHere means that this file is read by ReadFile, too: Envoy's system is this one.
	SystemIsHere bool
}

// WithDefaults returns the options with the default for each field that is not set.
func (o Options) WithDefaults() Options {
	if o.Proxy == "" {
		o.Proxy = GatewayProxy
	}
	if o.Namespace == "" {
		o.Namespace = rootNamespace
		if o.Proxy == SidecarProxy {
			o.Namespace = "default"
		}
	}
	if o.Labels == nil {
		o.Labels = map[string]string{"istio": "ingressgateway", "app": "istio-ingressgateway"}
		if o.Proxy == SidecarProxy {
			o.Labels = map[string]string{}
		}
	}
	if o.OutboundTrafficPolicy == "" {
		o.OutboundTrafficPolicy = AllowAny
	}
	if o.ClusterDomain == "" {
		o.ClusterDomain = "cluster.local"
	}
	if o.SystemAuthorities == "" {
		o.SystemAuthorities = "/etc/ssl/certs/ca-certificates.crt"
	}
	return o
}

// output collects the findings of a translation, and what it leaves out of the plan.
type output struct {
	findings diag.Findings
	dropped  []plan.Dropped
	tooMuch  bool // a limit of bounds.go was exceeded
}

// leftOut is the severity of a finding about something that is left out of the plan, or that answers an error where
// Istio's proxy would: it harms nothing else.
func (o *Options) leftOut() diag.Severity { return diag.Warning.Strict(o.Strict) }

// drop records that an object, or an entry of a list in it, is not part of the plan, and why. by is what takes its
// place, if anything.
func (o *output) drop(in *resource.Object, origin plan.Origin, code plan.DropCode, by plan.Origin) {
	o.dropped = append(o.dropped, plan.Dropped{Origin: origin, Source: in.Place(origin.Field()), Code: code, By: by})
}

// Plan translates a set of resources into the plan of one proxy, and returns it with the findings, sorted by place. What
// cannot be served, such as a destination that is not there, is a warning and harms nothing else: its requests get what
// Istio's proxy would answer, mostly 503. The plan is nil only where a limit is exceeded (see bounds.go), which is an
// error.
//
// The set must be valid, as package gateway prepares it. What it refused is told with the hosts that lose rules.
func Plan(r *resource.Set, options Options) (*plan.Plan, diag.Findings) {
	options = options.WithDefaults()
	o := &options
	out := &output{}
	secrets := newSecretStore(r, o, &out.findings)
	destinations := newDestinations(r, o, secrets, out)
	rules := newRuleTranslator(o, destinations)
	resolved := resolveNames(r.VirtualServices, o.ClusterDomain)
	bound := orderVirtualServices(mergeDelegates(resolved, r.Refused, out), o.Namespace, out)
	p := &plan.Plan{}
	if o.Proxy == SidecarProxy {
		s := newSidecar(o, destinations, rules, out)
		p.Listeners = s.listeners(bound)
		p.Clusters = s.clusters(p.Listeners)
	} else {
		g := newGatewayProxy(o, destinations, rules, secrets, out)
		gateways := g.selectGateways(r.Gateways)
		p.Listeners = g.listeners(mergeServers(gateways, newBindings(r, o, destinations, &out.findings).port, o.leftOut(), out), bound)
	}
	p.Clusters = append(p.Clusters, destinations.clusters()...)
	destinations.warnIdleRules(r)
	tellLost(r, p, o, out)
	out.findings = append(out.findings, Names(r, o)...)
	out.findings.Sort()
	p.Dropped = out.dropped
	if out.tooMuch {
		p = nil
	}
	return p, out.findings
}
