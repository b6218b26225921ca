package translate

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
)

// listenerContext is what the translation of a VirtualService's rules depends on besides the rules: properties of the
// first server with which the VirtualService shares a host (VS-GW-12), or of a port of the mesh.
type listenerContext struct {
	port     uint32    // the declared port
	gateway  string    // namespace/name, or "mesh"
	isTLS    bool      // whether the server has a tls block
	services *registry // in which destinations are looked up (VS-SPLIT-02)
	// missingPort is the severity of the finding if a destination does not name a port and its service does not have
	// the declared one; "" is an error.
	missingPort diag.Severity
}

// ruleTranslator translates the rules of VirtualServices.
type ruleTranslator struct {
	options      *Options
	destinations *destinations
	made         *bound
}

func newRuleTranslator(o *Options, d *destinations) *ruleTranslator {
	return &ruleTranslator{o, d, &bound{what: "rules", most: maxRules, out: d.out}}
}

// rules translates the rules of a VirtualService for one Gateway and port. It stops after the first catch-all rule:
// Istio drops what follows, other matches of the same rule included (VS-ORD-04, VS-ORD-05). A VirtualService without
// any rule for the Gateway and port does not make a virtual host there either (VS-GW-08).
func (t *ruleTranslator) rules(vs *boundVirtualService, c listenerContext) (rules []*plan.Rule, dropped []plan.Dropped) {
	var catchAll *plan.Rule
	for _, h := range vs.rules {
		if !t.made.add(max(1, len(h.Match)), h.origin.Object, h.field("")) {
			return rules, dropped
		}
		for i := range max(1, len(h.Match)) {
			match := i
			if len(h.Match) == 0 {
				match = -1
			} else if code := misses(h.Match[i], c, t.options); code != "" {
				dropped = append(dropped, h.drop(match, code, plan.Origin{}))
				continue
			}
			if catchAll != nil {
				dropped = append(dropped, h.drop(match, plan.DropBehindCatchAll, catchAll.Origin))
				continue
			}
			r := t.rule(vs, h, match, c)
			rules = append(rules, r)
			if match < 0 || r.Match.IsCatchAll() {
				catchAll = r
			}
		}
	}
	return rules, dropped
}

// rule makes one rule from an entry of http[] and one of its matches, by index; -1 is an entry without a match.
func (t *ruleTranslator) rule(vs *boundVirtualService, h httpRule, match int, c listenerContext) *plan.Rule {
	r := &plan.Rule{
		Origin: h.originOf(match),
		Root:   h.root,
		Name:   h.Name,
		Source: h.origin.Place(h.field(h.place(match))),
	}
	var m *istio.HTTPMatchRequest
	if match >= 0 {
		m = h.Match[match]
		if m.GetName() != "" {
			r.Name += "." + m.GetName()
		}
		r.StatPrefix = m.GetStatPrefix()
	}
	r.Match = translateMatch(m, vs.IsIngress() || vs.IsRoute() || h.extensions.SegmentPrefixes)
	operations := translateHeaders(h.Headers)
	r.RequestHeaders, r.ResponseHeaders = operations.request, operations.response
	switch { // the first that is set counts (VS-RED-01)
	case h.Redirect != nil:
		r.Redirect = t.redirect(h, c)
		if prefix, ok := strings.CutPrefix(r.Redirect.Path, "%PREFIX()%"); ok && vs.IsRoute() {
			r.Redirect.Path, r.Redirect.PrefixRewrite = "", prefix // VS-RED-04
		}
	case h.DirectResponse != nil:
		r.DirectResponse = translateDirectResponse(h.DirectResponse)
	default:
		if !t.fits(h) {
			r.DirectResponse = &plan.DirectResponse{Status: http.StatusServiceUnavailable}
			break
		}
		r.Route = t.route(r, h, operations.authority, c)
		if r.Route.PrefixRewrite == "/" && vs.IsRoute() {
			r.Route.PrefixRewrite, r.Route.RegexRewrite = "", removePrefix(&r.Match.Path) // VS-RW-03
		}
	}
	r.Fault = translateFault(h.Fault)
	r.CORS = translateCORS(h.CorsPolicy)
	r.Seal()
	return r
}

