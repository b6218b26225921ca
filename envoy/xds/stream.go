package xds

import (
	"errors"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// session is one stream of one proxy.
type session struct {
	proxy     *proxy
	cluster   string // of its node
	connected time.Time
	woken     chan struct{}
	status    atomic.Pointer[Status]
}

func (s *session) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // it is awake, and will look
	}
}

// received is a request of either protocol.
type received struct {
	request
	node *corev3.Node
	typ  string
}

// DeltaAggregatedResources serves one Envoy.
func (s *Server) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(stream, true, func() (*received, error) {
		r, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return &received{node: r.Node, typ: r.TypeUrl, request: request{
			subscribe: r.ResourceNamesSubscribe, unsubscribe: r.ResourceNamesUnsubscribe, initial: r.InitialResourceVersions,
			nonce: r.ResponseNonce, refused: r.ErrorDetail.GetMessage(),
		}}, nil
	})
}

// StreamAggregatedResources serves one Envoy, in state of the world.
func (s *Server) StreamAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serve(stream, false, func() (*received, error) {
		r, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return &received{node: r.Node, typ: r.TypeUrl, request: request{
			whole: true, subscribe: r.ResourceNames, version: r.VersionInfo, nonce: r.ResponseNonce, refused: r.ErrorDetail.GetMessage(),
		}}, nil
	})
}

// errEnds ends streams: an Envoy connects again, to another replica.
var errEnds = status.Error(codes.Unavailable, "the control plane ends")

// reportTime is how long an Envoy that reconnects has to name everything that it has. It sends all of it at once; what comes
// later makes the plan anew.
const reportTime = 200 * time.Millisecond

func (s *Server) serve(stream grpc.ServerStream, delta bool, receive func() (*received, error)) error {
	first, err := receive()
	if err != nil {
		return err
	}
	if first.node.GetId() == "" {
		return status.Error(codes.InvalidArgument, "the first request has no node with an id")
	}
	if err := s.authorize(stream.Context(), first.node); err != nil {
		return err
	}
	me := &session{cluster: first.node.Cluster, connected: time.Now(), woken: make(chan struct{}, 1), proxy: &proxy{id: first.node.Id, delta: delta, now: time.Now, fresh: true}}
	g := s.join(groupOf(first.node, !delta), me)
	me.proxy.group = g
	defer g.leave(me)

	requests := make(chan *received)
	failed := make(chan error, 1)
	go func() {
		for r, err := first, error(nil); ; r, err = receive() {
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- r:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	p := me.proxy
	reported := time.NewTimer(reportTime)
	defer reported.Stop()
	settled := time.NewTimer(time.Hour)
	defer settled.Stop()
	for {
		select {
		case r := <-requests:
			if r.kind = indexOf(r.typ); r.kind < 0 {
				continue // not served: the Envoy goes without
			}
			p.receive(&r.request)
			if p.fresh {
				p.begin()
			}
		case <-reported.C:
			p.begin()
		case <-me.woken:
			p.retarget()
		case <-settled.C:
			p.retarget()
		case <-s.ended:
			return errEnds
		case err := <-failed:
			if errors.Is(stream.Context().Err(), err) || status.Code(err) == codes.Canceled {
				return nil
			}
			return err
		}
		for _, m := range p.out {
			if err := stream.SendMsg(&response{shared: m.body, nonce: m.nonce, delta: delta}); err != nil {
				return err
			}
			s.observe(Event{Type: types[m.kind], Step: m.stage, Bytes: len(m.body)})
			m.body = nil
		}
		p.out = p.out[:0]
		me.note()
		if rest := time.Until(p.settled); rest > 0 {
			settled.Reset(rest + time.Millisecond)
		}
	}
}

func (g *group) join(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.proxies[s] = true
	g.left = time.Time{}
}

func (g *group) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.proxies, s)
	if len(g.proxies) == 0 {
		g.left = time.Now()
	}
	g.server.broadcast()
}
