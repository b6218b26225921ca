package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"waymark.dev/waymark/envoy"
)

// Group is what proxies have in common that get the same configuration. It is read out of the node with which an Envoy
// introduces itself; [envoy.Options] writes it there.
type Group struct {
	// Proxy is "gateway" or "sidecar"; "" is a gateway.
	Proxy string `json:"proxy,omitempty"`
	// Namespace and Labels of the workload.
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Locality is region/zone/subzone, without what is missing at the end.
	Locality string `json:"locality,omitempty"`
	// Minor is the minor version of Envoy 1; 0 is unknown.
	Minor int `json:"minor,omitempty"`
	// SotW: the stream is state of the world.
	SotW bool `json:"sotw,omitempty"`
}

// groupOf reads a node.
func groupOf(n *corev3.Node, sotw bool) Group {
	g := Group{SotW: sotw, Minor: int(n.GetUserAgentBuildVersion().GetVersion().GetMinorNumber())}
	fields := n.GetMetadata().GetFields()
	g.Proxy, g.Namespace = fields[envoy.ProxyMetadata].GetStringValue(), fields[envoy.NamespaceMetadata].GetStringValue()
	g.Labels = stringsOf(fields[envoy.LabelsMetadata])
	if l := n.GetLocality(); l != nil {
		g.Locality = l.Region
		if l.Zone != "" {
			g.Locality += "/" + l.Zone
			if l.SubZone != "" {
				g.Locality += "/" + l.SubZone
			}
		}
	}
	return g
}

func stringsOf(v *structpb.Value) map[string]string {
	var out map[string]string
	for k, v := range v.GetStructValue().GetFields() {
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v.GetStringValue()
	}
	return out
}

