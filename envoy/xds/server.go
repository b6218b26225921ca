package xds

import (
	"errors"
	"log/slog"
	"sync"
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

	mu     sync.Mutex
	groups map[string]*group
	number uint64
	build  func(Group) (*envoy.Resources, error)

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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.build = build
	s.number++
	if len(s.options.Waves.Sizes) > 0 {
		for _, g := range s.groups {
			g.hold(!s.rollout.isActive())
		}
		s.rollout.begin(s.number, time.Now())
	}
	for _, g := range s.groups {
		err = errors.Join(err, s.rebuild(g))
	}
	s.pool.sweep()
	return s.number, err
}

// UpdateEndpoints gives proxies other endpoints of clusters that they have, and touches nothing else. What build makes from
// now on has these endpoints, too; a group of which the changed ones are not known is built.
func (s *Server) UpdateEndpoints(changed func(Group) (r []envoy.Resource, known bool), build func(Group) (*envoy.Resources, error)) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.build = build
	for _, g := range s.groups {
		if r, known := changed(g.Group); known {
			err = errors.Join(err, g.changeEndpoints(r))
			g.wake()
		} else {
			err = errors.Join(err, s.rebuild(g))
		}
	}
	return err
}

func (s *Server) rebuild(g *group) error {
	r, err := s.build(g.Group)
	if err == nil {
		err = g.set(r, s.number)
	}
	if err != nil {
		g.failed(err)
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

// group is the one that a proxy belongs to.
func (s *Server) group(id Group) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := id.Key()
	g := s.groups[key]
	if g == nil {
		g = newGroup(s, id)
		s.groups[key] = g
		if err := s.store.read(g); err != nil {
			s.options.Log.Warn("what proxies had before is not known: " + err.Error())
		}
		if s.build != nil {
			if err := s.rebuild(g); err != nil {
				s.options.Log.Error(err.Error())
			}
		}
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
