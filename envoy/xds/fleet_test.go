package xds

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/plan"
)

// configuration is a set of rules in short: for each host the generation of its rule. A rule of generation n goes to a
// cluster of its own, so that each step has something to do; odd generations of the listeners have a second port.
type configuration map[string]int

// resources are those of a configuration, by the real builder.
func (c configuration) resources(t *testing.T, matching envoy.Matching, sotw bool) *envoy.Resources {
	p := &plan.Plan{}
	rc := &plan.RouteConfig{Name: "http.80", Port: 80}
	for _, host := range slices.Sorted(maps.Keys(c)) {
		name := fmt.Sprintf("outbound|80||%s-%d", host, c[host])
		rule := &plan.Rule{
			Origin: plan.Origin{Kind: "VirtualService", Namespace: "default", Name: host},
			Match:  plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: "/"}},
			Route:  &plan.RouteAction{Destinations: []plan.Destination{{Cluster: name, Weight: 100}}},
		}
		rule.Seal()
		rc.VirtualHosts = append(rc.VirtualHosts, &plan.VirtualHost{Name: host + ":80", Domains: []string{host}, Rules: []*plan.Rule{rule}})
		p.Clusters = append(p.Clusters, &plan.Cluster{Name: name, Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: "127.0.0.1", Port: 80}}}}})
	}
	p.Listeners = []*plan.Listener{{Name: "0.0.0.0_80", Bind: "0.0.0.0", Port: 80, Chains: []*plan.FilterChain{{Routes: rc}}}}
	r, err := envoy.Build(p, envoy.Options{Matching: matching, Minor: 40, Module: "/m.wasm", Control: &envoy.Control{SotW: sotw}})
	require.NoError(t, err)
	return r
}

