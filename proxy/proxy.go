// Package proxy is the embedded data plane: it executes a plan with net/http and with the filter's module on wazero. It
// is for trials, tests and demonstrations; in production, Envoy executes the plan.
//
// It speaks HTTP/1.1 and HTTP/2, with TLS or without, to clients and to destinations, and executes the actions of rules:
// splits, header operations, rewrites, redirects, direct responses, CORS, faults, timeouts, retries and mirrors. It is
// not for the open internet: it bounds the time and the size of a request, but has no limits on connections, no outlier
// detection and no protocol upgrades. It sends only to addresses in the plan: a cluster for the original destination of
// connections is left out.
//
// The hard case is a change of rules under load. A request keeps the state with which it began, plan and root contexts
// together, until it is answered; the old root contexts are deleted after the last such request.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/internal/listening"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
)

// Options configure a proxy. The zero value serves on the plan's addresses and logs nothing.
type Options struct {
	// Listen returns the address that a listener binds. nil binds the address in the plan, except that the loopback
	// address replaces an address for all interfaces, since this proxy is not for clients on other machines.
	Listen func(*plan.Listener) string
	// Access is called with a record of every request that was answered; nil drops the records.
	Access func(Access)
	// Log is called with the errors that the module logs, and with those of deleting old configurations; nil drops
	// them.
	Log func(message string)
	// Intake is what happens to a request before rules are tried. Rules are decided as by an Envoy of its version.
	Intake effect.Intake
	// Strict refuses a plan of which something is left out.
	Strict bool
}

// Access is the record of one request in the access log. Detail is the reason of an answer of the proxy itself, in the
// words of Envoy's response code details.
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
	workers chan *vm.VM // the free VMs
	all     []*vm.VM
	plain   *clients // for the clusters without TLS

	draining  atomic.Bool
	mu        sync.Mutex // guards listeners, and is locked during Apply and Close
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

// New compiles the module and makes as many VMs as GOMAXPROCS, four at most.
func New(ctx context.Context, module []byte, options Options) (*Proxy, error) {
	if options.Access == nil {
		options.Access = func(Access) {}
	}
	m, err := vm.Compile(ctx, module)
	if err != nil {
		return nil, fmt.Errorf("the filter's module: %w", err)
	}
	p := &Proxy{
		options: options, module: m, listeners: map[string]*server{}, plain: newPlainClients(),
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

// Apply serves a plan from now on. Requests that have begun are finished with the plan with which they began. After an
// error, the proxy serves the same plan as before.
func (p *Proxy) Apply(ctx context.Context, next *plan.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, encryptors, left := servable(next, p.options.Intake.Behaviour())
	if len(next.Listeners) == 0 || p.options.Strict && len(left) > 0 {
		for i := range left {
			left[i].Severity = diag.Error
		}
		return left.Err()
	}
	s, err := p.newState(ctx, next, encryptors)
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
	if p.options.Log != nil {
		for _, f := range left {
			p.options.Log(f.Object + " " + f.Message)
		}
	}
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
		go func() { _ = o.http.Serve(watchedListener{encrypted{socket, p, name}}) }() // ends when the server is closed
	}
	return opened, nil
}

// httpServer returns the server for the clients of a listener.
func (p *Proxy) httpServer(listener string) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // encrypted HTTP/2, too: net/http does not see what decrypts, and finds the preface
	s := &http.Server{
		Protocols:                    protocols,
		ReadHeaderTimeout:            headersTimeout,
		ReadTimeout:                  requestTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaders,
		DisableGeneralOptionsHandler: true, // OPTIONS * is answered as by Envoy
		ErrorLog:                     log.New(serverErrors{p}, "", 0),
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

// serverErrors logs what net/http says about its own work. What clients do wrong is for the access log alone, or they could
// fill the other one.
type serverErrors struct{ p *Proxy }

func (s serverErrors) Write(line []byte) (int, error) {
	if text := strings.TrimSpace(string(line)); s.p.options.Log != nil && !strings.HasPrefix(text, "http2: ") {
		s.p.options.Log(text)
	}
	return len(line), nil
}

// Limits for clients, similar to those of Envoy's edge profile. The time of an answer is bounded only by a rule's
// timeout.
const (
	headersTimeout = time.Minute
	requestTimeout = 5 * time.Minute
	idleTimeout    = time.Hour
	maxHeaders     = effect.MaxHeaderBytes - 4096 // net/http adds 4096
	maxRequestBody = 256 << 20                    // a body of more bytes is answered with 413
)

// loopback returns the address to bind: the loopback address if bind is an address for all interfaces, else bind.
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

// hasPort reports whether one of the listeners has the port of an address. A listener whose address changes is bound to
// the new address before the old socket is closed, so that both have the port for a while.
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
				_ = l.http.Shutdown(context.Background()) // it waits without limit, so it does not fail
			}()
		}
	}
}

// Address returns the host:port that a listener of the plan is bound to; "" if there is no such listener.
func (p *Proxy) Address(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.listeners[listener]; l != nil {
		return l.addr.String()
	}
	return ""
}

// drainTime is the time between the end of new connections and the closing of idle ones. During Close, answers in this
// time have "Connection: close".
const drainTime = 500 * time.Millisecond

// Close accepts no new connections, and waits for the requests that have begun until the context ends. Then it closes
// their connections.
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
			errs <- l.http.Close() // the context has ended
		}()
	}
	var err error
	for range p.listeners {
		err = errors.Join(err, <-errs)
	}
	p.plain.closeIdle()
	if p.state != nil {
		p.state.closeIdle()
	}
	return errors.Join(err, p.module.Close(context.WithoutCancel(ctx)))
}

// deafen keeps new clients from a socket that is about to be closed, where the system can.
func (s *server) deafen() {
	if c, ok := s.socket.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = listening.Deafen(int(fd)) }) // not every system can
		}
	}
}
