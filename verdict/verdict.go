// Package verdict answers offline what happens to a request from end to end: which listener, filter chain and rule it
// gets, which destinations, and how the rule changes request and response.
//
// It composes other packages, so that its answer is that of the proxy. Package routing finds the rule, from the same
// plugin configuration that the filter reads; effect computes what Envoy does to the request before the rules, and what
// the rule does to request and response; plan has the rules; envoy writes policies (match, retry, fault, CORS, hash) in
// the form of Envoy's API. Only the listener and the filter chain are chosen here.
//
// The hard case is what only the proxy knows when the request is there, such as x-request-id: if a rule compares it,
// the verdict lists the header in Unknown, since the proxy may decide differently.
package verdict

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/routing"
)

// Request is one request of a --requests file.
type Request struct {
	Name string `json:"name,omitempty"`
	// GatewayPort is the port of the listener; 0 is every listener that has the host.
	GatewayPort uint32 `json:"gatewayPort,omitempty"`
	TLS         bool   `json:"tls,omitempty"`
	SNI         string `json:"sni,omitempty"`
	ALPN        any    `json:"alpn,omitempty"`
	// Scheme is the request's :scheme; if it is "", it depends on TLS and x-forwarded-proto.
	Scheme string `json:"scheme,omitempty"`
	Method string `json:"method,omitempty"` // default GET
	// Client is the IP address of the client's end of the connection; "" if it does not matter.
	Client string `json:"client,omitempty"`
	// Protocol is HTTP1, the default, or HTTP2: their codecs refuse different requests.
	Protocol  string            `json:"protocol,omitempty"`
	Authority string            `json:"authority"`
	Path      string            `json:"path"`
	Headers   map[string]Values `json:"headers,omitempty"`
}

// The protocols of a request.
const (
	HTTP1 = "HTTP/1.1"
	HTTP2 = "HTTP/2"
)

// Values are the lines of a header. In JSON they are a string if there is exactly one, else a list.
type Values []string

// SetHeaders replaces the headers by lines, each a name and a value, in their order.
func (r *Request) SetHeaders(lines [][2]string) {
	r.Headers = map[string]Values{}
	for _, l := range lines {
		name := strings.ToLower(l[0])
		r.Headers[name] = append(r.Headers[name], l[1])
	}
}

// MarshalJSON writes a string if there is exactly one line, else a list.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// UnmarshalJSON reads a string or a list.
func (v *Values) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*v = Values{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(v))
}

// Kind is how a request ends.
type Kind string

// The kinds of a verdict.
const (
	Route          Kind = "route"
	Redirect       Kind = "redirect"
	DirectResponse Kind = "direct_response"
	NoRoute        Kind = "no_route"
	NoVirtualHost  Kind = "no_virtual_host"
	TLSRedirect    Kind = "tls_redirect"
	PathRedirect   Kind = "path_redirect"
	BadRequest     Kind = "bad_request"
	UpgradeRefused Kind = "upgrade_refused"
	NoListener     Kind = "no_listener"
	NoFilterChain  Kind = "no_filter_chain"
	TLSError       Kind = "tls_error"
	TCP            Kind = "tcp"
	// Differs is the verdict on a request without a port that several listeners have verdicts on.
	Differs Kind = "differs"
)