// fake is an Envoy in plain Go: it subscribes as Envoy does, takes what it is sent, and refuses what it is told to.
type fake struct {
	t        *testing.T
	p        *proxy
	delta    bool
	has      [len(types)]map[string]*entry
	asked    [len(types)]bool
	names    [len(types)]map[string]bool
	versions [len(types)]string // in state of the world
	refuse   func(kind int, e *entry) bool
	silent   bool
	queue    []*message
	ready    bool // it has had everything once
	messages int
	kinds    []int // of the messages
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// connect begins a stream; before is the Envoy on the one before, or nil.
func connect(t *testing.T, g *group, id string, clock *time.Time, before *fake) *fake {
	return connectRefusing(t, g, id, clock, before, nil)
}

func connectRefusing(t *testing.T, g *group, id string, clock *time.Time, before *fake, refuse func(int, *entry) bool) *fake {
	f := &fake{t: t, delta: !g.SotW, refuse: refuse, p: &proxy{id: id, group: g, delta: !g.SotW, fresh: true, now: func() time.Time { return *clock }}}
	for kind := range types {
		f.has[kind], f.names[kind] = map[string]*entry{}, map[string]bool{}
	}
	if before != nil {
		f.has, f.names, f.versions, f.refuse, f.ready = before.has, before.names, before.versions, before.refuse, before.ready
		for kind := range types {
			if before.asked[kind] {
				f.ask(kind, true)
			}
		}
		f.p.begin()
	} else {
		f.ask(clusters, false)
		f.p.begin()
	}
	f.work()
	return f
}

func (f *fake) ask(kind int, again bool) {
	f.asked[kind] = true
	r := &request{kind: kind, whole: !f.delta}
	if kind != clusters && kind != listeners && kind != hosts {
		r.subscribe = slices.Sorted(maps.Keys(f.names[kind]))
	}
	if again && !f.delta {
		r.version = f.versions[kind]
	}
	if again && f.delta {
		r.initial = map[string]string{}
		for name, e := range f.has[kind] {
			r.initial[name] = e.version
		}
	}
	f.p.receive(r)
}

// subscribe adds names as Envoy does for what it has been sent.
func (f *fake) subscribe(kind int, names ...string) {
	var added []string
	for _, n := range names {
		if !f.names[kind][n] {
			f.names[kind][n] = true
			added = append(added, n)
		}
	}
	if len(added) == 0 {
		return
	}
	f.asked[kind] = true
	r := &request{kind: kind, whole: !f.delta, subscribe: added}
	if !f.delta {
		r.subscribe = slices.Sorted(maps.Keys(f.names[kind]))
	}
	f.p.receive(r)
}

// work takes what was sent until nothing is.
func (f *fake) work() {
	for n := 0; ; n++ {
		require.Less(f.t, n, 1000, "it is sent the same again and again: %v", f.kinds[max(0, len(f.kinds)-20):])
		f.queue = append(f.queue, f.p.out...)
		f.p.out = nil
		if len(f.queue) == 0 || f.silent {
			return
		}
		m := f.queue[0]
		f.queue = f.queue[1:]
		f.take(m)
	}
}

func (f *fake) take(m *message) {
	f.messages++
	f.kinds = append(f.kinds, m.kind)
	answer := &request{kind: m.kind, nonce: m.nonce, whole: !f.delta}
	if !f.delta {
		answer.subscribe = slices.Sorted(maps.Keys(f.names[m.kind]))
	}
	bad := slices.IndexFunc(m.set, func(e *entry) bool { return f.refuse != nil && f.refuse(m.kind, e) })
	if bad >= 0 {
		answer.refused = m.set[bad].name + " is refused"
		if m.kind == clusters { // Envoy takes the others
			for _, e := range m.set {
				if !f.refuse(m.kind, e) {
					f.has[m.kind][e.name] = e
				}
			}
		}
		f.p.receive(answer)
		return
	}
	for _, name := range m.removed {
		delete(f.has[m.kind], name)
	}
	for _, e := range m.set {
		f.has[m.kind][e.name] = e
	}
	if !f.delta {
		var r discoveryv3.DiscoveryResponse
		require.NoError(f.t, proto.Unmarshal(m.body, &r))
		f.versions[m.kind] = r.VersionInfo
		if allOrNothing(m.kind) { // what is missing goes
			sent := map[string]bool{}
			for _, resource := range r.Resources {
				message, err := resource.UnmarshalNew()
				require.NoError(f.t, err)
				sent[envoy.KeyOf(message).Name] = true
			}
			maps.DeleteFunc(f.has[m.kind], func(name string, _ *entry) bool { return !sent[name] })
		}
	}
	f.check()
	switch m.kind {
	case clusters:
		var names []string
		for _, e := range m.set {
			if e.message.(*clusterv3.Cluster).EdsClusterConfig != nil {
				names = append(names, e.name)
			}
		}
		f.subscribe(endpoints, names...)
		f.p.receive(answer)
		if !f.asked[listeners] {
			f.ask(listeners, false)
		}
	case listeners:
		f.p.receive(answer)
		if len(f.has[listeners]) > 0 {
			if f.hasPlugins() {
				f.subscribe(plugins, "waymark.http.80")
			}
			f.subscribe(routes, "http.80")
		}
	case routes:
		if !f.asked[hosts] && f.delta {
			f.ask(hosts, false)
		}
		f.p.receive(answer)
	default:
		f.p.receive(answer)
	}
}

func (f *fake) hasPlugins() bool { return f.p.target != nil && len(f.p.target.view[plugins].order) > 0 }

// check is what must always be true: an outcome that the filter may choose has its route, and each route its cluster, once
// there were any.
func (f *fake) check() {
	if f.ready = f.ready || f.p.complete(); !f.ready {
		return
	}
	for _, id := range f.chosen() {
		require.Contains(f.t, f.routesByID(), id, "the filter may choose an outcome that has no route")
	}
	for id, c := range f.routesByID() {
		if slices.Contains(f.chosen(), id) {
			require.Contains(f.t, f.has[clusters], c, "a route that may be chosen has no cluster")
		}
	}
	for _, e := range f.has[hosts] {
		for _, d := range domains(e) {
			n := 0
			for _, other := range f.has[hosts] {
				if slices.Contains(domains(other), d) {
					n++
				}
			}
			assert.Equal(f.t, 1, n, "domain %s stands in %d virtual hosts", d, n)
		}
	}
}

var outcomeOf = regexp.MustCompile(`"outcome":"([^"]+)"`)

// chosen are the outcomes that the filter may choose.
func (f *fake) chosen() (ids []string) {
	for _, e := range f.has[plugins] {
		for _, m := range outcomeOf.FindAllStringSubmatch(string(e.packed), -1) {
			ids = append(ids, m[1])
		}
	}
	return ids
}

// routesByID are the clusters of the routes in force, by outcome.
func (f *fake) routesByID() map[string]string {
	out := map[string]string{}
	add := func(h *routev3.VirtualHost) {
		for id, action := range h.GetMatcher().GetMatcherTree().GetExactMatchMap().GetMap() {
			var r routev3.Route
			require.NoError(f.t, action.GetAction().TypedConfig.UnmarshalTo(&r))
			out[id] = r.GetRoute().GetCluster()
		}
		for i, r := range h.Routes {
			out[fmt.Sprint(h.Name, i)] = r.GetRoute().GetCluster()
		}
	}
	for _, e := range f.has[hosts] {
		add(e.message.(*routev3.VirtualHost))
	}
	for _, e := range f.has[routes] {
		for _, h := range e.message.(*routev3.RouteConfiguration).VirtualHosts {
			add(h)
		}
	}
	return out
}

// tell lets a proxy look for a new target, and take all that comes of it.
func (f *fake) tell(clock *time.Time) {
	f.p.retarget()
	f.work()
	for range 5 {
		*clock = clock.Add(time.Second)
		f.p.retarget()
		f.work()
	}
}

// inForce: the proxy has exactly this configuration, but for what waits for the next change.
func (f *fake) inForce(c configuration) {
	f.t.Helper()
	want := map[string]bool{}
	for host, n := range c {
		want[fmt.Sprintf("outbound|80||%s-%d", host, n)] = true
	}
	assert.Equal(f.t, want, keysOf(f.has[clusters]), "clusters")
	for c := range want {
		assert.Contains(f.t, slices.Collect(maps.Values(f.routesByID())), c)
	}
	assert.True(f.t, f.p.inSync(), "in sync: %+v", f.p.refusals)
}

func keysOf(m map[string]*entry) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

func newTestGroup(t *testing.T, s *Server, sotw bool) *group {
	g := newGroup(s, Group{SotW: sotw, Minor: 40})
	require.NoError(t, s.store.read(g))
	return g
}

func give(t *testing.T, g *group, r *envoy.Resources) {
	t.Helper()
	g.server.number++
	require.NoError(t, g.set(r, g.server.number))
}

// ways are all combinations of protocol and matching.
func ways(t *testing.T, test func(t *testing.T, matching envoy.Matching, sotw bool)) {
	for _, matching := range []envoy.Matching{envoy.MatchingFilter, envoy.MatchingNative, envoy.MatchingAuto} {
		for _, sotw := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s sotw=%t", matching, sotw), func(t *testing.T) { test(t, matching, sotw) })
		}
	}
}