// removePrefix is the rewrite that removes the matched prefix from a path and leaves one slash.
func removePrefix(p *plan.PathMatch) *plan.RegexRewrite {
	prefix := ""
	if p.Kind == plan.Separated {
		prefix = p.Value
	}
	return &plan.RegexRewrite{Pattern: "^" + regexp.QuoteMeta(prefix) + "(/?)(.*)", Substitution: `/\2`}
}

// fits reports whether Envoy can execute a split, and adds a finding if not.
func (t *ruleTranslator) fits(h httpRule) bool {
	var sum uint64
	for _, d := range h.Route {
		sum += uint64(max(d.GetWeight(), 0))
	}
	if sum <= math.MaxUint32 {
		return true
	}
	t.destinations.out.findings.Add(t.options.leftOut(), "", h.origin.Object, h.field(".route"), "the weights add up to %d, and Envoy allows %d; the rule answers 503", sum, uint32(math.MaxUint32))
	return false
}

// route translates the destinations of a rule and what is done on the way to them. The header operations of an only
// destination are added to those of the rule r. authority is the one that the rule's header operations set, or "".
func (t *ruleTranslator) route(r *plan.Rule, h httpRule, authority string, c listenerContext) *plan.RouteAction {
	a := &plan.RouteAction{Timeout: duration(h.Timeout), Weighted: len(h.Route) != 1}
	if w := h.Rewrite; w != nil {
		if regex := w.GetUriRegexRewrite(); regex != nil {
			a.RegexRewrite = &plan.RegexRewrite{Pattern: regex.Match, Substitution: regex.Rewrite}
		} else {
			a.PrefixRewrite = w.Uri
		}
		if w.Authority != "" {
			authority = w.Authority
		}
	}
	a.HostRewrite = authority
	hashed := false
	for i, route := range h.Route {
		d := route.GetDestination()
		ref := t.destinations.destination(h, h.field(".route["+strconv.Itoa(i)+"].destination"), d, c)
		out := plan.Destination{Cluster: ref.name(), Weight: uint32(max(route.GetWeight(), 0))}
		own := translateHeaders(route.GetHeaders())
		if a.Weighted {
			out.RequestHeaders, out.ResponseHeaders, out.HostRewrite = own.request, own.response, own.authority
		} else {
			out.Weight = 0 // the weight of an only destination is ignored (VS-SPLIT-05)
			appendOperations(&r.RequestHeaders, own.request)
			appendOperations(&r.ResponseHeaders, own.response)
			if a.HostRewrite == "" {
				a.HostRewrite = own.authority
			}
		}
		if a.Weighted && out.Weight == 0 {
			continue // dropped (VS-SPLIT-06)
		}
		if hash := t.destinations.consistentHash(d); hash != nil {
			hashed = true
			if p := hashPolicy(hash); p != nil {
				a.HashPolicies = append(a.HashPolicies, *p)
			}
		}
		a.Destinations = append(a.Destinations, out)
	}
	a.Retry = translateRetries(h.Retries, hashed && !a.Weighted)
	t.mirrors(a, h, c)
	return a
}

// mirrors adds the rule's mirrors, except those of 0 % (VS-MIRROR-01, VS-MIRROR-02).
func (t *ruleTranslator) mirrors(a *plan.RouteAction, h httpRule, c listenerContext) {
	add := func(field string, d *istio.Destination, p plan.Percentage) {
		if d == nil || p.Numerator == 0 {
			return
		}
		ref := t.destinations.destination(h, h.field(field), d, c)
		a.Mirrors = append(a.Mirrors, plan.Mirror{Cluster: ref.name(), Numerator: p.Numerator, Denominator: p.Denominator})
	}
	if h.Mirror != nil {
		p := plan.Percentage{Numerator: 100, Denominator: 100}
		if h.MirrorPercentage != nil {
			p = percentage(h.MirrorPercentage)
		} else if old := h.MirrorPercent; old != nil { //nolint:staticcheck // deprecated, and still in force
			p.Numerator = old.GetValue()
		}
		add(".mirror", h.Mirror, p)
	}
	for i, m := range h.Mirrors {
		p := plan.Percentage{Numerator: 100, Denominator: 100}
		if m.GetPercentage() != nil {
			p = percentage(m.GetPercentage())
		}
		add(".mirrors["+strconv.Itoa(i)+"].destination", m.GetDestination(), p)
	}
}