// Verdict is the answer for one request. Policies are written as Envoy's API writes them.
type Verdict struct {
	Name   string `json:"name"`
	Kind   Kind   `json:"kind"`
	Status int    `json:"status,omitempty"`
	// GRPCStatus is set if the proxy answers a gRPC request by itself: with the HTTP status 200 and this grpc-status,
	// in place of Status.
	GRPCStatus     string             `json:"grpcStatus,omitempty"`
	Location       string             `json:"location,omitempty"`
	Body           *string            `json:"body,omitempty"` // of a direct response, even if it is ""
	RouteConfig    string             `json:"routeConfig,omitempty"`
	Domain         string             `json:"domain,omitempty"`
	NormalizedPath string             `json:"normalizedPath,omitempty"`
	Route          *Rule              `json:"route,omitempty"`
	Clusters       []Cluster          `json:"clusters,omitempty"`
	Timeout        string             `json:"timeout,omitempty"`
	RetryPolicy    json.RawMessage    `json:"retryPolicy,omitempty"`
	Mirrors        []Mirror           `json:"mirrors,omitempty"`
	Fault          json.RawMessage    `json:"fault,omitempty"`
	CORS           json.RawMessage    `json:"cors,omitempty"`
	CORSEffect     *effect.CORSEffect `json:"corsEffect,omitempty"`
	HashPolicy     []json.RawMessage  `json:"hashPolicy,omitempty"`
	// Unknown are headers that a rule compares and whose value only the proxy knows, such as x-request-id. If there are
	// any, the proxy may decide differently.
	Unknown []string `json:"unknown,omitempty"`
	// Listeners are the verdicts of the listeners, if Kind is Differs. Each has a GatewayPort.
	Listeners   []*Verdict `json:"listeners,omitempty"`
	GatewayPort uint32     `json:"gatewayPort,omitempty"`
	// Proxy is the proxy of the listener, if Kind is Differs for the whole and the plan is that of several proxies.
	Proxy string `json:"proxy,omitempty"`

	rule  *plan.Rule
	tcp   *plan.TCPProxy
	empty bool     // the virtual host is, as that of a Gateway without rules
	named bool     // bytes are forwarded by a chain that has the server name
	alike []string // ports of other listeners with the same verdict
	there string   // the listeners that there are, where none has the port or the host

	listener *plan.Listener
}

// Listener is the listener whose verdict it is; nil where there is none, or where the verdict is that listeners differ.
func (v *Verdict) Listener() *plan.Listener { return v.listener }

// Alike are the ports of other listeners that have the same verdict, for a request that names no port.
func (v *Verdict) Alike() []string { return v.alike }

// There names the listeners that there are, if none has the port or the host; else it is "".
func (v *Verdict) There() string { return v.there }

// Rule is the rule of the virtual host that matched the request. Index is its index in the virtual host.
type Rule struct {
	Index          int             `json:"index"`
	Name           string          `json:"name,omitempty"`
	VirtualService string          `json:"virtualService"`
	Match          json.RawMessage `json:"match"`
}

// Cluster is one destination of the rule. Upstream is the request that it gets; ResponseSample is what the client gets
// of a sample response.
type Cluster struct {
	Name            string              `json:"name"`
	Weight          uint32              `json:"weight"`
	HostRewrite     string              `json:"hostRewrite,omitempty"`
	RequestHeaders  *Operations         `json:"requestHeaders,omitempty"`
	ResponseHeaders *Operations         `json:"responseHeaders,omitempty"`
	Upstream        Upstream            `json:"upstream,omitzero"`
	ResponseSample  map[string][]string `json:"responseSample,omitzero"`
}

// Upstream is the request that a destination gets.
type Upstream struct {
	Authority string         `json:"authority"`
	Path      string         `json:"path"`
	Headers   effect.Headers `json:"headers"`
}

// Operations are the header operations of a destination.
type Operations struct {
	Add    []Addition `json:"add,omitempty"`
	Remove []string   `json:"remove,omitempty"`
}

// Addition is one header that is added or overwritten. Action is the name of Envoy's append action.
type Addition struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Action string `json:"action"`
}

// Mirror is a destination that gets a copy of the request.
type Mirror struct {
	Cluster     string `json:"cluster"`
	Numerator   uint32 `json:"numerator"`
	Denominator string `json:"denominator"`
}

// Judge decides requests on one plan.
type Judge struct {
	plan   *plan.Plan
	intake effect.Intake
	tables map[*plan.RouteConfig]*routing.Table
}

