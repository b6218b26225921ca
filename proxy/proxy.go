// Package proxy is the embedded data plane: the filter's module on wazero in front of net/http, executing a plan. It is
// for trying, for tests and for demonstrations; production is Envoy.
//
// It speaks HTTP/1.1 and executes what a rule may ask for: splits, header operations, rewrites, redirects, direct
// responses, CORS, faults, timeouts, retries and mirrors. It has none of what makes a proxy fit for the open internet:
// no TLS, no limits, no outlier detection, no protocol upgrades. It sends to addresses that the plan names: a plan with a
// cluster of the original destination is refused.
//
// The hard case is a change of rules under load. A request keeps the state that it began with, plan and root contexts
// together, until it is answered; the old root contexts are deleted when the last such request is gone.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/internal/listening"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
)

// Options configure a proxy. The zero value serves on the plan's own addresses, in silence.
type Options struct {
	// Listen replaces the address that a listener binds. nil: the plan's, and the loopback address where that is every one:
	// this proxy is not made for strangers.
	Listen func(*plan.Listener) string
	// Access gets a record of every request that was answered.
	Access func(Access)
	// Log gets the module's lines.
	Log func(message string)
	// Intake is what is done with a request before rules see it; its Envoy's reading of rules is followed.
	Intake effect.Intake
}

// Access is what the access log says of a request.
type Access struct {
	Time                            time.Time
	Method, Authority, Path         string
	Status                          int
	Rule, Cluster, Upstream, Detail string
	Duration                        time.Duration
	Attempts                        int
}

// Proxy serves plans, one after the other.
type Proxy struct {
	options Options
	module  *vm.Module
	workers chan *vm.VM // those that are free
	all     []*vm.VM
	client  *http.Transport

	draining  atomic.Bool
	mu        sync.Mutex // held by Apply and Close
	state     *state     // guarded by stateMu
	stateMu   sync.RWMutex
	listeners map[string]*server
}

// server is one bound listener.
type server struct {
	http   *http.Server
	socket net.Listener
	addr   net.Addr
}

// New compiles the module and makes as many VMs as there are cores, four at most.
func New(ctx context.Context, module []byte, options Options) (*Proxy, error) {
	if options.Access == nil {
		options.Access = func(Access) {}
	}
	m, err := vm.Compile(ctx, module)
	if err != nil {
		return nil, fmt.Errorf("the filter's module: %w", err)
	}
	p := &Proxy{
		options: options, module: m, listeners: map[string]*server{},
		client: &http.Transport{
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		},
	}
	workers := min(runtime.GOMAXPROCS(0), 4)
	p.workers = make(chan *vm.VM, workers)
	for range workers {
		v, err := m.New(ctx, hostcalls.Error, func(_ hostcalls.Level, message string) {
			if options.Log != nil {
				options.Log(message)
			}
		})
		if err != nil {
			return nil, errors.Join(err, m.Close(ctx))
		}
		p.all = append(p.all, v)
		p.workers <- v
	}
	return p, nil
}

// connectTimeout is Istio's default for upstream connections (DR-CP-01).
const connectTimeout = 10 * time.Second

// Apply serves a plan from now on. Requests that have begun are finished by the plan they began with. On an error
// nothing has changed.
func (p *Proxy) Apply(ctx context.Context, next *plan.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, err := p.newState(ctx, next)
	if err != nil {
		return err
	}
	opened, err := p.open(ctx, s)
	if err != nil {
		p.retire(s)
		return err
	}
	p.stateMu.Lock()
	old := p.state
	p.state = s
	p.stateMu.Unlock()
	for name, l := range opened {
		p.listeners[name] = l
	}
	p.closeUnused(next)
	if old != nil {
		go p.retire(old)
	}
	return nil
}

