package process

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// drainLook is how often Envoy is asked what is in flight, and drainQuiet how long nothing must have been: a client that
// has a connection may be about to send.
const (
	drainLook  = 50 * time.Millisecond
	drainQuiet = 300 * time.Millisecond
)

// drainHandshake is how long connections that have begun may take to come in before the sockets are closed.
const drainHandshake = 200 * time.Millisecond

// Drain makes Envoy take no new connections, and returns when nothing is in flight any more: no request, and no connection
// that is forwarded as it is. Load balancers learn it from /ready, and answers end their connections. It
// returns what is left when the context ends before; Envoy runs on.
func (p *Process) Drain(ctx context.Context) (left int64) {
	// Answers end their connections from now on, on HTTP/2 by GOAWAY.
	_, _ = p.admin.ask(ctx, http.MethodPost, "/healthcheck/fail") // what it cannot do is seen by what is left
	if p.deafen() {
		select {
		case <-time.After(drainHandshake):
		case <-ctx.Done():
		}
	}
	_, _ = p.admin.ask(ctx, http.MethodPost, "/drain_listeners") // as above
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

// inFlight is the number of requests, and of connections that do not speak HTTP.
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
		case strings.HasPrefix(what, "admin."), strings.Contains(what, ".worker_"): // ours, and those counted already
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
