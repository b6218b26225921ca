package xds

import (
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"waymark.dev/waymark/envoy"
)

// Options of a server.
type Options struct {
	// Log gets what operators need to know. Default: nothing is logged.
	Log *slog.Logger
	// Dir is a folder in which targets are kept, so that a restart in the middle of a change knows what proxies had. It has
	// keys of certificates, so only its owner can enter it. Default: none.
	Dir string
	// Waves are how a change comes to the fleet. Default: to all proxies at once.
	Waves Waves
	// Authorize decides who may be which node. Default: who can connect.
	Authorize Authorize
	// Observe is called with every response that is sent, acknowledged or refused; see [Event]. Default: nothing.
	Observe func(Event)
}

// Event is what becomes of a response.
type Event struct {
	Type envoy.Type
	// Step is that of a change; "" for an answer to a subscription, and for endpoints.
	Step envoy.StepKind
	// Took is the time from sending to acknowledgement or refusal; 0: it is being sent.
	Took time.Duration
	// Refused: the proxy refused it.
	Refused bool
	Bytes   int
}

// Server gives proxies their configuration over ADS.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	options Options
	pool    *pool
	store   *store

	// updating is held while groups are built, so that what they get is of one update after the other.
	updating sync.Mutex
	number   uint64
	build    func(Group) (*envoy.Resources, error)

	mu     sync.Mutex // guards groups
	groups map[string]*group
	former []func(Group) (*envoy.Resources, error) // those before, the latest last; see [group.recall]

	rollout rollout
	loads   loads
	ended   chan struct{}

	changes sync.Mutex
	changed chan struct{} // nil: nobody waits
}

// New makes a server that has nothing to give yet: proxies wait for the first Update.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, pool: newPool(), groups: map[string]*group{}, store: &store{dir: o.Dir}, rollout: rollout{waves: o.Waves}, ended: make(chan struct{})}
	if len(o.Waves.Sizes) > 0 {
		go s.rollOut()
	}
	return s
}

// Close ends the streams and what the server does by itself. Envoys keep what they have, and connect again.
func (s *Server) Close() { close(s.ended) }

// readBuffer is enough for acknowledgements, which is nearly all that proxies send: a thousand of them are silent most of the
// time, and each has a buffer.
const readBuffer = 4 << 10

// GRPC is a gRPC server with the service, and with more options such as credentials.
func (s *Server) GRPC(more ...grpc.ServerOption) *grpc.Server {
	out := grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxConcurrentStreams(1000),
		grpc.ReadBufferSize(readBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}, more...)...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(out, s)
	loadv3.RegisterLoadReportingServiceServer(out, &loadService{server: s})
	return out
}

// Update gives every group what build makes for it from now on. A group for which build fails keeps what it had. The number
// is that of the configuration in [Status].
func (s *Server) Update(build func(Group) (*envoy.Resources, error)) (number uint64, err error) {
	s.updating.Lock()
	defer s.updating.Unlock()
	if s.build != nil {
		s.former = append(slices.Clone(s.former[max(0, len(s.former)-keptTargets+2):]), s.build)
	}
	s.build = build
	s.number++
	s.forget(time.Now())
	groups := s.all()
	if len(s.options.Waves.Sizes) > 0 {
		for _, g := range groups {
			g.hold(!s.rollout.isActive())
		}
		s.rollout.begin(s.number, time.Now())
	}
	err = inParallel(groups, s.rebuild)
	s.pool.sweep()
	return s.number, err
}

// inParallel does something for all groups, as many at once as there are processors, and joins the errors.
func inParallel(groups []*group, do func(*group) error) error {
	errs := make([]error, len(groups))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(groups), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(groups); i = int(next.Add(1)) - 1 {
				errs[i] = do(groups[i])
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// all are the groups, in the order of their names.
func (s *Server) all() []*group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *group) int { return strings.Compare(a.id, b.id) })
}

// forgetAfter is how long a group is kept that no proxy is in: longer than a restart takes.
const forgetAfter = 15 * time.Minute

// forget drops the groups that no proxy has been in for long: a rolling update of a workload may have labels of its own.
func (s *Server) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, g := range s.groups {
		if g.isLeft(now.Add(-forgetAfter)) {
			delete(s.groups, id)
			if err := s.store.remove(g); err != nil {
				s.options.Log.Warn("what a group of proxies had cannot be removed: " + err.Error())
			}
		}
	}
}

func (g *group) isLeft(before time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.proxies) == 0 && !g.left.IsZero() && g.left.Before(before)
}

// UpdateEndpoints gives proxies other endpoints of clusters that they have, and touches nothing else. What build makes from
// now on has these endpoints, too; a group of which the changed ones are not known is built.
func (s *Server) UpdateEndpoints(changed func(Group) (r []envoy.Resource, known bool), build func(Group) (*envoy.Resources, error)) (err error) {
	s.updating.Lock()
	defer s.updating.Unlock()
	s.build = build
	return inParallel(s.all(), func(g *group) error {
		r, known := changed(g.Group)
		if !known {
			return s.rebuild(g)
		}
		defer g.wake()
		return g.changeEndpoints(r)
	})
}

func (s *Server) rebuild(g *group) error {
	r, err := s.build(g.Group)
	if err == nil {
		err = g.set(r, s.number)
	}
	g.wake()
	return err
}

func (g *group) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.proxies {
		p.wake()
	}
}

// join adds a proxy to the group that it belongs to. The first proxy of a group waits until it is built.
func (s *Server) join(id Group, p *session) *group {
	if g := s.joinKnown(id, p); g != nil {
		return g
	}
	s.updating.Lock()
	defer s.updating.Unlock()
	if g := s.joinKnown(id, p); g != nil {
		return g
	}
	g := newGroup(s, id)
	if err := s.store.read(g); err != nil {
		s.options.Log.Warn("what proxies had before is not known: " + err.Error())
	}
	if s.build != nil {
		if err := s.rebuild(g); err != nil {
			s.options.Log.Error(err.Error())
		}
	}
	g.join(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[g.id] = g
	return g
}

func (s *Server) joinKnown(id Group, p *session) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[id.Key()]
	if g != nil {
		g.join(p)
	}
	return g
}

// hold remembers what proxies have that are not in the wave yet.
func (g *group) hold(anew bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if anew || g.stable == nil {
		g.stable = g.target
	}
}

func (s *Server) observe(e Event) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}