// open binds the listeners that are new.
func (p *Proxy) open(ctx context.Context, s *state) (map[string]*server, error) {
	opened := map[string]*server{}
	for _, l := range s.plan.Listeners {
		if p.listeners[l.Name] != nil {
			continue
		}
		address := net.JoinHostPort(loopback(l.Bind), fmt.Sprint(l.Port))
		if p.options.Listen != nil {
			address = p.options.Listen(l)
		}
		socket, err := listening.Listen(ctx, address, p.hasPort(address))
		if err != nil {
			for _, o := range opened {
				_ = o.http.Close() // never served
			}
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		name := l.Name
		o := &server{socket: socket, addr: socket.Addr(), http: p.httpServer(name)}
		opened[name] = o
		go func() { _ = o.http.Serve(watchedListener{socket}) }() // ends when the server is closed
	}
	return opened, nil
}

// httpServer speaks with the clients of a listener.
func (p *Proxy) httpServer(listener string) *http.Server {
	s := &http.Server{
		ReadHeaderTimeout:            headersTimeout,
		ReadTimeout:                  requestTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaders,
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered as by Envoy
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
			p.serve(listener, w, r)
		}),
	}
	watch(s, func(r *http.Request) {
		p.options.Access(Access{
			Time: time.Now(), Method: r.Method, Authority: r.Host, Path: r.RequestURI, Status: http.StatusBadRequest,
			Detail: "http1.codec_error",
		})
	})
	return s
}

// Limits on what a client may do. Envoy's of the edge profile are the model; there is no limit on how long an answer takes,
// which a rule's timeout bounds.
const (
	headersTimeout = time.Minute
	requestTimeout = 5 * time.Minute
	idleTimeout    = time.Hour
	maxHeaders     = effect.MaxHeaderBytes - 4096 // net/http adds 4096
	maxRequestBody = 256 << 20                    // a body of more bytes is answered with 413
)

// loopback is an address to bind: the loopback one in the place of every address.
func loopback(bind string) string {
	switch ip, err := netip.ParseAddr(bind); {
	case err != nil || !ip.IsUnspecified():
		return bind
	case ip.Is6():
		return "::1"
	default:
		return "127.0.0.1"
	}
}

// hasPort says that one of the listeners has the port of an address: one that is bound to another address from now on is
// there beside the old one for a while.
func (p *Proxy) hasPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	for _, l := range p.listeners {
		if _, own, e := net.SplitHostPort(l.addr.String()); err == nil && e == nil && own == port {
			return true
		}
	}
	return false
}

// closeUnused closes the listeners that a plan does not have, and lets their requests finish.
func (p *Proxy) closeUnused(next *plan.Plan) {
	used := map[string]bool{}
	for _, l := range next.Listeners {
		used[l.Name] = true
	}
	for name, l := range p.listeners {
		if !used[name] {
			delete(p.listeners, name)
			go func() {
				l.deafen()
				time.Sleep(drainTime)
				_ = l.http.Shutdown(context.Background()) // without an end, there is no error
			}()
		}
	}
}

// Address is where a listener of the plan is bound, or "".
func (p *Proxy) Address(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[listener]; l != nil {
		return l.addr.String()
	}
	return ""
}

// drainTime is how long clients are told, with their answers, that their connections end, before idle ones are closed.
const drainTime = 500 * time.Millisecond

// Close ends the service: no new connections, and the requests that have begun are finished, as long as the context
// allows. Then their connections are cut.
func (p *Proxy) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining.Store(true)
	for _, l := range p.listeners {
		l.deafen()
	}
	if len(p.listeners) > 0 {
		select {
		case <-time.After(drainTime):
		case <-ctx.Done():
		}
	}
	errs := make(chan error, len(p.listeners))
	for _, l := range p.listeners {
		go func() {
			if l.http.Shutdown(ctx) == nil {
				errs <- nil
				return
			}
			errs <- l.http.Close() // the time is up
		}()
	}
	var err error
	for range p.listeners {
		err = errors.Join(err, <-errs)
	}
	p.client.CloseIdleConnections()
	return errors.Join(err, p.module.Close(context.WithoutCancel(ctx)))
}

// deafen keeps new clients from a socket that is about to be closed, where the system can.
func (s *server) deafen() {
	if c, ok := s.socket.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = listening.Deafen(int(fd)) }) // see above
		}
	}
}