// New makes a judge of a plan. intake is what the proxy does with a request before any rule is tried. The error says
// which regular expression an Envoy of this version refuses.
func New(p *plan.Plan, intake effect.Intake) (*Judge, error) {
	j := &Judge{p, intake, map[*plan.RouteConfig]*routing.Table{}}
	for rc := range p.RouteConfigs() {
		config, err := pluginconfig.Write(rc, intake.Behaviour())
		if err != nil {
			return nil, err
		}
		if j.tables[rc], err = routing.Compile(config); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// Decide returns the verdict on one request.
func (j *Judge) Decide(r Request) *Verdict {
	listeners := j.plan.Listeners
	if r.GatewayPort != 0 {
		listeners = j.listeners(r.GatewayPort)
		if len(listeners) == 1 {
			return j.On(listeners[0], r)
		}
	}
	return j.onAll(listeners, r)
}

// On returns the verdict of one listener of the plan, whatever the port of the request.
func (j *Judge) On(l *plan.Listener, r Request) *Verdict { return j.walk(l, r).Verdict }

// forward fills in the destinations of connections that are forwarded.
func (v *Verdict) forward(t *plan.TCPProxy) {
	v.Kind, v.tcp = TCP, t
	for _, d := range t.Destinations {
		v.Clusters = append(v.Clusters, Cluster{Name: d.Cluster, Weight: max(d.Weight, 1)})
	}
}

// refuse fills in the answer to a request that the proxy refuses before any rule is tried.
func (v *Verdict) refuse(r *effect.Refusal) {
	v.Kind, v.Status, v.Location = BadRequest, r.Status, r.Location
	if r.GRPC {
		v.GRPCStatus = effect.GRPCStatus(r.Status)
	}
	switch {
	case r.Location != "":
		v.Kind = PathRedirect
	case r.Status == http.StatusNotFound:
		v.Kind = NoRoute
	}
}

// sent returns the request as a client sends it to a chain, with defaults filled in.
func (r Request) sent(c *plan.FilterChain) effect.Request {
	in := effect.Request{
		Method: r.Method, Scheme: r.Scheme, Authority: r.Authority, Path: r.Path, TLS: r.TLS, HTTP2: r.Protocol == HTTP2, Client: r.Client, Headers: effect.Headers{},
		ClientCertificate: c.TLS != nil && c.TLS.RequireClient,
	}
	if in.Method == "" {
		in.Method = "GET"
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		lower := strings.ToLower(name)
		in.Headers[lower] = append(in.Headers[lower], r.Headers[name]...)
	}
	return in
}

func (j *Judge) listeners(port uint32) (out []*plan.Listener) {
	for _, l := range j.plan.Listeners {
		if l.Port == port {
			out = append(out, l)
		}
	}
	return out
}

// findChain chooses a filter chain by server name, as Envoy does.
func findChain(l *plan.Listener, r Request) (*plan.FilterChain, Kind) {
	serverName := ""
	if r.TLS {
		serverName = r.SNI
	}
	i := effect.ChainFor(l, serverName)
	if i < 0 {
		return nil, NoFilterChain
	}
	chain := l.Chains[i]
	if !r.TLS && chain.TLS != nil || r.TLS && chain.TLS == nil && chain.Routes != nil { // a chain for TCP accepts both
		return nil, TLSError
	}
	return chain, ""
}

// decideHTTP fills in what happens to a request after the connection manager has received it.
func (j *Judge) decideHTTP(w *Walk) {
	v, in := w.Verdict, w.Received
	host, d := j.find(w.Chain.Routes, in)
	if host == nil {
		v.Kind, v.Status = NoVirtualHost, 404
		return
	}
	w.Host = host
	v.Domain = effect.Domain(host, in.Authority)
	v.empty = len(host.Rules) == 0 && !host.RequireTLS
	switch untried(host, in) {
	case noPath:
		if v.Kind, v.Status = NoRoute, 404; host.RequireTLS { // it has a route: the redirect to https
			v.Kind, v.Status = UpgradeRefused, 403
		}
		return
	case upgrade:
		v.Kind, v.Status = UpgradeRefused, 403
		return
	case plain:
		v.Kind, v.Status, v.Location = TLSRedirect, 301, effect.TLSLocation(in)
		return
	}
	w.compared, w.Exhausted = !d.Exhausted, d.Exhausted
	v.Unknown = unknown(host, d.Rule, in)
	if d.Rule < 0 {
		v.Kind, v.Status = NoRoute, 404
		return
	}
	r := effect.Of(host.Rules[d.Rule])
	v.rule = r.Rule
	v.Route = &Rule{Index: d.Rule, Name: r.Name, VirtualService: r.VirtualService(), Match: matchJSON(r.Rule)}
	v.Fault, v.CORS = faultJSON(r.Fault), corsJSON(r.CORS)
	switch {
	case r.Redirect != nil:
		v.Kind, v.Status, v.Location = Redirect, int(r.Redirect.Status), r.Location(in)
	case r.DirectResponse != nil:
		body := string(r.DirectResponse.Body)
		v.Kind, v.Status, v.Body, v.Location = DirectResponse, int(r.DirectResponse.Status), &body, r.Location(in)
	default:
		v.Kind = Route
		v.CORSEffect = r.ApplyCORS(in)
		v.route(r, w.Sent, in)
	}
}

// unknown returns the headers whose value only the proxy knows and that a rule compares, in the rules up to the chosen
// one.
func unknown(h *plan.VirtualHost, chosen int, in effect.Request) []string {
	rules := h.Rules
	if chosen >= 0 {
		rules = rules[:chosen+1]
	}
	var out []string
	for _, r := range rules {
		if !mayFit(&r.Match.Path, in.Path) {
			continue
		}
		for _, m := range r.Match.Headers {
			name := strings.ToLower(m.Name)
			if m.Kind != plan.Present && slices.ContainsFunc(in.Headers[name], effect.IsUnknown) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// mayFit reports whether a path may meet a condition. It is always true for regular expressions.
func mayFit(m *plan.PathMatch, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	value := m.Value
	if m.IgnoreCase {
		path, value = strings.ToLower(path), strings.ToLower(value)
	}
	switch m.Kind {
	case plan.Exact:
		return path == value
	case plan.Prefix, plan.Separated:
		return strings.HasPrefix(path, value)
	default:
		return true
	}
}

// shown returns the headers of a destination's request without those that the connection manager added.
func shown(h effect.Headers, sent effect.Request, in effect.Request) effect.Headers {
	for _, name := range effect.FromProxy {
		if _, fromClient := sent.Headers[name]; !fromClient && slices.Equal(h[name], in.Headers[name]) {
			delete(h, name)
		}
	}
	delete(h, "x-envoy-upstream-stream-duration-ms") // the router obeys it, and does not send it on
	return h
}

// route fills in the destinations.
func (v *Verdict) route(r *effect.Rule, sent, in effect.Request) {
	a := r.Route
	v.Timeout = a.Timeout.String()
	v.RetryPolicy = retryJSON(a.Retry)
	v.HashPolicy = hashJSON(a.HashPolicies)
	for _, m := range a.Mirrors {
		denominator := "HUNDRED"
		if m.Denominator == 1_000_000 {
			denominator = "MILLION"
		}
		v.Mirrors = append(v.Mirrors, Mirror{m.Cluster, m.Numerator, denominator})
	}
	for i, d := range a.Destinations {
		up := r.Upstream(i, in)
		sample := r.Response(i, up, sampleResponse(r.Rule, d))
		c := Cluster{
			Name: d.Cluster, Weight: d.Weight, HostRewrite: d.HostRewrite,
			RequestHeaders: operations(d.RequestHeaders), ResponseHeaders: operations(d.ResponseHeaders),
			ResponseSample: sample,
			Upstream:       Upstream{up.Authority, up.Path, shown(up.Headers, sent, in)},
		}
		if !a.Weighted {
			c.Weight = 1
		}
		v.Clusters = append(v.Clusters, c)
	}
}

// sampleResponse returns the headers of a response in which every header that the operations name is "from-upstream".
func sampleResponse(r *plan.Rule, d plan.Destination) effect.Headers {
	h := effect.Headers{}
	for _, o := range []plan.HeaderOperations{r.ResponseHeaders, d.ResponseHeaders} {
		for _, a := range o.Add {
			h[strings.ToLower(a.Name)] = []string{"from-upstream"}
		}
		for _, name := range o.Remove {
			h[strings.ToLower(name)] = []string{"from-upstream"}
		}
	}
	maps.Copy(h, effect.Headers{"server-note": {"upstream"}, "x-upstream": {"a"}})
	return h
}

func operations(o plan.HeaderOperations) *Operations {
	if o.Empty() {
		return nil
	}
	out := &Operations{Remove: slices.Clone(o.Remove)}
	for _, a := range o.Add {
		action := "APPEND_IF_EXISTS_OR_ADD"
		if a.Overwrite {
			action = "OVERWRITE_IF_EXISTS_OR_ADD"
		}
		out.Add = append(out.Add, Addition{a.Name, a.Value, action})
	}
	return out
}