// TestStepsAreGated makes random changes while proxies refuse, are silent, disconnect and come back: at no moment can the
// filter choose an outcome that has no route, nor a route a cluster that is not there. In the end, all have the last change.
func TestStepsAreGated(t *testing.T) {
	ways(t, func(t *testing.T, matching envoy.Matching, sotw bool) {
		for seed := range uint64(12) {
			t.Logf("seed %d", seed)
			dice := rand.New(rand.NewPCG(seed, 7))
			s := New(Options{Dir: t.TempDir()})
			g := newTestGroup(t, s, sotw)
			c := configuration{"a": 1, "b": 1, "c": 1}
			give(t, g, c.resources(t, matching, sotw))
			clock := start
			fleet := make([]*fake, 4)
			for i := range fleet {
				fleet[i] = connect(t, g, fmt.Sprint("proxy-", i), &clock, nil)
				fleet[i].tell(&clock)
				fleet[i].inForce(c)
			}
			for range 25 {
				for _, host := range []string{"a", "b", "c", "d"} {
					switch dice.IntN(4) {
					case 0:
						c[host]++
					case 1:
						if host == "d" {
							delete(c, host)
						}
					}
				}
				give(t, g, c.resources(t, matching, sotw))
				if dice.IntN(5) == 0 { // another server, with what the one before left
					s = New(Options{Dir: s.options.Dir})
					g = newTestGroup(t, s, sotw)
					give(t, g, c.resources(t, matching, sotw))
					for i, f := range fleet {
						fleet[i] = connect(t, g, f.p.id, &clock, f)
					}
				}
				for i, f := range fleet {
					switch dice.IntN(6) {
					case 0:
						f.refuse = func(kind int, e *entry) bool { return strings.Contains(e.name, "a-") || kind == plugins }
					case 1:
						f.silent = true
					case 2:
						fleet[i] = connect(t, g, f.p.id, &clock, f) // what was under way is lost
					default:
						f.refuse, f.silent = nil, false
					}
					fleet[i].tell(&clock)
				}
			}
			for host := range c { // every host has something new, so nothing is held back
				c[host]++
			}
			give(t, g, c.resources(t, matching, sotw))
			for _, f := range fleet {
				f.refuse, f.silent = nil, false
				f.work()
				f.tell(&clock)
				f.inForce(c)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// A newer target comes while workers get the plugin configurations of the one before: each of them may choose outcomes of that
// one or of the first, so the routes of both stay until all workers are known to have the former.
func TestATargetThatComesWhileWorkersChoose(t *testing.T) {
	for _, sotw := range []bool{false, true} {
		for what, acknowledges := range map[string]bool{"acknowledged": true, "not acknowledged": false} {
			t.Run(fmt.Sprintf("%s sotw=%t", what, sotw), func(t *testing.T) {
				g := newTestGroup(t, New(Options{}), sotw)
				c := configuration{"a": 1}
				give(t, g, c.resources(t, envoy.MatchingFilter, sotw))
				clock := start
				f := connect(t, g, "p", &clock, nil)
				f.tell(&clock)
				f.inForce(c)
				f.ready = true
				first := f.chosen()
				c["a"]++
				give(t, g, c.resources(t, envoy.MatchingFilter, sotw))
				f.silent = true
				f.p.retarget()
				for f.work(); len(f.queue) == 0 || f.queue[0].kind != plugins; f.work() {
					require.NotEmpty(t, f.queue)
					f.take(f.queue[0])
					f.queue = f.queue[1:]
				}
				if acknowledges {
					f.take(f.queue[0])
					f.queue = f.queue[1:]
				}
				second := f.chosen()
				c["a"]++
				give(t, g, c.resources(t, envoy.MatchingFilter, sotw))
				f.silent = false
				f.p.retarget()
				f.work()
				for _, id := range append(first, second...) {
					require.Contains(t, f.routesByID(), id, "a worker may choose it")
				}
				f.tell(&clock)
				f.inForce(c)
			})
		}
	}
}

// A proxy comes from another replica, which is gone, with a configuration of before the last change. This replica has never
// had a proxy of its group, and knows what it would have given to one.
func TestAProxyOfAnotherReplica(t *testing.T) {
	ways(t, func(t *testing.T, matching envoy.Matching, sotw bool) {
		here, other := New(Options{}), New(Options{})
		all := []configuration{{"a": 1}, {"a": 2}, {"a": 3}}
		update := func(s *Server, c configuration) {
			r := c.resources(t, matching, sotw)
			_, err := s.Update(func(Group) (*envoy.Resources, error) { return r, nil })
			require.NoError(t, err)
		}
		id := Group{SotW: sotw, Minor: 40}
		clock := start
		var f *fake
		for i, c := range all[:2] {
			update(here, c)
			update(other, c)
			if i == 0 {
				f = connect(t, other.join(id, &session{woken: make(chan struct{}, 1)}), "p", &clock, nil)
			}
			f.tell(&clock)
			f.inForce(c)
		}
		f.ready = true
		update(here, all[2])
		f = connect(t, here.join(id, &session{woken: make(chan struct{}, 1)}), "p", &clock, f)
		f.tell(&clock)
		assert.True(t, f.p.inSync())
		for _, id := range f.chosen() {
			assert.Contains(t, f.routesByID(), id)
		}
	})
}

// TestNothingNew connects a proxy that has everything to a server that was started anew: nothing is sent.
func TestNothingNew(t *testing.T) {
	ways(t, func(t *testing.T, matching envoy.Matching, sotw bool) {
		for _, when := range []string{"kept", "not kept", "not kept, and read after proxies are back"} {
			dir, kept := "", when == "kept"
			if kept {
				dir = t.TempDir()
			}
			g := newTestGroup(t, New(Options{Dir: dir}), sotw)
			give(t, g, configuration{"a": 1, "b": 1}.resources(t, matching, sotw))
			clock := start
			f := connect(t, g, "p", &clock, nil)
			f.tell(&clock)
			if kept { // with a change whose old routes wait for the next one
				give(t, g, configuration{"a": 2, "b": 1}.resources(t, matching, sotw))
				f.tell(&clock)
			}
			again := newTestGroup(t, New(Options{Dir: dir}), sotw)
			latest := configuration{"a": 1, "b": 1}
			if kept {
				latest["a"] = 2
			}
			late := strings.HasSuffix(when, "back")
			if sotw && late {
				continue // there is one version of everything, which means nothing to a server that has nothing yet
			}
			if !late {
				give(t, again, latest.resources(t, matching, sotw))
			}
			f = connect(t, again, "p", &clock, f)
			if late {
				give(t, again, latest.resources(t, matching, sotw))
			}
			f.tell(&clock)
			if sotw { // one version for the endpoints of all clusters, among them those that are gone
				assert.Subset(t, []int{endpoints}, f.kinds)
			} else {
				assert.Empty(t, f.kinds)
			}
			f.inForce(latest)
		}
	})
}

// TestEndpointsGoByThemselves changes endpoints: no other type is sent, also to a proxy that refuses a change.
func TestEndpointsGoByThemselves(t *testing.T) {
	g := newTestGroup(t, New(Options{}), false)
	c := configuration{"a": 1, "b": 1}
	give(t, g, c.resources(t, envoy.MatchingFilter, false))
	clock := start
	f := connect(t, g, "p", &clock, nil)
	f.tell(&clock)
	f.refuse = func(kind int, _ *entry) bool { return kind == hosts }
	c["a"] = 2
	give(t, g, c.resources(t, envoy.MatchingFilter, false))
	f.tell(&clock)
	require.Len(t, f.p.refusals, 1)
	moved := &endpointv3.ClusterLoadAssignment{ClusterName: "outbound|80||b-1"}
	require.NoError(t, g.changeEndpoints([]envoy.Resource{{Key: envoy.KeyOf(moved), Message: moved}}))
	f.messages = 0
	f.tell(&clock)
	assert.Equal(t, 1, f.messages)
	assert.True(t, proto.Equal(moved, f.has[endpoints]["outbound|80||b-1"].message))
}

// TestOneBadHost changes ten hosts, of which one is refused: the others are taken, and what is refused is not sent again.
func TestOneBadHost(t *testing.T) {
	g := newTestGroup(t, New(Options{}), false)
	c := configuration{}
	for i := range 10 {
		c[fmt.Sprint("h", i)] = 1
	}
	give(t, g, c.resources(t, envoy.MatchingNative, false))
	clock := start
	f := connect(t, g, "p", &clock, nil)
	f.tell(&clock)
	f.refuse = func(kind int, e *entry) bool { return kind == hosts && e.name == "http.80/h3:80" }
	for host := range c {
		c[host]++
	}
	give(t, g, c.resources(t, envoy.MatchingNative, false))
	f.tell(&clock)
	require.Len(t, f.p.refusals, 1)
	assert.Equal(t, "http.80/h3:80", f.p.refusals[0].message.set[0].name)
	routes := slices.Collect(maps.Values(f.routesByID()))
	for host := range c {
		n := 2
		if host == "h3" {
			n = 1
		}
		assert.Contains(t, routes, fmt.Sprintf("outbound|80||%s-%d", host, n))
	}
	f.messages = 0
	f.tell(&clock)
	assert.Zero(t, f.messages, "it would be refused again")
	f.refuse = nil
	c["h3"]++
	give(t, g, c.resources(t, envoy.MatchingNative, false))
	f.tell(&clock)
	f.inForce(c)
}

// TestAFreshProxyGetsWhatHasProvenItself starts a proxy while another one refuses the target.
func TestAFreshProxyGetsWhatHasProvenItself(t *testing.T) {
	g := newTestGroup(t, New(Options{}), false)
	good := configuration{"a": 1}
	give(t, g, good.resources(t, envoy.MatchingFilter, false))
	clock := start
	f := connect(t, g, "p", &clock, nil)
	f.tell(&clock)
	refuse := func(kind int, e *entry) bool { return kind == clusters && e.name == "outbound|80||a-2" }
	f.refuse = refuse
	give(t, g, configuration{"a": 2}.resources(t, envoy.MatchingFilter, false))
	f.tell(&clock)
	require.NotEmpty(t, f.p.refusals)
	another := connectRefusing(t, g, "q", &clock, nil, refuse)
	another.tell(&clock)
	assert.Len(t, another.has[listeners], 1)
	assert.NotEmpty(t, another.chosen())
	assert.NotEmpty(t, another.p.refusals)
}

// TestResponsesAreShared gives one response to all proxies that have the same.
func TestResponsesAreShared(t *testing.T) {
	g := newTestGroup(t, New(Options{}), false)
	c := configuration{"a": 1, "b": 1}
	give(t, g, c.resources(t, envoy.MatchingFilter, false))
	clock := start
	fleet := []*fake{connect(t, g, "p", &clock, nil), connect(t, g, "q", &clock, nil)}
	for _, f := range fleet {
		f.tell(&clock)
	}
	c["a"]++
	give(t, g, c.resources(t, envoy.MatchingFilter, false))
	var bodies [][]byte
	for _, f := range fleet {
		f.p.retarget()
		require.NotEmpty(t, f.p.out)
		bodies = append(bodies, f.p.out[0].body)
		assert.Equal(t, fleet[0].p.subs[endpoints].names, f.p.subs[endpoints].names)
	}
	assert.Same(t, &bodies[0][0], &bodies[1][0])
	var r discoveryv3.DeltaDiscoveryResponse
	require.NoError(t, proto.Unmarshal(bodies[0], &r))
	assert.Equal(t, string(envoy.ClusterType), r.TypeUrl)
	assert.Len(t, r.Resources, 1, "only what is new")
}

// TestGroups reads what an Envoy says of itself.
func TestGroups(t *testing.T) {
	b, err := envoy.ControlledBootstrap(envoy.Options{
		Minor: 40, Labels: map[string]string{"app": "edge"}, Namespace: "shop", Proxy: "sidecar",
		Control: &envoy.Control{Socket: "/s", Node: envoy.Node{ID: "a", Cluster: "c", Locality: &corev3.Locality{Region: "r", Zone: "z"}}},
	})
	require.NoError(t, err)
	b.Node.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40}}}
	assert.Equal(t, Group{Proxy: "sidecar", Namespace: "shop", Labels: map[string]string{"app": "edge"}, Locality: "r/z", Minor: 40}, groupOf(b.Node, false))
}
