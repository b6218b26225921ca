package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/fleet"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// The servers.
const (
	waymark  = "waymark"
	snapshot = "snapshot" // go-control-plane's snapshot cache, with one snapshot for all proxies, which is its best case
	linear   = "linear"   // go-control-plane's linear caches, one for each type, told what has changed only
)

// control is a control plane.
type control interface {
	grpc() *grpc.Server
	// apply gives the fleet objects, and applyEndpoints objects of which the endpoints alone are others.
	apply(*resource.Input) error
	applyEndpoints(*resource.Input) error
	// inSync is how many proxies are known to have all, and -1 where the server does not know that.
	inSync() int
}

func newControl(kind string, matching envoy.Matching) (control, error) {
	switch kind {
	case waymark:
		o := building(matching)
		o.Control, o.Minor = nil, 0
		return &plane{Plane: fleet.New(fleet.Options{Envoy: o})}, nil
	case snapshot:
		return &snapshots{built: built{matching: matching}, cache: cache.NewSnapshotCache(true, oneGroup{}, nil)}, nil
	case linear:
		return newLinears(matching), nil
	default:
		return nil, fmt.Errorf("there is no server %q", kind)
	}
}

// serve is the server's process.
func serve(o *options) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as waymark serve has it
	}
	matching := envoy.Matching(o.matching)
	s, err := newControl(o.kind, matching)
	if err != nil {
		return err
	}
	book, err := newRulebook(o.rules, o.hosts)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	gs := s.grpc()
	defer gs.Stop()
	go func() { _ = gs.Serve(listener) }() // until it is stopped
	var profile *os.File
	return answer(func(c command) (*reply, error) {
		r := &reply{At: time.Now().UnixNano()}
		switch c.Op {
		case "start":
			r.Address = listener.Addr().String()
			return r, s.apply(book.input())
		case "change":
			if err := book.change(c.Number%o.hosts, c.Number); err != nil {
				return nil, err
			}
			return r, s.apply(book.input())
		case "endpoints":
			return r, moveEndpoints(s, book, c.Number, c.Seconds)
		case "synced":
			over := time.Now().Add(time.Minute)
			for r.Count = s.inSync(); r.Count >= 0 && r.Count != c.Number && time.Now().Before(over); r.Count = s.inSync() {
				time.Sleep(5 * time.Millisecond)
			}
			if r.Count >= 0 && r.Count != c.Number {
				return nil, fmt.Errorf("%d of %d proxies are in sync", r.Count, c.Number)
			}
			r.At = time.Now().UnixNano()
			return r, nil
		case "heap":
			runtime.GC()
			runtime.GC() // finalizers have run
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			r.Heap = m.HeapAlloc
			if c.File == "" {
				return r, nil
			}
			f, err := os.Create(filepath.Clean(c.File))
			if err != nil {
				return nil, err
			}
			return r, errors.Join(pprof.WriteHeapProfile(f), f.Close())
		case "profile": // until it is told again
			if profile != nil {
				pprof.StopCPUProfile()
				err := profile.Close()
				profile = nil
				return r, err
			}
			if profile, err = os.Create(filepath.Clean(c.File)); err != nil {
				return nil, err
			}
			return r, pprof.StartCPUProfile(profile)
		default:
			return nil, fmt.Errorf("the server does not know %q", c.Op)
		}
	})
}

// tick is how often endpoints are given to the fleet: what Kubernetes reports in the meantime is joined.
const tick = 100 * time.Millisecond

// moveEndpoints changes the endpoints of one host after the other.
func moveEndpoints(s control, book *rulebook, changes int, seconds float64) error {
	begun, done := time.Now(), 0
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for done < changes {
		<-ticks.C
		due := min(changes, int(time.Since(begun).Seconds()/seconds*float64(changes)))
		if due == done {
			continue
		}
		for ; done < due; done++ {
			if err := book.move(done % len(book.moved)); err != nil {
				return err
			}
		}
		if err := s.applyEndpoints(book.input()); err != nil {
			return err
		}
	}
	return nil
}

// plane is Waymark's control plane.
type plane struct {
	*fleet.Plane
	number uint64
}

func (p *plane) grpc() *grpc.Server { return p.Server().GRPC() }

func (p *plane) apply(in *resource.Input) error {
	change, err := p.Apply(in)
	if err != nil {
		return err
	}
	p.number = change.Number
	return nil
}

func (p *plane) applyEndpoints(in *resource.Input) error {
	done, err := p.ApplyEndpoints(in)
	if err == nil && !done {
		err = errors.New("endpoints are not enough")
	}
	return err
}

func (p *plane) inSync() (n int) {
	for _, s := range p.Server().Status() {
		if s.InSync && s.Number == p.number {
			n++
		}
	}
	return n
}

// built is what the servers that Waymark is compared with give: the same resources, made in the same way.
type built struct {
	matching  envoy.Matching
	set       *resource.Set
	plan      *plan.Plan
	resources *envoy.Resources
}