// percentage truncates a percentage to four decimals. It computes the same floating-point product as Istio, so that the
// results are equal (VS-FAULT-03).
func percentage(p *istio.Percent) plan.Percentage {
	return plan.Percentage{Numerator: uint32(p.GetValue() * 10000), Denominator: 1_000_000}
}

// defaultRetryOn is the condition of Istio's default policy and of a policy without retryOn (VS-RETRY-01, VS-RETRY-04).
const defaultRetryOn = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"

// translateRetries translates a retry policy. Without one, Istio's default policy applies; with 0 attempts there are no
// retries, and it is nil (VS-RETRY-01, VS-RETRY-02). hashed is true for an only destination with consistent hashing,
// where hosts that were tried are not avoided by default (VS-RETRY-06).
func translateRetries(in *istio.HTTPRetry, hashed bool) *plan.RetryPolicy {
	p := &plan.RetryPolicy{On: defaultRetryOn, Attempts: 2, PreviousHosts: !hashed}
	if in == nil {
		return p
	}
	if in.Attempts <= 0 {
		return nil
	}
	p.Attempts = uint32(in.Attempts)
	if in.RetryOn != "" {
		p.On, p.StatusCodes = retryOn(in.RetryOn)
	}
	p.PerTryTimeout = duration(in.PerTryTimeout)
	p.BaseInterval = duration(in.Backoff)
	p.RemoteLocalities = in.RetryRemoteLocalities.GetValue()
	if in.RetryIgnorePreviousHosts != nil {
		p.PreviousHosts = in.RetryIgnorePreviousHosts.GetValue()
	}
	return p
}

// retryOn separates the conditions of retryOn from its status codes. "503" becomes ",retriable-status-codes" with the
// code 503; the leading comma is the same in Istio's output, and Envoy accepts it (VS-RETRY-04).
func retryOn(text string) (on string, codes []uint32) {
	var conditions []string
	for _, token := range strings.Split(text, ",") {
		if token = strings.TrimSpace(token); token == "" {
			continue
		}
		if code, err := strconv.Atoi(token); err == nil && http.StatusText(code) != "" {
			codes = append(codes, uint32(code))
			continue
		}
		conditions = append(conditions, token)
	}
	on = strings.Join(conditions, ",")
	if len(codes) > 0 && !strings.Contains(on, "retriable-status-codes") {
		on += ",retriable-status-codes"
	}
	return on, codes
}

// redirect translates a redirect. A port that is the default of the scheme is left out (VS-RED-06).
func (t *ruleTranslator) redirect(h httpRule, c listenerContext) *plan.Redirect {
	in := h.Redirect
	out := &plan.Redirect{Status: in.RedirectCode, Path: in.Uri, PrefixRewrite: in.PrefixRewrite, Host: in.Authority, Scheme: in.Scheme}
	if out.Status == 0 {
		out.Status = http.StatusMovedPermanently
	}
	if !out.IsExecuted() {
		t.destinations.out.findings.Add(t.options.leftOut(), "", h.origin.Object, h.field(".redirect.redirectCode"),
			"%d is not executed by Envoy, so that the rule answers 503; use 301, 302, 303, 307 or 308", out.Status)
	}
	switch port := in.RedirectPort.(type) {
	case *istio.HTTPRedirect_DerivePort:
		if port.DerivePort == istio.HTTPRedirect_FROM_REQUEST_PORT {
			out.Port = c.port
		}
	case *istio.HTTPRedirect_Port:
		out.Port = port.Port
	}
	scheme := in.Scheme
	if scheme == "" {
		scheme = "http"
		if c.isTLS {
			scheme = "https"
		}
	}
	if scheme == "http" && out.Port == 80 || scheme == "https" && out.Port == 443 {
		out.Port = 0
	}
	return out
}

