package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// maxBody is how many bytes of a request's body are kept for retries and mirrors: Envoy's default buffer limit.
const maxBody = 1 << 20

// forward sends the request to its destination, retries it as the policy says, and copies the answer to the client.
func (ex *exchange) forward(cors *effect.CORSEffect) {
	up := ex.rule.Upstream(ex.dest, ex.in)
	cluster := ex.rule.Route.Destinations[ex.dest].Cluster
	ex.log.Cluster = cluster
	balancer := ex.state.clusters[cluster]
	if balancer == nil {
		ex.log.Detail = "cluster_not_found"
		ex.reply(http.StatusServiceUnavailable, "", nil)
		return
	}
	body, whole, err := ex.readBody()
	if err != nil {
		ex.reply(http.StatusBadRequest, "", nil)
		return
	}
	key := ex.hashKey()
	ex.mirror(up, body, whole, key)
	ctx := ex.r.Context()
	if t := ex.rule.Route.Timeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	response, done, err := ex.try( //nolint:bodyclose // answer closes it
		ctx, balancer, up, body, whole, key)
	defer done()
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		ex.answer(response, up, cors)
	case ex.r.Context().Err() != nil: // the client is gone
		ex.log.Detail = "downstream_remote_disconnect"
	case errors.As(err, &tooLarge):
		ex.log.Detail = "request_payload_too_large"
		ex.reply(http.StatusRequestEntityTooLarge, "Payload Too Large", nil)
	case errors.Is(err, context.DeadlineExceeded) && !isConnectFailure(err): // the time to connect is not the rule's
		ex.log.Detail = "response_timeout"
		ex.reply(http.StatusGatewayTimeout, "upstream request timeout", nil)
	default:
		f := failureOf(err)
		ex.log.Detail = f.detail
		ex.reply(f.status, f.body, nil)
	}
}

// failure is the answer to a request without a response from its destination.
type failure struct {
	status       int
	body, detail string
}

// failureOf is Envoy's answer for an error, compared with real Envoys. What the error says of addresses and certificates is for
// the log alone.
func failureOf(err error) failure {
	if errors.Is(err, errNoHealthyUpstream) {
		return failure{http.StatusServiceUnavailable, err.Error(), "no_healthy_upstream"}
	}
	status, reason := http.StatusServiceUnavailable, "connection termination"
	var network net.Error
	switch {
	case isConnectFailure(err) && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()):
		reason = "connection timeout"
	case isConnectFailure(err):
		reason = "remote connection failure"
	case strings.Contains(err.Error(), "malformed"): // net/http has no type for an answer that is not HTTP
		status, reason = http.StatusBadGateway, "protocol error"
	}
	detail := "upstream_reset_before_response_started{" + reason + "|" + diag.Printable(err.Error()) + "}"
	return failure{status, "upstream connect error or disconnect/reset before headers. reset reason: " + reason, strings.Join(strings.Fields(detail), "_")}
}

var errNoHealthyUpstream = errors.New("no healthy upstream")

// readBody reads at most one byte more than maxBody. whole is false for a larger body, whose rest is still unread.
func (ex *exchange) readBody() (body []byte, whole bool, err error) {
	body, err = io.ReadAll(io.LimitReader(ex.r.Body, maxBody+1))
	return body, len(body) <= maxBody, err
}

// try makes attempts until one need not be retried. The function that it returns must be called after the response has
// been read.
func (ex *exchange) try(ctx context.Context, b *balancer, up effect.Request, body []byte, whole bool, key string) (*http.Response, func(), error) {
	retry := ex.rule.Route.Retry
	for {
		endpoint, ok := b.pick(key)
		if !ok {
			return nil, func() {}, errNoHealthyUpstream
		}
		ex.log.Upstream = endpoint
		ex.log.Attempts++
		attempt, cancel := ctx, context.CancelFunc(func() {})
		if retry != nil && retry.PerTryTimeout > 0 {
			attempt, cancel = context.WithTimeout(ctx, retry.PerTryTimeout)
		}
		payload, size := io.Reader(bytes.NewReader(body)), int64(len(body))
		if !whole {
			payload, size = io.MultiReader(payload, ex.r.Body), ex.r.ContentLength
		}
		response, err := send(attempt, b, endpoint, up, payload, size, ex.log.Attempts)
		again := retry != nil && whole && ex.log.Attempts <= int(retry.Attempts) && ctx.Err() == nil && shouldRetry(retry, response, err)
		if !again {
			return response, cancel, err
		}
		if response != nil {
			_ = response.Body.Close() // this response is not used
		}
		cancel()
		select {
		case <-time.After(backoff(retry, ex.log.Attempts)):
		case <-ctx.Done():
			return nil, func() {}, ctx.Err()
		}
	}
}

// backoff returns the wait before the next attempt: a random time below a limit that doubles with each retry, up to ten
// times the base interval (VS-RETRY-08).
func backoff(p *plan.RetryPolicy, attempts int) time.Duration {
	base := p.BaseInterval
	if base == 0 {
		base = 25 * time.Millisecond
	}
	most := min(base<<min(attempts, 10)-base, 10*base)
	return rand.N(most + 1)
}

