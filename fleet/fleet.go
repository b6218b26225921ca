// Package fleet is the control plane: it turns the resources as they are now into what each group of proxies gets, and says
// what became of it.
//
// It decides which objects are used and which proxies may have a change, never what a rule means (package gateway) or in
// which order a proxy takes a change (package envoy/xds).
//
// The hard case is an object that is refused among many that are not: a VirtualService that validation refuses. It is left
// out by itself, and its last good version goes on being served:
//
//	reviews v1 applied          served
//	reviews v2 refused          v1 is served, and the status of reviews says why v2 is not
//	ratings changed             served, with v1 of reviews
package fleet

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// Options are what all proxies have in common. The group of a proxy fills in its type, namespace, labels, locality and
// version.
type Options struct {
	// Log gets what operators need to know. Default: nothing is logged.
	Log *slog.Logger
	// Envoy and Translate are options of the builders.
	Envoy     envoy.Options
	Translate translate.Options
	// StateDir is that of [xds.Options.Dir].
	StateDir string
	// Waves are the parts of the fleet that take a change one after the other. Default: all at once.
	Waves xds.Waves
	// Authorize is that of [xds.Options.Authorize].
	Authorize xds.Authorize
}

// Plane is a control plane.
type Plane struct {
	options Options
	server  *xds.Server
	metrics *metrics

	mu       sync.Mutex
	set      *resource.Set // in force
	findings diag.Findings // of reading and validation
	groups   map[string]*translated
	former   map[string]*translated // of the change before
	number   uint64
	since    map[string]version // of the objects in force, by name
}

// translated is the plan of a group.
type translated struct {
	group    xds.Group
	plan     *plan.Plan
	findings diag.Findings
	err      error
	before   map[string]bool // outcomes of the change before; nil: there was none
}

// New makes a control plane that has no resources yet; proxies wait for the first [Plane.Apply].
func New(o Options) *Plane {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Plane{options: o, groups: map[string]*translated{}}
	p.metrics = newMetrics(p)
	p.server = xds.New(xds.Options{Log: o.Log, Dir: o.StateDir, Waves: o.Waves, Authorize: o.Authorize, Observe: p.metrics.observe})
	return p
}

// Close ends what the plane does by itself.
func (p *Plane) Close() { p.server.Close() }

// Server is the xDS server of the plane.
func (p *Plane) Server() *xds.Server { return p.server }

// Apply gives proxies the resources of an input from now on. Objects that validation refuses are as they were before, or
// left out where there was none. The change has the resources in force and what is wrong with those that were given; the
// error says which groups cannot get them.
func (p *Plane) Apply(read *resource.Input) (*Change, error) {
	begun := time.Now()
	prepared := gateway.Prepare(read, envoyversion.All)
	p.mu.Lock()
	kept := gateway.Keep(prepared, p.set)
	p.set, p.findings = kept.Set, kept.Findings
	p.former, p.groups = p.groups, map[string]*translated{}
	p.mu.Unlock()
	number, err := p.server.Update(func(g xds.Group) (*envoy.Resources, error) { return p.build(kept.Set, g) })
	p.metrics.changes.Inc()
	p.metrics.translate.Observe(time.Since(begun).Seconds())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number, p.since = number, changedSince(p.since, kept.Set, number)
	return &Change{Number: number, Input: kept, Findings: p.all()}, err
}

// Change is a change of the resources.
type Change struct {
	// Number is that of [xds.Status].
	Number uint64
	// Input has the resources in force, and the findings of reading and validation.
	Input *resource.Input
	// Findings are all, those of translation for each group included.
	Findings diag.Findings
}

// ApplyEndpoints is [Plane.Apply] for an input that differs from the one before in EndpointSlices and Pods alone. Rules are
// not looked at; done is false where that is not enough, and nothing is changed.
func (p *Plane) ApplyEndpoints(read *resource.Input) (done bool, err error) {
	after, changed, ok := p.refresh(read)
	if !ok {
		return false, nil
	}
	return true, p.server.UpdateEndpoints(
		func(g xds.Group) ([]envoy.Resource, bool) {
			r, known := changed[g.Key()]
			return r, known
		},
		func(g xds.Group) (*envoy.Resources, error) { return p.build(after, g) },
	)
}

// refresh makes the clusters of all groups anew.
func (p *Plane) refresh(read *resource.Input) (after *resource.Set, changed map[string][]envoy.Resource, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set == nil {
		return nil, nil, false
	}
	set := *p.set
	set.EndpointSlices, set.Pods = read.Set.EndpointSlices, read.Set.Pods
	changed, plans := map[string][]envoy.Resource{}, map[string]*translated{}
	for id, t := range p.groups {
		if t.err != nil {
			return nil, nil, false
		}
		clusters, ok := translate.Refresh(t.plan, p.set, &set, p.translation(t.group))
		if !ok {
			return nil, nil, false
		}
		changed[id], plans[id] = envoy.LoadAssignments(clusters), t.withClusters(clusters)
	}
	p.set, p.groups = &set, plans
	return &set, changed, true
}

// withClusters is the translation with some clusters replaced.
func (t *translated) withClusters(clusters []*plan.Cluster) *translated {
	if len(clusters) == 0 {
		return t
	}
	by := map[string]*plan.Cluster{}
	for _, c := range clusters {
		by[c.Name] = c
	}
	out, changed := *t, *t.plan
	changed.Clusters = slices.Clone(changed.Clusters)
	for i, c := range changed.Clusters {
		if now := by[c.Name]; now != nil {
			changed.Clusters[i] = now
		}
	}
	out.plan = &changed
	return &out
}

// build translates a set for a group.
func (p *Plane) build(set *resource.Set, g xds.Group) (*envoy.Resources, error) {
	t := &translated{group: g}
	t.plan, t.findings = translate.Plan(set, p.translation(g))
	var r *envoy.Resources
	if t.plan == nil {
		t.err = &diag.FindingsError{Findings: t.findings}
	} else {
		r, t.err = envoy.Build(t.plan, p.building(g))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set == set {
		if f := p.former[g.Key()]; f != nil && f.plan != nil {
			t.before = outcomes(f.plan)
		}
		p.groups[g.Key()] = t
	}
	return r, t.err
}

// translation are the translator's options for a group.
func (p *Plane) translation(g xds.Group) translate.Options {
	o := p.options.Translate
	o.Proxy = cmp.Or(translate.ProxyType(g.Proxy), translate.GatewayProxy)
	o.Namespace, o.Labels, o.Locality = g.Namespace, g.Labels, g.Locality
	return o.WithDefaults()
}

// building are Envoy's options for a group.
func (p *Plane) building(g xds.Group) envoy.Options {
	o := p.options.Envoy
	if g.Minor != 0 {
		o.Minor = envoyversion.Nearest(g.Minor)
	}
	if o.Profile == "" && g.Proxy == string(translate.SidecarProxy) {
		o.Profile = envoy.ProfilePlain
	}
	o.Labels, o.Namespace = g.Labels, g.Namespace
	o.Control = &envoy.Control{SotW: g.SotW}
	return o
}

// all are the findings about the resources in force, for all groups.
func (p *Plane) all() diag.Findings {
	lists := []diag.Findings{p.findings}
	for _, id := range slices.Sorted(maps.Keys(p.groups)) {
		lists = append(lists, p.groups[id].findings)
	}
	return diag.Merge(lists...)
}

// Set is the resources in force; nil before the first Apply.
func (p *Plane) Set() *resource.Set {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set
}