// Key is a short name for the group, the same in every process.
func (g Group) Key() string {
	text, err := json.Marshal(g) // maps are sorted
	if err != nil {
		panic("xds: " + err.Error()) // strings only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// group is the proxies of a [Group], and what they get.
type group struct {
	Group
	id     string
	server *Server
	pool   *pool

	mu        sync.Mutex
	target    *target
	stable    *target   // what proxies have that may not have the target yet; nil: all may
	proven    *target   // the last one that a proxy has taken whole
	history   []*target // the latest last: those that proxies may still have
	endpoints *collection
	proxies   map[*session]bool
	left      time.Time // when the last proxy went; zero: there are some
	recalled  bool
	empty     [len(types)]*collection
}

func newGroup(s *Server, id Group) *group {
	g := &group{Group: id, id: id.Key(), server: s, pool: s.pool, proxies: map[*session]bool{}}
	for kind := range g.empty {
		g.empty[kind] = g.pool.collect(kind, nil)
	}
	return g
}

func (g *group) nothing(kind int) *collection { return g.empty[kind] }

// keptTargets is how many targets are remembered: the one that is rolled out, the one before, and one more for proxies that
// missed one.
const keptTargets = 3

// set makes resources the target. Resources that are as they were keep their entries.
func (g *group) set(r *envoy.Resources, number uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, latest, err := g.made(r)
	if err != nil {
		return err
	}
	t.number.Store(number)
	if g.target == nil || g.target.view != t.view {
		history, proven := g.history, g.proven
		g.remember(t)
		if err := g.server.store.write(g); err != nil { // before anybody gets it
			g.history, g.proven = history, proven
			return err
		}
		g.target = t
	} else {
		g.target.number.Store(number)
	}
	g.endpoints = g.pool.collect(endpoints, g.withFormer(latest.order))
	return nil
}

// made is a target of resources, and their endpoints.
func (g *group) made(r *envoy.Resources) (t *target, latest *collection, err error) {
	t = &target{}
	var before view
	if g.target != nil {
		before = g.target.view
	}
	before[endpoints] = g.endpoints
	for kind, typ := range types {
		entries, err := collectEntries(r.OfType(typ), before[kind])
		if err != nil {
			return nil, nil, err
		}
		t.view[kind] = g.pool.collect(kind, entries)
	}
	latest, t.view[endpoints] = t.view[endpoints], nil
	return t, latest, nil
}

// recall adds what the group would have got before it was known here to its history, once: a proxy has what this replica has
// never made, since another one gave it to the proxy, which is gone.
func (g *group) recall() {
	s := g.server
	s.updating.Lock()
	defer s.updating.Unlock()
	g.mu.Lock()
	recalled := g.recalled || len(g.history) >= keptTargets
	g.recalled = true
	g.mu.Unlock()
	if recalled {
		return
	}
	var earlier []*target
	for _, build := range s.former {
		r, err := build(g.Group)
		if err != nil {
			continue // no proxy got it
		}
		g.mu.Lock()
		if t, _, err := g.made(r); err == nil && !slices.ContainsFunc(g.history, func(h *target) bool { return h.view == t.view }) {
			earlier = append(earlier, t)
		}
		g.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.history = append(earlier, g.history...)
	g.history = g.history[max(0, len(g.history)-keptTargets):]
}

// withFormer adds the endpoints of clusters that proxies may still have, and that the target has not.
func (g *group) withFormer(latest []*entry) []*entry {
	if g.endpoints == nil {
		return latest
	}
	has := map[string]bool{}
	for _, e := range latest {
		has[e.name] = true
	}
	out := slices.Clone(latest)
	for _, e := range g.endpoints.order {
		if !has[e.name] && slices.ContainsFunc(g.history, func(t *target) bool { return t.view[clusters].get(e.name) != nil }) {
			out = append(out, e)
		}
	}
	return out
}

// changeEndpoints replaces the endpoints of some clusters.
func (g *group) changeEndpoints(changed []envoy.Resource) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.endpoints == nil {
		return nil
	}
	entries, err := collectEntries(changed, g.endpoints)
	if err != nil {
		return err
	}
	by := map[string]*entry{}
	for _, e := range entries {
		by[e.name] = e
	}
	order := slices.Clone(g.endpoints.order)
	for i, e := range order {
		if now := by[e.name]; now != nil {
			order[i] = now
		}
	}
	g.endpoints = g.pool.collect(endpoints, order)
	return nil
}

func collectEntries(resources []envoy.Resource, before *collection) ([]*entry, error) {
	out := make([]*entry, len(resources))
	for i, r := range resources {
		known := before.get(r.Name)
		if known != nil && known.message == r.Message {
			out[i] = known
			continue
		}
		e, err := newEntry(r)
		if err != nil {
			return nil, err
		}
		if known != nil && known.version == e.version {
			e = known
		}
		out[i] = e
	}
	return out, nil
}

// remember adds a target to the history.
func (g *group) remember(t *target) {
	g.history = slices.DeleteFunc(slices.Clone(g.history), func(h *target) bool { return h.view == t.view })
	g.history = append(g.history, t)
	if g.proven != nil && g.proven.view == t.view {
		g.proven = t
	}
	for len(g.history) > keptTargets {
		i := 0
		for i < len(g.history)-1 && (g.history[i] == g.proven || g.history[i] == g.stable) {
			i++
		}
		g.history = slices.Delete(g.history, i, i+1) // of the clone
	}
}

func (g *group) latestEndpoints() *collection {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.endpoints
}

// targetOf is what a proxy is to have. One that has nothing gets what has proven itself first, if there is something newer
// that has not: an Envoy that restarts while others refuse a change must serve.
func (g *group) targetOf(p *proxy) *target {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case p.fresh && g.proven != nil && (p.target == nil || p.target == g.proven):
		return g.proven
	case g.stable != nil && !g.server.rollout.admits(p.id):
		return g.stable
	default:
		return g.target
	}
}

// took notes that a proxy has taken all of a target.
func (g *group) took(t *target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.proven != t && slices.Contains(g.history, t) {
		g.proven = t
		if err := g.server.store.write(g); err != nil {
			g.failed(err)
		}
	}
}

// failed tells operators what no caller can be told.
func (g *group) failed(err error) {
	g.server.options.Log.Error("a group of proxies cannot get its change, or it cannot be kept: " + err.Error())
}

// closest is the collection that a proxy has, by the versions that it reports; where it is not known, the one that the proxy
// is to have.
func (g *group) closest(kind int, versions map[string]string) (c *collection, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if kind == endpoints {
		return g.endpoints, true
	}
	for _, c := range g.known(kind) {
		if c != nil && len(c.entries) == len(versions) && isSubset(versions, c) {
			return c, true
		}
	}
	for _, c := range g.known(kind) {
		if c != nil && isSubset(versions, c) {
			return c, true
		}
	}
	if g.target == nil {
		return nil, false
	}
	return g.target.view[kind], false
}

func isSubset(versions map[string]string, c *collection) bool {
	for name, v := range versions {
		if e := c.entries[name]; e == nil || e.version != v {
			return false
		}
	}
	return true
}

// known are the collections of a type that a proxy may have: those of targets, and of the stages between them.
func (g *group) known(kind int) []*collection {
	var out []*collection
	for i := len(g.history) - 1; i >= 0; i-- {
		t := g.history[i]
		out = append(out, t.view[kind])
		for _, begin := range g.history[:i] {
			stages, err := t.from(begin.view, g.pool)
			if err != nil {
				continue // it was possible before, or nobody has it
			}
			for _, s := range stages {
				if !slices.Contains(out, s.view[kind]) {
					out = append(out, s.view[kind])
				}
			}
		}
	}
	return out
}

func (g *group) byVersion(kind int, version string) *collection {
	g.mu.Lock()
	defer g.mu.Unlock()
	if kind == endpoints && g.endpoints != nil && g.endpoints.version == version {
		return g.endpoints
	}
	for _, c := range g.known(kind) {
		if c != nil && c.version == version {
			return c
		}
	}
	return nil
}

// everyCluster is all clusters that a proxy may have.
func (g *group) everyCluster() *collection {
	g.mu.Lock()
	defer g.mu.Unlock()
	has := map[string]bool{}
	var entries []*entry
	for _, t := range slices.Backward(g.history) {
		for _, e := range t.view[clusters].all() {
			if !has[e.name] {
				has[e.name] = true
				entries = append(entries, e)
			}
		}
	}
	return g.pool.collect(clusters, entries)
}

// basisOf are the routes for which the plugin configurations that a proxy has were made, each route configuration by itself;
// those whose plugin configuration is unknown are missing.
func (g *group) basisOf(p *proxy) (out [2]*collection) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sub := &p.subs[plugins]
	known := map[string]bool{} // by name of a plugin configuration
	for _, t := range slices.Backward(g.history) {
		of := t.view.routing()
		var fits []string
		all := true
		if t.view[plugins] != nil {
			for _, e := range t.view[plugins].order {
				switch {
				case sub.has(e.name) != e.version:
					all = false
				case !known[e.name]:
					fits = append(fits, e.name)
				}
			}
		}
		if all && (out == [2]*collection{} || of == [2]*collection{p.subs[routes].base, p.subs[hosts].base}) {
			return of
		}
		for _, name := range fits {
			known[name] = true
		}
		out = g.compose(out, of, fits)
	}
	return out
}

// compose are routes and virtual hosts in which the route configurations of some plugins are those of others.
func (g *group) compose(of, others [2]*collection, plugins []string) [2]*collection {
	if len(plugins) == 0 {
		return of
	}
	replaced := func(name string) bool { return slices.Contains(plugins, envoy.PluginName(envoy.RoutesOfHost(name))) }
	for i, kind := range []int{routes, hosts} {
		var entries []*entry
		for _, e := range of[i].all() {
			if !replaced(e.name) {
				entries = append(entries, e)
			}
		}
		for _, e := range others[i].all() {
			if replaced(e.name) {
				entries = append(entries, e)
			}
		}
		of[i] = g.pool.collect(kind, entries)
	}
	return of
}

func (g *group) answered(m *message, now time.Time, refused bool) {
	g.server.observe(Event{Type: types[m.kind], Step: m.stage, Took: max(now.Sub(m.sent), 1), Refused: refused})
}
