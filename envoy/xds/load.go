package xds

import (
	"sync"
	"time"

	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// load are the requests that a proxy has reported since it first did.
type load struct{ requests, errors uint64 }

func (l load) share() float64 {
	if l.requests == 0 {
		return 0
	}
	return float64(l.errors) / float64(l.requests)
}

// loads are those of all proxies, by the id of the node.
type loads struct {
	mu  sync.Mutex
	all map[string]load
}

func (l *loads) of(id string) load {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[id]
}

func (l *loads) add(id string, r *loadv3.LoadStatsRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]load{}
	}
	sum := l.all[id]
	for _, c := range r.ClusterStats {
		for _, at := range c.UpstreamLocalityStats {
			sum.requests += at.TotalSuccessfulRequests + at.TotalErrorRequests
			sum.errors += at.TotalErrorRequests
		}
	}
	l.all[id] = sum
}

func (l *loads) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, id)
}

// loadInterval is how often proxies report.
const loadInterval = 5 * time.Second

// loadService takes the reports of proxies (LRS).
type loadService struct {
	loadv3.UnimplementedLoadReportingServiceServer
	server *Server
}

// StreamLoadStats takes the reports of one proxy.
func (s *loadService) StreamLoadStats(stream loadv3.LoadReportingService_StreamLoadStatsServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	id := first.GetNode().GetId()
	if id == "" {
		return status.Error(codes.InvalidArgument, "the first report has no node with an id")
	}
	if err := s.server.authorize(stream.Context(), first.Node); err != nil {
		return err
	}
	if err := stream.Send(&loadv3.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(loadInterval)}); err != nil {
		return err
	}
	defer s.server.loads.forget(id)
	failed := make(chan error, 1)
	go func() {
		r, err := first, error(nil)
		for ; err == nil; r, err = stream.Recv() {
			s.server.loads.add(id, r)
		}
		failed <- err
	}()
	select {
	case err := <-failed:
		return err
	case <-s.server.ended:
		return errEnds
	}
}
