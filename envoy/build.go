package envoy

import (
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"waymark.dev/waymark/plan"
)

// builder builds the resources of one plan.
type builder struct {
	Options
	// private: nobody but Envoy reads what is built, so keys may be in it.
	private bool

	strategies map[*plan.RouteConfig]*strategies
	joined     map[Key]bool // endpoints and certificates that their parent has
}

// Build makes Envoy's resources of a plan. It fails with all that an Envoy with these options does not execute.
//
// A resource is either in its parent, or in Resources, and then its parent names where Envoy gets it. Without
// [Options.Dir] and [Options.Control] everything is in the bootstrap; with one of them, nothing that changes is, and package
// files or xds delivers it.
func Build(p *plan.Plan, o Options) (*Resources, error) {
	b := &builder{Options: o}
	return b.build(p)
}

// Bootstrap is everything in one message with which a stock Envoy starts.
func Bootstrap(p *plan.Plan, o Options) (*bootstrapv3.Bootstrap, error) {
	o.Dir, o.Control = "", nil
	r, err := Build(p, o)
	if err != nil {
		return nil, err
	}
	return r.Bootstrap, nil
}

// Validation is a plan as one bootstrap for Envoy's --mode validate: everything is in it, keys included, so nobody else may
// read it. Routes are in lists, so that the module, which takes seconds to load, is not needed: the filter chooses among the
// very same routes.
func Validation(p *plan.Plan, o Options) (*bootstrapv3.Bootstrap, error) {
	o.Matching, o.Dir, o.Control, o.AdminPort = MatchingNative, "", nil, 0
	b := &builder{Options: o, private: true}
	r, err := b.build(p)
	if err != nil {
		return nil, err
	}
	return r.Bootstrap, nil
}

// source is where Envoy gets a resource; nil: its parent has it. The parent of listeners and clusters is the bootstrap, and
// they have one source for the whole type.
func (b *builder) source(k Key) *corev3.ConfigSource {
	switch {
	case b.joined[k]:
		return nil
	case k.Type == HostType && (b.Control == nil || b.Control.SotW || !b.Behaviour().VirtualHostsOverADS):
		return nil
	case b.Control != nil:
		return overADS()
	case b.Dir != "":
		return fromFile(b.Dir, k)
	default:
		return nil
	}
}

func (b *builder) build(p *plan.Plan) (_ *Resources, err error) {
	defer catchRefusal(&err)
	p = closeUnusable(p)
	if err := p.CheckIDs(); err != nil {
		return nil, err
	}
	if err := b.supported(p); err != nil {
		return nil, err
	}
	b.strategies = map[*plan.RouteConfig]*strategies{}
	for rc := range p.RouteConfigs() {
		b.strategies[rc] = chooseStrategies(rc, &b.Options)
	}
	b.setJoined(p)
	r := &Resources{}
	if b.Control == nil {
		if r.Bootstrap, err = begin(&b.Options); err != nil {
			return nil, err
		}
	}
	if err := b.roots(p, r); err != nil {
		return nil, err
	}
	if err := b.parts(p, r); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// blackHole is Istio's name of a cluster that does not exist: connections to it are closed.
const blackHole = "BlackHoleCluster"

// closeUnusable returns the plan with chains that close connections in place of those without a usable certificate. The
// server names stay, since another chain must not get the connections.
func closeUnusable(p *plan.Plan) *plan.Plan {
	out := *p
	out.Listeners = make([]*plan.Listener, len(p.Listeners))
	for i, l := range p.Listeners {
		changed := *l
		changed.Chains = slices.Clone(l.Chains)
		for j, c := range l.Chains {
			if c.TLS != nil && c.TLS.Unusable {
				changed.Chains[j] = &plan.FilterChain{ServerNames: c.ServerNames, Passthrough: true, TCP: &plan.TCPProxy{Destinations: []plan.Destination{{Cluster: blackHole}}}}
			}
		}
		out.Listeners[i] = &changed
	}
	return &out
}

// roots builds the listeners and clusters, whose parent is the bootstrap.
func (b *builder) roots(p *plan.Plan, r *Resources) error {
	static, dynamic := &bootstrapv3.Bootstrap_StaticResources{}, &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: b.source(Key{Type: ListenerType}), CdsConfig: b.source(Key{Type: ClusterType}),
	}
	for _, l := range p.Listeners {
		out, err := b.listener(l)
		if err != nil {
			return err
		}
		if dynamic.LdsConfig != nil {
			r.Set(out)
		} else {
			static.Listeners = append(static.Listeners, out)
		}
	}
	for _, c := range p.Clusters {
		if out := b.cluster(c); dynamic.CdsConfig != nil {
			r.Set(out)
		} else {
			static.Clusters = append(static.Clusters, out)
		}
	}
	switch {
	case b.Control != nil: // see [ControlledBootstrap]
	case b.Dir != "":
		r.Bootstrap.DynamicResources = dynamic
	default:
		r.Bootstrap.StaticResources = static
	}
	return nil
}

// parts adds what listeners and clusters do not have in them.
func (b *builder) parts(p *plan.Plan, r *Resources) error {
	for rc := range p.RouteConfigs() {
		s := b.strategies[rc]
		if b.source(Key{RouteType, rc.Name}) != nil {
			r.Set(b.routeConfiguration(rc))
		}
		if b.source(Key{Type: HostType}) != nil {
			for _, h := range rc.VirtualHosts {
				out := virtualHost(rc, h, s, &b.Options)
				out.Name = HostName(rc.Name, h.Name)
				r.Set(out)
			}
		}
		name := pluginName(rc)
		if !s.placed || b.source(Key{ExtensionType, name}) == nil {
			continue
		}
		config := typed(placeholder())
		if s.filter {
			filter, err := b.wasmFilter(rc)
			if err != nil {
				return err
			}
			config = typed(filter)
		}
		r.Set(&corev3.TypedExtensionConfig{Name: name, TypedConfig: config})
	}
	for _, c := range p.Clusters {
		if b.source(Key{EndpointType, c.Name}) != nil {
			r.Set(loadAssignment(c))
		}
	}
	for _, s := range secrets(p) {
		if b.source(Key{SecretType, s.Name}) != nil {
			r.Set(s)
		}
	}
	return nil
}
