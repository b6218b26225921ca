package proxy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// serve answers one request.
func (p *Proxy) serve(listener string, w http.ResponseWriter, r *http.Request) {
	s := p.acquire()
	defer s.requests.Done()
	if p.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	x := &exchange{proxy: p, state: s, listener: listener, w: w, r: r, log: Access{Time: time.Now(), Method: r.Method, Authority: r.Host, Path: r.RequestURI}}
	defer func() {
		x.log.Duration = time.Since(x.log.Time)
		p.options.Access(x.log)
	}()
	site := s.site(listener, r)
	if site == nil { // the listener is about to be closed
		x.reply(http.StatusNotFound, "", nil)
		return
	}
	x.decide(site)
}

// exchange is one request and its response.
type exchange struct {
	proxy *Proxy
	state *state
	// listener is the name of the one that the request came to.
	listener string

	w    http.ResponseWriter
	r    *http.Request
	in   effect.Request
	rule *effect.Rule
	dest int
	log  Access
	// setCookie are the Set-Cookie values of cookies that hash policies made.
	setCookie []string
}

// decide calls the module for a decision and executes it, in the order of Envoy's filters: fault, CORS, router.
func (ex *exchange) decide(site *site) {
	if !ex.r.ProtoAtLeast(1, 1) { // GW-HCM-06
		ex.log.Detail = "low_version"
		ex.reply(http.StatusUpgradeRequired, "", nil)
		return
	}
	var refusal *effect.Refusal
	if ex.in, refusal = ex.received(); refusal != nil {
		ex.refuse(refusal)
		return
	}
	headers := ex.headers()
	if err := ex.ask(site, &headers); err != nil {
		ex.log.Detail = "wasm_fail_stream"
		ex.reply(http.StatusServiceUnavailable, "", nil)
		return
	}
	host := effect.HostFor(site.routes, ex.in.Authority)
	if host == nil {
		ex.log.Detail = "route_not_found"
		ex.reply(http.StatusNotFound, "", nil)
		return
	}
	connects := ex.in.Method == http.MethodConnect
	if connects && !host.RequireTLS {
		ex.log.Detail = "route_not_found"
		ex.reply(http.StatusNotFound, "", nil)
		return
	}
	if connects || ex.in.Upgrades() && !ex.in.IsWebsocket() && len(host.Rules) > 0 {
		ex.log.Detail = "upgrade_failed"
		ex.reply(http.StatusForbidden, "", nil)
		return
	}
	if host.RequireTLS && !ex.in.Secure() {
		ex.reply(http.StatusMovedPermanently, "", effect.Headers{"location": {effect.TLSLocation(ex.in)}})
		return
	}
	for _, name := range routing.DecisionHeaders {
		delete(ex.in.Headers, name) // if a client sent one, no destination gets it
	}
	id, _ := headers.Get(routing.RouteHeader)
	chosen, ok := site.hosts[host][id]
	if !ok {
		ex.log.Detail = "route_not_found"
		ex.reply(http.StatusNotFound, "", nil)
		return
	}
	ex.rule, ex.dest = chosen.rule, chosen.outcome.Destination
	ex.log.Rule = ex.rule.RouteName()
	if ex.fault(headers) {
		return
	}
	ex.execute()
}

// execute answers as the rule says, or forwards the request.
func (ex *exchange) execute() {
	switch {
	case ex.rule.Redirect != nil && !ex.rule.Redirect.IsExecuted():
		ex.log.Detail = "direct_response"
		ex.reply(http.StatusServiceUnavailable, "", nil)
	case ex.rule.Redirect != nil:
		ex.log.Detail = "direct_response" // as in Envoy, for redirects too
		ex.reply(int(ex.rule.Redirect.Status), "", effect.Headers{"location": {ex.rule.Location(ex.in)}})
	case ex.rule.DirectResponse != nil:
		d := ex.rule.DirectResponse
		extra := effect.Headers{}
		if l := ex.rule.Location(ex.in); l != "" {
			extra["location"] = []string{l}
		}
		ex.log.Detail = "direct_response"
		ex.reply(int(d.Status), string(d.Body), extra)
	case ex.in.Upgrades():
		ex.log.Detail = "no_websockets" // Envoy supports them
		ex.reply(http.StatusNotImplemented, "the embedded data plane has no websockets; use --engine envoy", nil)
	default:
		cors := ex.rule.ApplyCORS(ex.in)
		if cors != nil && cors.Status != 0 {
			ex.rule = nil // the filter answers by itself: no operations of the rule (VS-CORS-05)
			ex.reply(cors.Status, "", cors.ResponseHeaders)
			return
		}
		ex.forward(cors)
	}
}

