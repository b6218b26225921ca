package effect

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/routing"
)

// Underscores is what Envoy does with a request that has an underscore in the name of a header.
type Underscores string

// The values of Envoy's headers_with_underscores_action.
const (
	AllowUnderscores  Underscores = "ALLOW"
	RejectUnderscores Underscores = "REJECT_REQUEST" // 400
	DropUnderscores   Underscores = "DROP_HEADER"
)

// Intake is what Envoy does with a request before any rule is tried: its codec, which refuses requests, and its
// connection manager, which sets and removes headers. The zero value is a proxy of Istio without a profile, on the
// default version of Envoy.
//
// The checks are in Envoy's order, since a request may have two errors with different answers, and one check may hide
// what another would find:
//
//	method and target, then the length of all lines             balsa_parser.cc
//	names and values of headers                                 balsa_parser.cc
//	number of headers, length of the body, Connection, Host     http1/codec_impl.cc, utility.cc (sanitizeConnectionHeader)
//	path, then headers about client and proxy                   conn_manager_impl.cc, conn_manager_utility.cc
type Intake struct {
	// Minor is the minor version of Envoy, such as 39 for 1.39; 0 is [version.Default].
	Minor int
	// Paths is how paths are normalised.
	Paths Paths
	// Underscores is what happens to headers with an underscore in their name; "" is [AllowUnderscores].
	Underscores Underscores
	// TrustedHops is the number of proxies in front whose x-forwarded-proto and x-forwarded-for are trusted
	// (GW-HCM-01).
	TrustedHops uint32
}

// Refusal is an answer that Envoy gives before any rule is tried.
type Refusal struct {
	// Status is the HTTP status; 0 if the codec of HTTP/2 closes the stream or the connection without an answer.
	Status   int
	Location string // the address of a redirect, or ""
	// GRPC is set if the answer has the form of gRPC. The connection manager answers gRPC requests so, the codec never.
	GRPC bool
}

// refuse returns an answer of the connection manager.
func (r Request) refuse(status int, location string) *Refusal {
	return &Refusal{status, location, r.IsGRPC()}
}

var badRequest = &Refusal{Status: http.StatusBadRequest}

// Receive returns the request as the filter and the router see it: names in lower case, repeated headers of which Envoy
// keeps one joined, the path normalised, headers about the client as the connection manager writes them. refusal is the
// answer if Envoy answers the request by itself, else nil.
func (in Intake) Receive(r Request) (received Request, refusal *Refusal) {
	out := r
	out.Headers = Headers{}
	behaviour := in.Behaviour()
	if r.HTTP2 {
		if in.lines(r, out.Headers) != nil || !out.takenByHTTP2(behaviour) {
			return r, &Refusal{}
		}
	} else {
		hostless := false
		if refusal = r.checkFirstLine(behaviour); refusal == nil {
			refusal = in.lines(r, out.Headers)
		}
		if refusal == nil {
			refusal, hostless = out.checkHTTP1()
		}
		if refusal != nil {
			return r, refusal
		}
		if hostless {
			return r, out.refuse(http.StatusBadRequest, "")
		}
	}
	if strings.EqualFold(out.Headers.first("expect"), "100-continue") {
		delete(out.Headers, "expect") // Envoy answers it
	}
	if out.Method == http.MethodConnect {
		return out, nil // it has no path, so no rule matches it
	}
	if !strings.HasPrefix(out.Path, "/") {
		return r, out.refuse(http.StatusNotFound, "")
	}
	if behaviour.KnowsQueryMethod && r.Method == methodQuery && out.Headers.first("content-type") == "" {
		return r, out.refuse(http.StatusBadRequest, "")
	}
	var action PathAction
	out.Path, action = in.Paths.Normalize(out.Path, behaviour)
	switch {
	case action == PathRefused, action == PathRedirected && out.IsGRPC():
		return r, out.refuse(http.StatusBadRequest, "")
	case action == PathRedirected:
		return r, out.refuse(http.StatusTemporaryRedirect, out.Path)
	}
	in.manage(&out)
	return out, nil
}

// Behaviour is how the Envoy of this version behaves.
func (in Intake) Behaviour() version.Behaviour { return version.Of(cmp.Or(in.Minor, version.Default)) }

// lines checks header lines, and adds them to into as Envoy keeps them.
func (in Intake) lines(r Request, into Headers) *Refusal {
	for _, name := range sortedNames(r.Headers) {
		if !isToken(name) {
			return badRequest
		}
		dropped := false
		if strings.Contains(name, "_") {
			if in.Underscores == RejectUnderscores {
				return badRequest
			}
			dropped = in.Underscores == DropUnderscores
		}
		for _, value := range r.Headers[name] {
			if value = strings.Trim(value, " \t"); !r.HTTP2 {
				value = strings.ReplaceAll(value, "\r", "") // Envoy drops a CR that does not end a line
			}
			if !isFieldValue(value) {
				return badRequest
			}
			if !dropped {
				into.add(strings.ToLower(name), value)
			}
		}
	}
	return nil
}