func (b *built) make(in *resource.Input) (err error) {
	b.set = in.Set
	b.plan, b.resources, err = build(in, b.matching)
	return err
}

// refresh makes the endpoints that have changed.
func (b *built) refresh(in *resource.Input) ([]envoy.Resource, error) {
	clusters, ok := translate.Refresh(b.plan, b.set, in.Set, translation)
	if !ok {
		return nil, errors.New("endpoints are not enough")
	}
	b.set = in.Set
	by := map[string]*plan.Cluster{}
	for _, c := range clusters {
		by[c.Name] = c
	}
	now := *b.plan
	now.Clusters = slices.Clone(now.Clusters)
	for i, c := range now.Clusters {
		if changed := by[c.Name]; changed != nil {
			now.Clusters[i] = changed
		}
	}
	b.plan = &now
	return envoy.LoadAssignments(clusters), nil
}

func (b *built) inSync() int { return -1 }

func adsServer(c cache.Cache) *grpc.Server {
	out := grpc.NewServer(grpc.MaxConcurrentStreams(1000))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(out, server.NewServer(context.Background(), c, nil))
	return out
}

// oneGroup makes all proxies share a snapshot.
type oneGroup struct{}

func (oneGroup) ID(*corev3.Node) string { return "group" }

type snapshots struct {
	built
	cache   cache.SnapshotCache
	given   map[string][]types.Resource
	version int
}

func (s *snapshots) grpc() *grpc.Server { return adsServer(s.cache) }

func (s *snapshots) apply(in *resource.Input) error {
	if err := s.make(in); err != nil {
		return err
	}
	s.given = map[string][]types.Resource{}
	for _, t := range adsTypes {
		for _, r := range s.resources.OfType(t) {
			s.given[string(t)] = append(s.given[string(t)], r.Message)
		}
	}
	return s.give()
}

func (s *snapshots) give() error {
	s.version++
	snap, err := cache.NewSnapshot(fmt.Sprint(s.version), s.given)
	if err != nil {
		return err
	}
	return s.cache.SetSnapshot(context.Background(), "group", snap)
}

func (s *snapshots) applyEndpoints(in *resource.Input) error {
	changed, err := s.refresh(in)
	if err != nil {
		return err
	}
	by := map[string]types.Resource{}
	for _, r := range changed {
		by[r.Name] = r.Message
	}
	s.given = maps.Clone(s.given)
	all := slices.Clone(s.given[string(envoy.EndpointType)])
	for i, r := range all {
		if now := by[cache.GetResourceName(r)]; now != nil {
			all[i] = now
		}
	}
	s.given[string(envoy.EndpointType)] = all
	return s.give()
}

type linears struct {
	built
	mux    cache.MuxCache
	caches map[envoy.Type]*cache.LinearCache
	given  map[envoy.Key]proto.Message
}

func newLinears(matching envoy.Matching) *linears {
	l := &linears{built: built{matching: matching}, caches: map[envoy.Type]*cache.LinearCache{}, given: map[envoy.Key]proto.Message{}}
	l.mux = cache.MuxCache{
		Classify:      func(r *cache.Request) string { return r.GetTypeUrl() },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return r.GetTypeUrl() },
		Caches:        map[string]cache.Cache{},
	}
	for _, t := range adsTypes {
		l.caches[t] = cache.NewLinearCache(string(t))
		l.mux.Caches[string(t)] = l.caches[t]
	}
	return l
}

func (l *linears) grpc() *grpc.Server { return adsServer(&l.mux) }

func (l *linears) apply(in *resource.Input) error {
	if err := l.make(in); err != nil {
		return err
	}
	given := map[envoy.Key]proto.Message{}
	for _, t := range adsTypes {
		var changed []envoy.Resource
		for _, r := range l.resources.OfType(t) {
			given[r.Key] = r.Message
			if before := l.given[r.Key]; before != nil && proto.Equal(before, r.Message) {
				given[r.Key] = before
			} else {
				changed = append(changed, r)
			}
		}
		var gone []string
		for key := range l.given {
			if key.Type == t && given[key] == nil {
				gone = append(gone, key.Name)
			}
		}
		if err := l.update(t, changed, gone); err != nil {
			return err
		}
	}
	l.given = given
	return nil
}

func (l *linears) update(t envoy.Type, changed []envoy.Resource, gone []string) error {
	if len(changed)+len(gone) == 0 {
		return nil
	}
	set := map[string]types.Resource{}
	for _, r := range changed {
		set[r.Name] = r.Message
	}
	return l.caches[t].UpdateResources(set, gone)
}

func (l *linears) applyEndpoints(in *resource.Input) error {
	changed, err := l.refresh(in)
	if err != nil {
		return err
	}
	for _, r := range changed {
		l.given[r.Key] = r.Message
	}
	return l.update(envoy.EndpointType, changed, nil)
}