func translateDirectResponse(in *istio.HTTPDirectResponse) *plan.DirectResponse {
	out := &plan.DirectResponse{Status: in.Status}
	switch body := in.Body.GetSpecifier().(type) {
	case *istio.HTTPBody_String_:
		out.Body = []byte(body.String_)
	case *istio.HTTPBody_Bytes:
		out.Body = body.Bytes
	}
	return out
}

// translateFault translates a fault; nil where there is none. A delay without percentage uses the deprecated integer
// percent, which is 0 if it is missing, too. An abort without percentage has 0 %. A delay or abort without a type is
// left out (VS-FAULT-02, VS-FAULT-04, VS-FAULT-05).
func translateFault(in *istio.HTTPFaultInjection) *plan.Fault {
	if in == nil {
		return nil
	}
	out := &plan.Fault{}
	if d := in.Delay; d != nil {
		if fixed, ok := d.HttpDelayType.(*istio.HTTPFaultInjection_Delay_FixedDelay); ok {
			p := plan.Percentage{Numerator: uint32(d.Percent), Denominator: 100} //nolint:staticcheck // deprecated, and still in force
			if d.Percentage != nil {
				p = percentage(d.Percentage)
			}
			out.Delay = &plan.FaultDelay{Percentage: p, Duration: duration(fixed.FixedDelay)}
		}
	}
	if a := in.Abort; a != nil {
		abort := &plan.FaultAbort{Percentage: plan.Percentage{Denominator: 100}}
		if a.Percentage != nil {
			abort.Percentage = percentage(a.Percentage)
		}
		switch e := a.ErrorType.(type) {
		case *istio.HTTPFaultInjection_Abort_HttpStatus:
			abort.HTTPStatus = uint32(e.HttpStatus)
			out.Abort = abort
		case *istio.HTTPFaultInjection_Abort_GrpcStatus:
			abort.IsGRPC, abort.GRPCStatus = true, names.GRPCStatus[e.GrpcStatus]
			out.Abort = abort
		}
	}
	if out.Delay == nil && out.Abort == nil {
		return nil
	}
	return out
}

// translateCORS translates a CORS policy: lists are joined by commas, and maxAge is truncated to whole seconds
// (VS-CORS-02 to VS-CORS-05).
func translateCORS(in *istio.CorsPolicy) *plan.CORSPolicy {
	if in == nil {
		return nil
	}
	out := &plan.CORSPolicy{
		AllowMethods:        strings.Join(in.AllowMethods, ","),
		AllowHeaders:        strings.Join(in.AllowHeaders, ","),
		ExposeHeaders:       strings.Join(in.ExposeHeaders, ","),
		AllowCredentials:    in.AllowCredentials.GetValue(),
		AllowCredentialsSet: in.AllowCredentials != nil,
		ForwardUnmatched:    in.UnmatchedPreflights != istio.CorsPolicy_IGNORE,
	}
	if in.MaxAge != nil {
		out.MaxAge = strconv.FormatInt(in.MaxAge.GetSeconds(), 10)
	}
	for _, o := range in.AllowOrigins {
		if kind, value, ok := stringMatch(o); ok {
			out.AllowOrigins = append(out.AllowOrigins, plan.OriginMatch{Kind: kind, Value: value})
		}
	}
	if in.AllowOrigins == nil {
		for _, o := range in.AllowOrigin { //nolint:staticcheck // deprecated, and still in force
			out.AllowOrigins = append(out.AllowOrigins, plan.OriginMatch{Kind: plan.Exact, Value: o})
		}
	}
	return out
}

func duration(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.AsDuration()
}