// manage sets and removes headers as the connection manager does for a client that it does not trust.
func (in Intake) manage(r *Request) {
	h := r.Headers
	if !r.Upgrades() {
		delete(h, "connection")
		delete(h, "upgrade")
		if te := h.first("te"); te != "" && !slices.Contains(tokens(te), "trailers") {
			delete(h, "te")
		} else if te != "" {
			h["te"] = []string{"trailers"}
		}
	}
	for _, name := range []string{"proxy-connection", "keep-alive", "transfer-encoding"} {
		delete(h, name)
	}
	if !isReferer(h.first("referer")) {
		delete(h, "referer")
	}
	scheme := "http"
	if r.TLS {
		scheme = "https"
	}
	if in.TrustedHops == 0 || h["x-forwarded-proto"] == nil {
		h["x-forwarded-proto"] = []string{scheme}
	}
	if r.Scheme == "" {
		if r.Scheme = scheme; slices.Contains([]string{"http", "https"}, h.first("x-forwarded-proto")) {
			r.Scheme = h.first("x-forwarded-proto")
		}
	}
	for _, name := range internalHeaders {
		delete(h, name)
	}
	for _, name := range routing.DecisionHeaders {
		delete(h, name)
	}
	delete(h, "x-forwarded-client-cert")
	if r.ClientCertificate {
		h["x-forwarded-client-cert"] = []string{unknownCertificate}
	}
	client := cmp.Or(r.Client, unknownClient)
	h["x-envoy-external-address"] = []string{cmp.Or(in.trusted(h.first("x-forwarded-for")), client)}
	h.add("x-forwarded-for", client)
	h["x-request-id"] = []string{unknownRequestID}
}

// trusted returns the address that the outermost trusted proxy wrote into x-forwarded-for, or "".
func (in Intake) trusted(forwarded string) string {
	list := tokens(forwarded)
	if in.TrustedHops == 0 || uint64(len(list)) < uint64(in.TrustedHops) {
		return ""
	}
	address := list[len(list)-int(in.TrustedHops)]
	if _, err := netip.ParseAddr(address); err != nil {
		return ""
	}
	return address
}

// The values of headers that only the proxy knows, when it gets the request. Offline decisions have these texts
// instead.
const (
	unknownClient      = "(client's address)"
	unknownCertificate = "(client's certificate)"
	unknownRequestID   = "(made for each request)"
)

// GRPCStatus returns the grpc-status with which Envoy answers a gRPC request instead of an HTTP status. The HTTP status
// of such an answer is 200 (Grpc::Utility::httpToGrpcStatus).
func GRPCStatus(status int) string {
	codes := map[int]string{400: "13", 401: "16", 403: "7", 404: "12", 429: "14", 502: "14", 503: "14", 504: "14"}
	return cmp.Or(codes[status], "2")
}

// FromProxy are the headers that the connection manager itself writes into requests. It replaces those of the client or
// appends to them.
var FromProxy = []string{"x-forwarded-proto", "x-forwarded-for", "x-envoy-external-address", "x-request-id", "x-forwarded-client-cert"}

// Secure reports whether a received request came to the outermost trusted proxy encrypted, as far as Envoy knows.
func (r Request) Secure() bool { return r.Headers.first("x-forwarded-proto") == "https" }

// IsUnknown reports whether the value of a header has a part that only the proxy knows. Whether a rule that compares
// the header matches cannot be decided offline.
func IsUnknown(value string) bool {
	return strings.HasSuffix(value, unknownClient) || value == unknownCertificate || value == unknownRequestID
}

// internalHeaders are removed from every request of an external client (cleanInternalHeaders).
var internalHeaders = []string{
	"x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node",
	"x-envoy-retriable-status-codes", "x-envoy-retriable-header-names", "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-max-retries",
	"x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms",
	"x-envoy-upstream-rq-timeout-alt-response", "x-envoy-expected-rq-timeout-ms", "x-envoy-force-trace", "x-envoy-ip-tags",
	"x-envoy-original-url", "x-envoy-hedge-on-per-try-timeout", "x-envoy-original-path", "x-envoy-original-host", "x-envoy-internal",
}

// IsGRPC reports whether a request is gRPC by its content type: application/grpc, with or without a suffix or
// parameters.
func (r Request) IsGRPC() bool {
	rest, ok := strings.CutPrefix(r.Headers.first("content-type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
