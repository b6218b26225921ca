// Package standin replaces the services of a plan: it answers on every endpoint with a loopback address, so that a
// folder of rules can be tried without any of its services.
package standin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"waymark.dev/waymark/plan"
)

// Services are the running stand-ins.
type Services struct {
	mu      sync.Mutex
	servers map[string]*http.Server // by address
	placed  map[string]uint32       // the ports of clusters that had no loopback endpoint, by name
}

// New makes a set without services.
func New() *Services {
	return &Services{servers: map[string]*http.Server{}, placed: map[string]uint32{}}
}

// Place starts a stand-in on a free port for every cluster of a plan that has no loopback endpoint, such as one of a real
// cluster or without any, and makes it the cluster's only endpoint, without TLS. A cluster keeps its stand-in after a
// change.
func (s *Services) Place(p *plan.Plan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range p.Clusters {
		if slices.ContainsFunc(c.AllEndpoints(), isLoopback) || c.Discovery == plan.OriginalDestination {
			continue
		}
		if s.placed[c.Name] == 0 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("stand-in for %s: %w", c.Name, err)
			}
			s.placed[c.Name] = uint32(l.Addr().(*net.TCPAddr).Port)
			s.serve(c.Name, l.Addr().String(), l)
		}
		c.Discovery, c.TLS, c.ProxyProtocol = plan.Static, nil, 0
		c.Localities = []plan.Locality{{Endpoints: []plan.Endpoint{{Address: "127.0.0.1", Port: s.placed[c.Name]}}}}
	}
	return nil
}

func isLoopback(e plan.Endpoint) bool {
	ip, err := netip.ParseAddr(e.Address)
	return err == nil && ip.IsLoopback()
}

// serve starts a stand-in for a cluster.
func (s *Services) serve(cluster, address string, l net.Listener) {
	name, version := identity(cluster)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: Handler(name, version), ReadHeaderTimeout: time.Minute, Protocols: protocols}
	s.servers[address] = server
	go func() { _ = server.Serve(l) }() // ends when the server is closed
}

// Serve starts a stand-in on every loopback endpoint of the plan that has none yet. An address that is in use by
// another program is an error; the other stand-ins run all the same.
func (s *Services) Serve(p *plan.Plan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, c := range slices.Backward(p.Clusters) { // subsets before the cluster without: "|v1|" sorts after "||"
		for _, e := range c.AllEndpoints() {
			address := net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port)))
			if !isLoopback(e) || s.servers[address] != nil {
				continue
			}
			l, lerr := net.Listen("tcp", address)
			if lerr != nil {
				err = errors.Join(err, fmt.Errorf("stand-in for %s: %w", c.Name, lerr))
				continue
			}
			s.serve(c.Name, address, l)
		}
	}
	return err
}

// Relocate gives the loopback endpoints of a plan whose address another program uses one that free returns, so that
// stand-ins can be started beside those of another process.
func Relocate(p *plan.Plan, free func() (uint32, error)) error {
	moved := map[string]uint32{} // by address; clusters of subsets share addresses
	for _, c := range p.Clusters {
		for i := range c.Localities {
			for j := range c.Localities[i].Endpoints {
				e := &c.Localities[i].Endpoints[j]
				if !isLoopback(*e) {
					continue
				}
				address := net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port)))
				if _, seen := moved[address]; !seen {
					port, err := usable(address, e.Port, free)
					if err != nil {
						return err
					}
					moved[address] = port
				}
				e.Port = moved[address]
			}
		}
	}
	return nil
}

// usable is the port of an address, or a free one where the address is in use.
func usable(address string, port uint32, free func() (uint32, error)) (uint32, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return free()
	}
	return port, l.Close()
}

// Close stops all stand-ins. It waits for their requests until the context ends.
func (s *Services) Close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		if server.Shutdown(ctx) != nil { // the context has ended
			_ = server.Close() // an error does not matter any more
		}
	}
}

// identity returns the service and the subset in a cluster's name.
func identity(cluster string) (name, version string) {
	parts := strings.SplitN(cluster, "|", 4)
	if len(parts) != 4 {
		return cluster, ""
	}
	name, _, _ = strings.Cut(parts[3], ".")
	return name, parts[2]
}

// Answer is the body of a stand-in's response: its service and version, and the request that it got.
type Answer struct {
	Service   string              `json:"service"`
	Version   string              `json:"version,omitempty"`
	Method    string              `json:"method"`
	Authority string              `json:"authority"`
	Path      string              `json:"path"`
	Headers   map[string][]string `json:"headers"`
}

// Handler answers as one service. Three paths are special: below /flaky every second request gets 503, below /slow the
// answer takes two seconds, and below /status/CODE it has that status.
func Handler(name, version string) http.Handler {
	var flaky atomic.Uint32
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := Answer{name, version, r.Method, r.Host, r.RequestURI, map[string][]string{}}
		for key, values := range r.Header {
			a.Headers[strings.ToLower(key)] = values
		}
		status := http.StatusOK
		switch code, isStatus := strings.CutPrefix(r.URL.Path, "/status/"); {
		case isStatus:
			if n, err := strconv.Atoi(code); err == nil && n >= 200 && n < 600 {
				status = n
			}
		case strings.HasPrefix(r.URL.Path, "/flaky"):
			if flaky.Add(1)%2 == 1 {
				status = http.StatusServiceUnavailable
			}
		case strings.HasPrefix(r.URL.Path, "/slow"):
			select {
			case <-time.After(2 * time.Second):
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Service", strings.TrimSuffix(name+" "+version, " "))
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(a) // the proxy may be gone
	})
}
