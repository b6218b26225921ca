package xds

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
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

	changes sync.Mutex
	changed chan struct{} // nil: nobody waits
}

// New makes a server that has nothing to give yet: proxies wait for the first Update.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{options: o, pool: newPool(), groups: map[string]*group{}, store: &store{dir: o.Dir}}
}

// GRPC is a gRPC server with the service, and with more options such as credentials.
func (s *Server) GRPC(more ...grpc.ServerOption) *grpc.Server {
	out := grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxConcurrentStreams(1000),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}, more...)...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(out, s)
	return out
}

// Update gives every group what build makes for it from now on. A group for which build fails keeps what it had. The number
// is that of the configuration in [Status].
func (s *Server) Update(build func(Group) (*envoy.Resources, error)) (number uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.build = build
	s.number++
	for _, g := range s.groups {
		err = errors.Join(err, s.rebuild(g))
	}
	s.pool.sweep()
	return s.number, err
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
	key := id.key()
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

func (s *Server) observe(*message, time.Time, bool) {}