// received returns the request as a filter in Envoy would see it, or a refusal.
func (ex *exchange) received() (effect.Request, *effect.Refusal) {
	in := effect.Request{Method: ex.r.Method, Authority: ex.r.Host, Path: ex.r.RequestURI, HTTP2: ex.r.ProtoMajor == 2, Headers: effect.Headers{}}
	connection := encryption(ex.r)
	if connection != nil {
		in.TLS, in.ClientCertificate = true, len(connection.PeerCertificates) > 0
	}
	for name, values := range ex.r.Header {
		in.Headers[strings.ToLower(name)] = values
	}
	in.Client, _, _ = net.SplitHostPort(ex.r.RemoteAddr) // net/http always has an address and a port
	received, refusal := ex.proxy.options.Intake.Receive(in)
	if refusal == nil {
		received.Headers["x-request-id"] = []string{newID()}
		if received.ClientCertificate {
			received.Headers[clientCertHeader] = []string{ForwardedClientCert(connection.PeerCertificates[0], ex.state.serverURIs(ex.listener, connection))}
		}
	}
	return received, refusal
}

// newID returns a random UUID, as Envoy makes one for every request.
func newID() string {
	a, b := rand.Uint64(), rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// refuse answers a request that is refused before any rule is tried, or closes its stream of HTTP/2, as Envoy's codec
// does.
func (ex *exchange) refuse(r *effect.Refusal) {
	if r.Status == 0 {
		panic(http.ErrAbortHandler) // how net/http is told to close the stream without an answer
	}
	headers := effect.Headers{}
	if !r.GRPC {
		ex.in = effect.Request{} // so that reply does not answer in the form of gRPC
	}
	if r.Location != "" {
		headers["location"] = []string{r.Location}
	}
	ex.reply(r.Status, "", headers)
}

// headers returns the header lines that the module gets.
func (ex *exchange) headers() vm.Headers {
	h := vm.Headers{{":authority", ex.in.Authority}, {":path", ex.in.Path}, {":method", ex.in.Method}, {":scheme", ex.in.Scheme}}
	for _, name := range slices.Sorted(maps.Keys(ex.in.Headers)) {
		for _, value := range ex.in.Headers[name] {
			h = append(h, [2]string{name, value})
		}
	}
	return h
}

// ask calls the module in a free worker with the headers, which it may change.
func (ex *exchange) ask(site *site, h *vm.Headers) error {
	v := <-ex.proxy.workers
	defer func() { ex.proxy.workers <- v }()
	return v.RequestHeaders(context.WithoutCancel(ex.r.Context()), site.roots[v], h)
}

// fault injects the delay and then the abort of the headers that the module set, as Envoy's fault filter does. It
// reports whether the request was answered, or its client is gone.
func (ex *exchange) fault(h vm.Headers) (answered bool) {
	if text, ok := h.Get(routing.DelayHeader); ok {
		if ms, err := strconv.Atoi(text); err == nil {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-ex.r.Context().Done():
				return true
			}
		}
	}
	status, isHTTP := h.Get(routing.AbortHeader)
	grpc, isGRPC := h.Get(routing.AbortGRPCHeader)
	if !isHTTP && !isGRPC {
		return false
	}
	ex.log.Detail = "fault_filter_abort"
	code := http.StatusOK
	if n, err := strconv.Atoi(status); isHTTP && err == nil {
		code = n
	}
	if !strings.HasPrefix(ex.r.Header.Get("content-type"), "application/grpc") {
		ex.reply(code, "fault filter abort", nil)
		return true
	}
	if !isGRPC {
		grpc = effect.GRPCStatus(code)
	}
	ex.reply(http.StatusOK, "", effect.Headers{
		"content-type": {"application/grpc"}, "grpc-status": {grpc}, "grpc-message": {"fault filter abort"},
	})
	return true
}

// reply sends an answer of the proxy itself. The rule's response operations apply to it, too (VS-HDR-09).
func (ex *exchange) reply(status int, body string, headers effect.Headers) {
	out := effect.Headers{"server": {"waymark"}}
	maps.Copy(out, headers)
	switch {
	case ex.in.IsGRPC() && out["grpc-status"] == nil:
		maps.Copy(out, effect.Headers{"content-type": {"application/grpc"}, "grpc-status": {effect.GRPCStatus(status)}})
		status = http.StatusOK
		if body != "" {
			out["grpc-message"], body = []string{body}, ""
		}
	case body != "":
		out["content-type"] = []string{"text/plain"}
	}
	if ex.rule != nil {
		out = ex.rule.Response(ex.dest, ex.in, out)
	}
	for name, values := range out {
		ex.w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	ex.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	ex.log.Status = status
	ex.w.WriteHeader(status)
	if ex.r.Method != http.MethodHead {
		_, _ = io.WriteString(ex.w, body) // the client may be gone
	}
}