// shouldRetry reports whether a retry policy covers the result of an attempt, a response or an error (VS-RETRY-09).
func shouldRetry(p *plan.RetryPolicy, r *http.Response, err error) bool {
	for _, condition := range strings.Split(p.On, ",") {
		switch condition {
		case "5xx":
			if err != nil || r.StatusCode >= 500 {
				return true
			}
		case "gateway-error":
			if err != nil || r.StatusCode >= 502 && r.StatusCode <= 504 {
				return true
			}
		case "reset", "reset-before-request":
			if err != nil {
				return true
			}
		case "connect-failure":
			if isConnectFailure(err) {
				return true
			}
		case "retriable-4xx":
			if r != nil && r.StatusCode == http.StatusConflict {
				return true
			}
		case "retriable-status-codes":
			if r != nil && slices.Contains(p.StatusCodes, uint32(r.StatusCode)) {
				return true
			}
		default:
			if r != nil && grpcConditions[condition] != "" && r.Header.Get("grpc-status") == grpcConditions[condition] {
				return true
			}
		}
	}
	return false
}

var grpcConditions = map[string]string{"cancelled": "1", "deadline-exceeded": "4", "internal": "13", "resource-exhausted": "8", "unavailable": "14"}

// hopByHop are headers that a proxy does not send on.
var hopByHop = []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// obeyed are headers that this proxy obeys when it sends a request, and does not send on.
var obeyed = []string{"content-length", "x-envoy-upstream-stream-duration-ms"}

// send makes one attempt. The body has size bytes; if size is -1, it is sent in chunks.
func send(ctx context.Context, b *balancer, endpoint string, up effect.Request, body io.Reader, size int64, attempt int) (*http.Response, error) {
	if size == 0 {
		body = http.NoBody
	}
	r, err := http.NewRequestWithContext(ctx, up.Method, "http://"+endpoint+"/", body)
	if err != nil {
		return nil, err
	}
	r.URL = requestURL(b.clients.target(endpoint, up.Authority), up.Path)
	r.Host = up.Authority
	for name, values := range up.Headers {
		if name == "te" || !slices.Contains(hopByHop, name) && !slices.Contains(obeyed, name) { // te has only "trailers" left, which may pass
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if r.Header["User-Agent"] == nil {
		r.Header["User-Agent"] = nil // so that net/http does not add its own
	}
	r.Header.Set("X-Envoy-Attempt-Count", strconv.Itoa(attempt))
	r.ContentLength = size
	if b.http2 || b.likeClient && up.HTTP2 {
		return b.clients.http2.RoundTrip(r)
	}
	return b.clients.http1.RoundTrip(r)
}

// requestURL returns a URL for which net/http sends the path byte for byte. Opaque does that, except for a path that
// begins with two slashes, which would be read as a host.
func requestURL(endpoint, path string) *url.URL {
	u := &url.URL{Scheme: "http", Host: endpoint, Opaque: path}
	if strings.HasPrefix(path, "//") {
		raw, query, hasQuery := strings.Cut(path, "?")
		if plain, err := url.PathUnescape(raw); err == nil {
			return &url.URL{Scheme: "http", Host: endpoint, Path: plain, RawPath: raw, RawQuery: query, ForceQuery: hasQuery && query == ""}
		}
	}
	return u
}

// answer copies the destination's response to the client, with the header operations of destination and rule.
func (ex *exchange) answer(r *http.Response, up effect.Request, cors *effect.CORSEffect) {
	defer func() { _ = r.Body.Close() }()
	headers := effect.Headers{}
	for name, values := range r.Header {
		if n := strings.ToLower(name); !slices.Contains(hopByHop, n) {
			headers[n] = values
		}
	}
	headers["server"] = []string{"waymark"}
	out := ex.rule.Response(ex.dest, up, headers)
	if cors != nil {
		maps.Copy(out, cors.ResponseHeaders)
	}
	out["set-cookie"] = append(out["set-cookie"], ex.setCookie...)
	for name, values := range out {
		ex.w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	ex.log.Status = r.StatusCode
	ex.w.WriteHeader(r.StatusCode)
	flush := http.NewResponseController(ex.w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			if _, err := ex.w.Write(buffer[:n]); err != nil {
				return
			}
			_ = flush.Flush() // not every writer can
		}
		if err != nil {
			return
		}
	}
}

// mirror sends copies of the request to the mirrors, each with its own probability, and ignores their responses
// (VS-MIRROR-05).
func (ex *exchange) mirror(up effect.Request, body []byte, whole bool, key string) {
	for _, m := range ex.rule.Route.Mirrors {
		b := ex.state.clusters[m.Cluster]
		if b == nil || !whole || rand.Uint32N(m.Denominator) >= m.Numerator {
			continue
		}
		endpoint, ok := b.pick(key)
		if !ok {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), mirrorTimeout)
		copied := up
		copied.Headers = maps.Clone(up.Headers)
		go func() {
			defer cancel()
			if r, err := send(ctx, b, endpoint, copied, bytes.NewReader(body), int64(len(body)), 1); err == nil {
				_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxBody)) // errors of mirrors are ignored
				_ = r.Body.Close()
			}
		}()
	}
}

const mirrorTimeout = 30 * time.Second
