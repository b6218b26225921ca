package process

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// drainLook is the interval at which Envoy's requests in flight are counted. drainQuiet is how long there must have
// been none: a client with an open connection may be about to send a request.
const (
	drainLook  = 50 * time.Millisecond
	drainQuiet = 300 * time.Millisecond
)

// drainHandshake is the time for the handshakes of connections that have begun, before the sockets are closed.
const drainHandshake = 200 * time.Millisecond

// Drain makes Envoy accept no new connections, and returns when nothing is in flight any more: no request, and no
// connection that does not speak HTTP. From its call on, /ready tells load balancers that Envoy is draining, and
// answers close their connections. If the context ends first, left is the number of requests and connections in flight;
// Envoy keeps running.
func (p *Process) Drain(ctx context.Context) (left int64) {
	// From now on, answers close their connections, on HTTP/2 by GOAWAY.
	_, _ = p.admin.ask(ctx, http.MethodPost, "/healthcheck/fail") // after an error, requests stay in flight, see left
	if p.deafen() {
		select {
		case <-time.After(drainHandshake):
		case <-ctx.Done():
		}
	}
	_, _ = p.admin.ask(ctx, http.MethodPost, "/drain_listeners") // likewise: see left
	quiet := time.Now()
	for {
		n, err := p.inFlight(ctx)
		switch {
		case err == nil && n > 0:
			left, quiet = n, time.Now()
		case err == nil && time.Since(quiet) >= drainQuiet:
			return 0
		}
		select {
		case <-p.done:
			return 0
		case <-ctx.Done():
			return left
		case <-time.After(drainLook):
		}
	}
}

// inFlight returns the number of requests, plus that of connections that do not speak HTTP.
func (p *Process) inFlight(ctx context.Context) (int64, error) {
	text, err := p.Admin(ctx, "/stats?usedonly&filter=^(http|listener)%5C..*%5C.downstream_(rq|cx)_active$")
	if err != nil {
		return 0, err
	}
	var requests, connections, ofHTTP int64
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, err
		}
		of, what, _ := strings.Cut(name, ".")
		switch {
		case strings.HasPrefix(what, "admin."), strings.Contains(what, ".worker_"): // our own requests, and parts of other sums
		case of == "listener":
			connections += n
		case strings.HasSuffix(what, "_rq_active"):
			requests += n
		default:
			ofHTTP += n
		}
	}
	return requests + max(connections-ofHTTP, 0), nil
}
