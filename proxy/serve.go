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
	x := &exchange{proxy: p, state: s, w: w, r: r, log: Access{Time: time.Now(), Method: r.Method, Authority: r.Host, Path: r.RequestURI}}
	defer func() {
		x.log.Duration = time.Since(x.log.Time)
		p.options.Access(x.log)
	}()
	site := s.sites[listener]
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
	w     http.ResponseWriter
	r     *http.Request
	in    effect.Request
	rule  *effect.Rule
	dest  int
	log   Access
	// setCookie are cookies that hash policies made.
	setCookie []string
}

// decide asks the module and carries its decision out, in the order of Envoy's filters: fault, CORS, router.
func (x *exchange) decide(site *site) {
	if !x.r.ProtoAtLeast(1, 1) { // GW-HCM-06
		x.log.Detail = "low_version"
		x.reply(http.StatusUpgradeRequired, "", nil)
		return
	}
	var refusal *effect.Refusal
	if x.in, refusal = x.received(); refusal != nil {
		x.refuse(refusal)
		return
	}
	headers := x.headers()
	if err := x.ask(site, &headers); err != nil {
		x.log.Detail = "wasm_fail_stream"
		x.reply(http.StatusServiceUnavailable, "", nil)
		return
	}
	host := effect.HostFor(site.routes, x.in.Authority)
	if host == nil {
		x.log.Detail = "route_not_found"
		x.reply(http.StatusNotFound, "", nil)
		return
	}
	connects := x.in.Method == http.MethodConnect
	if connects && !host.RequireTLS {
		x.log.Detail = "route_not_found"
		x.reply(http.StatusNotFound, "", nil)
		return
	}
	if connects || x.in.Upgrades() && !x.in.IsWebsocket() && len(host.Rules) > 0 {
		x.log.Detail = "upgrade_failed"
		x.reply(http.StatusForbidden, "", nil)
		return
	}
	if host.RequireTLS && !x.in.Secure() {
		x.reply(http.StatusMovedPermanently, "", effect.Headers{"location": {effect.TLSLocation(x.in)}})
		return
	}
	for _, name := range routing.DecisionHeaders {
		delete(x.in.Headers, name) // a client's; no destination gets them
	}
	id, _ := headers.Get(routing.RouteHeader)
	chosen, ok := site.hosts[host][id]
	if !ok {
		x.log.Detail = "route_not_found"
		x.reply(http.StatusNotFound, "", nil)
		return
	}
	x.rule, x.dest = chosen.rule, chosen.outcome.Destination
	x.log.Rule = x.rule.RouteName()
	if x.fault(headers) {
		return
	}
	x.execute()
}

// execute does what the rule says.
func (x *exchange) execute() {
	switch {
	case x.rule.Redirect != nil:
		x.log.Detail = "direct_response" // Envoy's word for both
		x.reply(int(x.rule.Redirect.Status), "", effect.Headers{"location": {x.rule.Location(x.in)}})
	case x.rule.DirectResponse != nil:
		d := x.rule.DirectResponse
		extra := effect.Headers{}
		if l := x.rule.Location(x.in); l != "" {
			extra["location"] = []string{l}
		}
		x.log.Detail = "direct_response"
		x.reply(int(d.Status), string(d.Body), extra)
	case x.in.Upgrades():
		x.log.Detail = "no_websockets" // Envoy has them
		x.reply(http.StatusNotImplemented, "the embedded data plane has no websockets; use --engine envoy", nil)
	default:
		cors := x.rule.ApplyCORS(x.in)
		if cors != nil && cors.Status != 0 {
			x.rule = nil // the filter answers by itself: no operations of the rule (VS-CORS-05)
			x.reply(cors.Status, "", cors.ResponseHeaders)
			return
		}
		x.forward(cors)
	}
}

// received is the request as a filter sees it.
func (x *exchange) received() (effect.Request, *effect.Refusal) {
	in := effect.Request{Method: x.r.Method, Authority: x.r.Host, Path: x.r.RequestURI, Headers: effect.Headers{}}
	for name, values := range x.r.Header {
		in.Headers[strings.ToLower(name)] = values
	}
	in.Client, _, _ = net.SplitHostPort(x.r.RemoteAddr) // net/http always has an address and a port
	received, refusal := x.proxy.options.Intake.Receive(in)
	if refusal == nil {
		received.Headers["x-request-id"] = []string{newID()}
	}
	return received, refusal
}

// newID is a random UUID, as Envoy makes one for every request.
func newID() string {
	a, b := rand.Uint64(), rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// refuse answers before any rule was looked at.
func (x *exchange) refuse(r *effect.Refusal) {
	headers := effect.Headers{}
	if !r.GRPC {
		x.in = effect.Request{} // the answer is HTTP's, whatever was asked for
	}
	if r.Location != "" {
		headers["location"] = []string{r.Location}
	}
	x.reply(r.Status, "", headers)
}

// headers are the lines that the module gets.
func (x *exchange) headers() vm.Headers {
	h := vm.Headers{{":authority", x.in.Authority}, {":path", x.in.Path}, {":method", x.in.Method}, {":scheme", x.in.Scheme}}
	for _, name := range slices.Sorted(maps.Keys(x.in.Headers)) {
		for _, value := range x.in.Headers[name] {
			h = append(h, [2]string{name, value})
		}
	}
	return h
}

// ask shows a free worker the headers.
func (x *exchange) ask(site *site, h *vm.Headers) error {
	v := <-x.proxy.workers
	defer func() { x.proxy.workers <- v }()
	return v.RequestHeaders(context.WithoutCancel(x.r.Context()), site.roots[v], h)
}

// fault does what Envoy's fault filter does by the headers that the module set: first the delay, then the abort. It
// says whether the request was answered.
func (x *exchange) fault(h vm.Headers) (answered bool) {
	if text, ok := h.Get(routing.DelayHeader); ok {
		if ms, err := strconv.Atoi(text); err == nil {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-x.r.Context().Done():
				return true
			}
		}
	}
	status, isHTTP := h.Get(routing.AbortHeader)
	grpc, isGRPC := h.Get(routing.AbortGRPCHeader)
	if !isHTTP && !isGRPC {
		return false
	}
	x.log.Detail = "fault_filter_abort"
	code := http.StatusOK
	if n, err := strconv.Atoi(status); isHTTP && err == nil {
		code = n
	}
	if !strings.HasPrefix(x.r.Header.Get("content-type"), "application/grpc") {
		x.reply(code, "fault filter abort", nil)
		return true
	}
	if !isGRPC {
		grpc = effect.GRPCStatus(code)
	}
	x.reply(http.StatusOK, "", effect.Headers{
		"content-type": {"application/grpc"}, "grpc-status": {grpc}, "grpc-message": {"fault filter abort"},
	})
	return true
}

// reply answers by the proxy itself. The rule's response operations apply to that, too (VS-HDR-09).
func (x *exchange) reply(status int, body string, headers effect.Headers) {
	out := effect.Headers{"server": {"waymark"}}
	maps.Copy(out, headers)
	switch {
	case x.in.IsGRPC() && out["grpc-status"] == nil:
		maps.Copy(out, effect.Headers{"content-type": {"application/grpc"}, "grpc-status": {effect.GRPCStatus(status)}})
		status = http.StatusOK
		if body != "" {
			out["grpc-message"], body = []string{body}, ""
		}
	case body != "":
		out["content-type"] = []string{"text/plain"}
	}
	if x.rule != nil {
		out = x.rule.Response(x.dest, x.in, out)
	}
	for name, values := range out {
		x.w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.log.Status = status
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = io.WriteString(x.w, body) // the client may be gone
	}
}
