package gateway

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/routing/regex"
)

// validator reports what Istio's validation refuses or warns of in one object. Rule numbers are those of section 10 of
// docs/istio-semantics.md.
type validator struct {
	object   *Object
	problems *Problems
}

func (v *validator) refuse(code, field, format string, args ...any) {
	v.add(Error, code, field, format, args...)
}

func (v *validator) warn(code, field, format string, args ...any) {
	v.add(Warning, code, field, format, args...)
}

func (v *validator) add(s Severity, code, field, format string, args ...any) {
	v.problems.add(s, v.object, field, format, args...)
	(*v.problems)[len(*v.problems)-1].Code = code
}

// validateVirtualService covers VAL-VS and VAL-H.
func validateVirtualService(vs *VirtualService, problems *Problems) {
	v := &validator{&vs.Object, problems}
	s := vs.Spec
	if len(s.Hosts) == 0 { // a delegate
		for field, set := range map[string]bool{"spec.gateways": len(s.Gateways) > 0, "spec.tls": len(s.Tls) > 0, "spec.tcp": len(s.Tcp) > 0} {
			if set {
				v.refuse("VAL-VS-01", field, "a VirtualService without hosts is a delegate, which has none")
			}
		}
	}
	v.gatewayNames("spec.gateways", s.Gateways)
	mesh := slices.Contains(gatewaysOf(vs), "mesh")
	v.hosts(vs, mesh && len(s.Hosts) > 0)
	if len(s.Http)+len(s.Tls)+len(s.Tcp) == 0 {
		v.refuse("VAL-VS-09", "spec", "one of http, tls and tcp is needed")
	}
	for i, h := range s.Http {
		field := "spec.http[" + itoa(i) + "]"
		if h == nil {
			v.refuse("VAL-VS-10", field, "a rule cannot be null")
			continue
		}
		v.rule(field, h, len(s.Hosts) == 0, mesh)
	}
	v.exportTo(s.ExportTo, vs.Namespace, false)
}

func (v *validator) gatewayNames(field string, names []string) {
	for i, name := range names {
		at := field + "[" + itoa(i) + "]"
		ns, base, slash := strings.Cut(name, "/")
		switch {
		case slash:
			if ns == "" || base == "" || ns != "." && !isLabel(ns) || !isLabel(base) {
				v.refuse("VAL-VS-02", at, "%q is not NAMESPACE/NAME", name)
			}
		default:
			if !isFQDN(name) {
				v.refuse("VAL-VS-03", at, "%q is no name of a Gateway", name)
			} else if strings.Contains(name, ".") {
				v.warn("VAL-VS-04", at, "write %q as NAMESPACE/NAME", name)
			}
			return // checking stops at the first name without a slash, as Istio's does
		}
	}
}

func (v *validator) hosts(vs *VirtualService, mesh bool) {
	for i, h := range vs.Spec.Hosts {
		at := "spec.hosts[" + itoa(i) + "]"
		_, err := netip.ParseAddr(h)
		switch {
		case err != nil && !isWildcardDomain(h) && !isSNIName(h):
			v.refuse("VAL-VS-06", at, "%q is neither a host name nor an IP address", h)
		case h == "*" && mesh:
			v.refuse("VAL-VS-07", at, `"*" cannot be used with the mesh, only with Gateways`)
		}
		for j, other := range vs.Spec.Hosts[:i] {
			if hostsMatch(h, other) {
				v.refuse("VAL-VS-08", at, "%q and hosts[%d], %q, match each other", h, j, other)
			}
		}
	}
}

// isSNIName is a host of the form outbound_.80_._.name, which Istio makes itself.
func isSNIName(h string) bool { return strings.HasPrefix(h, "outbound_.") }

func (v *validator) exportTo(list []string, namespace string, tilde bool) {
	seen := map[string]bool{}
	for i, e := range list {
		at := "spec.exportTo[" + itoa(i) + "]"
		switch {
		case seen[e]:
			v.refuse("VAL-VS-11", at, "%q occurs twice", e)
		case e == "~" && (!tilde || len(list) > 1), e == "*" && len(list) > 1, e == "." && slices.Contains(list, namespace):
			v.refuse("VAL-VS-11", at, "%q cannot be used here or with the other entries", e)
		case e != "*" && e != "." && e != "~" && !isLabel(e):
			v.refuse("VAL-VS-11", at, "%q is not *, ., or a namespace", e)
		}
		seen[e] = true
	}
}

// rule covers VAL-H.
func (v *validator) rule(field string, h *istio.HTTPRoute, inDelegate, mesh bool) {
	isRoot := h.Delegate != nil && !inDelegate
	switch {
	case inDelegate && h.Delegate != nil:
		v.refuse("VAL-H-02", field+".delegate", "a delegate cannot delegate")
	case isRoot && (h.Redirect != nil || len(h.Route) > 0):
		v.refuse("VAL-H-01", field+".delegate", "a rule that delegates has neither route nor redirect")
	case !isRoot && h.Redirect == nil && h.DirectResponse == nil && len(h.Route) == 0:
		v.refuse("VAL-H-05", field, "one of route, redirect and directResponse is needed")
	}
	v.exclusive(field, "VAL-H-03", "redirect", h.Redirect != nil, map[string]bool{
		"route": len(h.Route) > 0, "fault": h.Fault != nil, "rewrite": h.Rewrite != nil, "directResponse": h.DirectResponse != nil,
	})
	v.exclusive(field, "VAL-H-04", "directResponse", h.DirectResponse != nil, map[string]bool{
		"route": len(h.Route) > 0, "fault": h.Fault != nil, "rewrite": h.Rewrite != nil,
	})
	for i, m := range h.Match {
		v.match(field+".match["+itoa(i)+"]", m, mesh)
	}
	v.headers(field+".headers", h.Headers)
	v.authorities(field, h)
	v.cors(field+".corsPolicy", h.CorsPolicy)
	v.fault(field+".fault", h.Fault)
	v.mirrors(field, h)
	v.redirect(field+".redirect", h)
	v.directResponse(field+".directResponse", h.DirectResponse)
	v.retries(field+".retries", h.Retries)
	v.rewrite(field+".rewrite", h.Rewrite)
	v.destinations(field+".route", h.Route)
	v.duration("VAL-H-40", field+".timeout", h.Timeout)
}

func (v *validator) exclusive(field, code, name string, set bool, others map[string]bool) {
	for _, other := range slices.Sorted(maps.Keys(others)) {
		if set && others[other] {
			v.refuse(code, field, "%s and %s cannot be used together", name, other)
		}
	}
}

func (v *validator) match(field string, m *istio.HTTPMatchRequest, mesh bool) {
	if m == nil {
		return
	}
	for part, s := range map[string]*istio.StringMatch{"scheme": m.Scheme, "method": m.Method, "authority": m.Authority} {
		v.stringMatch("VAL-H-09", field+"."+part, s)
	}
	if r, ok := m.GetUri().GetMatchType().(*istio.StringMatch_Regex); ok { // an empty prefix is allowed here
		v.regex("VAL-H-10", field+".uri.regex", r.Regex)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		at := keyField(field+".headers", name)
		if m.Headers[name] == nil {
			v.refuse("VAL-H-07", at, "a condition cannot be null; {} asks for presence")
		}
		v.matchName(at, name, mesh)
		v.stringMatch("VAL-H-09", at, m.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.WithoutHeaders)) {
		at := keyField(field+".withoutHeaders", name)
		v.matchName(at, name, mesh)
		if m.WithoutHeaders[name].GetRegex() != "*" { // stands for presence
			v.stringMatch("VAL-H-09", at, m.WithoutHeaders[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.QueryParams)) {
		v.stringMatch("VAL-H-09", keyField(field+".queryParams", name), m.QueryParams[name])
	}
	if m.Port > 65535 {
		v.refuse("VAL-H-11", field+".port", "%d is no port", m.Port)
	}
	for key, value := range m.SourceLabels {
		if !isLabelKey(key) || !isLabelValue(value) {
			v.refuse("VAL-H-11", keyField(field+".sourceLabels", key), "%s=%s is no label", key, value)
		}
	}
	v.gatewayNames(field+".gateways", m.Gateways)
	if m.SourceNamespace != "" && !isLabel(m.SourceNamespace) {
		v.refuse("VAL-H-11", field+".sourceNamespace", "%q is no namespace", m.SourceNamespace)
	}
}

// claims are keys that stand for claims of a JWT.
const claims = "@request.auth.claims"

func (v *validator) matchName(at, name string, mesh bool) {
	switch {
	case strings.HasPrefix(name, claims):
		if mesh {
			v.refuse("VAL-VS-05", at, "claims can be matched at Gateways alone")
		}
	case strings.HasPrefix(name, ":"):
		if !slices.Contains([]string{":method", ":scheme", ":authority", ":path", ":status"}, name) {
			v.refuse("VAL-H-08", at, "%q is no name of a header", name)
		}
	case !isToken(name):
		v.refuse("VAL-H-08", at, "%q is no name of a header", name)
	}
}

func (v *validator) stringMatch(code, field string, s *istio.StringMatch) {
	switch m := s.GetMatchType().(type) {
	case *istio.StringMatch_Prefix:
		if m.Prefix == "" {
			v.refuse(code, field+".prefix", "a prefix cannot be empty; {} asks for presence")
		}
	case *istio.StringMatch_Regex:
		v.regex(code, field+".regex", m.Regex)
	}
}

// maxRegex is what Istio allows in bytes.
const maxRegex = 1024

func (v *validator) regex(code, field, pattern string) {
	switch {
	case pattern == "":
		v.refuse(code, field, "a regular expression cannot be empty")
	case len(pattern) > maxRegex:
		v.refuse(code, field, "a regular expression has at most %d bytes, this one %d", maxRegex, len(pattern))
	default:
		if _, err := regex.Compile(pattern, regex.UTF8); err != nil {
			v.refuse(code, field, "%q: %s", pattern, err)
		}
	}
}

func (v *validator) headers(field string, h *istio.Headers) {
	request, response := h.GetRequest(), h.GetResponse()
	v.operations(field+".request.set", request.GetSet(), true)
	v.operations(field+".request.add", request.GetAdd(), true)
	v.removals(field+".request.remove", request.GetRemove())
	v.operations(field+".response.set", response.GetSet(), false)
	v.operations(field+".response.add", response.GetAdd(), false)
	v.removals(field+".response.remove", response.GetRemove())
}

func (v *validator) operations(field string, values map[string]string, authority bool) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := keyField(field, name)
		isAuthority := strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority")
		switch {
		case name == "":
			v.refuse("VAL-H-12", at, "the name of a header cannot be empty")
		case isInternalHeader(name) && (!authority || !isAuthority):
			v.refuse("VAL-H-12", at, "%q cannot be changed", name)
		}
		if err := checkHeaderValue(values[name]); err != nil {
			v.refuse("VAL-H-13", at, "%q: %s", values[name], err)
		}
	}
}

func (v *validator) removals(field string, names []string) {
	for i, name := range names {
		at := field + "[" + itoa(i) + "]"
		switch {
		case name == "":
			v.refuse("VAL-H-12", at, "the name of a header cannot be empty")
		case isInternalHeader(name):
			v.refuse("VAL-H-12", at, "%q cannot be removed", name)
		}
	}
}

var operator = regexp.MustCompile(`^[A-Z][A-Z0-9_]*(\(.*\))?(:[0-9]+)?$`)

// checkHeaderValue refuses control characters and percent signs that neither stand for themselves nor enclose an operator.
func checkHeaderValue(value string) error {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("a value holds no control characters")
		}
	}
	for rest := value; ; {
		_, after, ok := strings.Cut(rest, "%")
		if !ok {
			return nil
		}
		if strings.HasPrefix(after, "%") {
			rest = after[1:]
			continue
		}
		name, tail, ok := strings.Cut(after, "%")
		if !ok || !operator.MatchString(name) {
			return fmt.Errorf("a percent sign is written %%%%, or encloses an operator such as %%REQ(name)%%")
		}
		rest = tail
	}
}

// authorities counts the ways to set the authority (VAL-H-14).
func (v *validator) authorities(field string, h *istio.HTTPRoute) {
	n := 0
	if h.GetRewrite().GetAuthority() != "" {
		n++
	}
	for _, values := range []map[string]string{h.GetHeaders().GetRequest().GetSet(), h.GetHeaders().GetRequest().GetAdd()} {
		for name := range values {
			if strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority") {
				n++
			}
		}
	}
	if n > 1 {
		v.refuse("VAL-H-14", field, "the authority is set %d times, by rewrite and headers", n)
	}
}

func (v *validator) cors(field string, c *istio.CorsPolicy) {
	for i, o := range c.GetAllowOrigins() {
		at := field + ".allowOrigins[" + itoa(i) + "]"
		if o.GetExact()+o.GetPrefix()+o.GetRegex() == "" {
			v.refuse("VAL-H-15", at, "an origin is exact, prefix or regex, and not empty")
			continue
		}
		v.stringMatch("VAL-H-15", at, o)
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"}
	for i, m := range c.GetAllowMethods() {
		if !slices.Contains(methods, m) {
			v.refuse("VAL-H-16", field+".allowMethods["+itoa(i)+"]", "%q is no method", m)
		}
	}
	for name, list := range map[string][]string{"allowHeaders": c.GetAllowHeaders(), "exposeHeaders": c.GetExposeHeaders()} {
		for i, h := range list {
			if h != "*" && !isToken(h) {
				v.refuse("VAL-H-17", field+"."+name+"["+itoa(i)+"]", "%q is no name of a header", h)
			}
		}
	}
	if d := c.GetMaxAge(); d != nil {
		v.duration("VAL-H-18", field+".maxAge", d)
		if d.Nanos > 0 {
			v.refuse("VAL-H-18", field+".maxAge", "%s is no whole number of seconds", d.AsDuration())
		}
	}
}

func (v *validator) duration(code, field string, d *durationpb.Duration) {
	if d == nil {
		return
	}
	switch t := d.AsDuration(); {
	case !d.IsValid() || t < time.Millisecond:
		v.refuse(code, field, "%s is shorter than 1ms", t)
	case t%time.Millisecond != 0:
		v.refuse(code, field, "%s is no whole number of milliseconds", t)
	}
}

func (v *validator) percent(code, field string, p *istio.Percent) {
	if x := p.GetValue(); p != nil && (x < 0 || x > 100 || x > 0 && x < 0.0001 || math.IsNaN(x)) {
		v.refuse(code, field, "%v is not 0, and not between 0.0001 and 100", x)
	}
}

func (v *validator) fault(field string, f *istio.HTTPFaultInjection) {
	if f == nil {
		return
	}
	if f.Delay == nil && f.Abort == nil {
		v.refuse("VAL-H-19", field, "a fault has a delay or an abort")
	}
	v.percent("VAL-H-20", field+".delay.percentage", f.GetDelay().GetPercentage())
	v.percent("VAL-H-20", field+".abort.percentage", f.GetAbort().GetPercentage())
	if f.Abort != nil {
		switch a := f.Abort.ErrorType.(type) {
		case nil:
			v.warn("VAL-H-23", field+".abort", "there is neither httpStatus nor grpcStatus; nothing is aborted")
		case *istio.HTTPFaultInjection_Abort_Http2Error:
			v.refuse("VAL-H-21", field+".abort.http2Error", "is not supported")
		case *istio.HTTPFaultInjection_Abort_HttpStatus:
			if a.HttpStatus < 200 || a.HttpStatus > 600 {
				v.refuse("VAL-H-22", field+".abort.httpStatus", "%d is not between 200 and 600", a.HttpStatus)
			}
		case *istio.HTTPFaultInjection_Abort_GrpcStatus:
			if _, ok := grpcStatus[a.GrpcStatus]; !ok {
				v.refuse("VAL-H-22", field+".abort.grpcStatus", "%q is no status of gRPC", a.GrpcStatus)
			}
		}
	}
	if f.Delay != nil {
		switch d := f.Delay.HttpDelayType.(type) {
		case *istio.HTTPFaultInjection_Delay_FixedDelay:
			v.duration("VAL-H-24", field+".delay.fixedDelay", d.FixedDelay)
		case *istio.HTTPFaultInjection_Delay_ExponentialDelay:
			v.refuse("VAL-H-24", field+".delay.exponentialDelay", "is not supported; use fixedDelay")
		}
	}
}

func (v *validator) mirrors(field string, h *istio.HTTPRoute) {
	if h.Mirror != nil && len(h.Mirrors) > 0 {
		v.refuse("VAL-H-06", field, "mirror and mirrors cannot be used together")
	}
	if old := h.MirrorPercent; old != nil { //nolint:staticcheck // deprecated, and still in force
		if old.GetValue() > 100 {
			v.refuse("VAL-H-25", field+".mirrorPercent", "%d is more than 100", old.GetValue())
		}
		v.warn("VAL-H-25", field+".mirrorPercent", "is deprecated; use mirrorPercentage")
	}
	percentage := func(field string, p *istio.Percent) {
		if p != nil && (p.Value < 0 || p.Value > 100) {
			v.refuse("VAL-H-26", field, "%v is not between 0 and 100", p.Value)
		}
	}
	percentage(field+".mirrorPercentage", h.MirrorPercentage)
	if h.Mirror != nil {
		v.destination("VAL-H-27", field+".mirror", h.Mirror)
	}
	for i, m := range h.Mirrors {
		at := field + ".mirrors[" + itoa(i) + "]"
		if m.GetDestination() == nil {
			v.refuse("VAL-H-27", at, "a mirror has a destination")
			continue
		}
		v.destination("VAL-H-27", at+".destination", m.Destination)
		percentage(at+".percentage", m.Percentage)
	}
}

func (v *validator) redirect(field string, h *istio.HTTPRoute) {
	r := h.Redirect
	if r == nil {
		return
	}
	if r.Uri != "" && r.PrefixRewrite != "" {
		v.refuse("VAL-H-28", field, "uri and prefixRewrite cannot be used together")
	}
	if r.PrefixRewrite != "" {
		for i, m := range h.Match {
			if _, isPrefix := m.GetUri().GetMatchType().(*istio.StringMatch_Prefix); m.GetUri() != nil && !isPrefix {
				v.refuse("VAL-H-28", field+".prefixRewrite", "match[%d].uri is no prefix", i)
			}
		}
	}
	if r.Uri == "" && r.PrefixRewrite == "" && r.Authority == "" && r.RedirectPort == nil && r.Scheme == "" {
		v.refuse("VAL-H-29", field, "a redirect changes uri, authority, port or scheme")
	}
	if r.RedirectCode != 0 && (r.RedirectCode < 300 || r.RedirectCode > 399) {
		v.refuse("VAL-H-30", field+".redirectCode", "%d is no status of a redirect", r.RedirectCode)
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		v.refuse("VAL-H-30", field+".scheme", "%q is neither http nor https", r.Scheme)
	}
	if r.GetPort() > 65535 {
		v.refuse("VAL-H-30", field+".port", "%d is no port", r.GetPort())
	}
}

func (v *validator) directResponse(field string, d *istio.HTTPDirectResponse) {
	if d == nil {
		return
	}
	if size := len(translateDirectResponse(d).Body); size > 1<<20 {
		v.refuse("VAL-H-31", field+".body", "has %d bytes, at most 1 MiB is allowed", size)
	} else if size > 100<<10 {
		v.warn("VAL-H-31", field+".body", "has %d bytes; more than 100 KiB burden the configuration", size)
	}
	if d.Status < 200 || d.Status > 600 {
		v.refuse("VAL-H-31", field+".status", "%d is not between 200 and 600", d.Status)
	}
}

// retryConditions are the words of retryOn besides status codes.
var retryConditions = []string{
	"5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream", "retriable-status-codes",
	"retriable-headers", "envoy-ratelimited", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}

func (v *validator) retries(field string, r *istio.HTTPRetry) {
	if r == nil {
		return
	}
	if r.Attempts < 0 {
		v.refuse("VAL-H-32", field+".attempts", "%d is negative", r.Attempts)
	}
	if r.Attempts == 0 && (r.PerTryTimeout != nil || r.RetryOn != "" || r.RetryRemoteLocalities != nil) {
		v.refuse("VAL-H-33", field, "attempts is 0, so there are no retries, and yet they are configured")
	}
	v.duration("VAL-H-34", field+".perTryTimeout", r.PerTryTimeout)
	v.duration("VAL-H-34", field+".backoff", r.Backoff)
	if r.RetryOn == "" {
		return
	}
	for _, token := range strings.Split(r.RetryOn, ",") {
		if code, err := strconv.Atoi(token); err == nil && http.StatusText(code) != "" || slices.Contains(retryConditions, token) {
			continue
		}
		v.refuse("VAL-H-35", field+".retryOn", "%q is neither a condition nor a status; write no blanks", token)
	}
}

func (v *validator) rewrite(field string, w *istio.HTTPRewrite) {
	if w == nil {
		return
	}
	r := w.UriRegexRewrite
	switch {
	case w.Uri != "" && r != nil:
		v.refuse("VAL-H-36", field, "uri and uriRegexRewrite cannot be used together")
	case w.Uri == "" && r == nil && w.Authority == "":
		v.refuse("VAL-H-36", field, "a rewrite changes uri or authority")
	}
	if r != nil {
		if r.Match == "" || r.Rewrite == "" {
			v.refuse("VAL-H-36", field+".uriRegexRewrite", "both match and rewrite are needed")
		}
		if r.Match != "" {
			v.regex("VAL-H-36", field+".uriRegexRewrite.match", r.Match)
		}
	}
}

func (v *validator) destinations(field string, list []*istio.HTTPRouteDestination) {
	var sum int64
	for i, r := range list {
		at := field + "[" + itoa(i) + "]"
		if r == nil || r.Destination == nil {
			v.refuse("VAL-H-37", at, "a destination is needed")
			continue
		}
		v.destination("VAL-H-38", at+".destination", r.Destination)
		if r.Weight < 0 {
			v.refuse("VAL-H-39", at+".weight", "%d is negative", r.Weight)
		}
		sum += int64(r.Weight)
		v.headers(at+".headers", r.Headers)
	}
	if len(list) > 1 && sum == 0 {
		v.refuse("VAL-H-39", field, "the weights of %d destinations add up to 0", len(list))
	}
}

func (v *validator) destination(code, field string, d *istio.Destination) {
	if d.Host == "*" || !isWildcardDomain(d.Host) {
		v.refuse(code, field+".host", "%q is no name of a host", d.Host)
	}
	if d.Subset != "" && !isLabel(d.Subset) {
		v.refuse(code, field+".subset", "%q is no name of a subset", d.Subset)
	}
	if d.Port != nil && (d.Port.Number == 0 || d.Port.Number > 65535) {
		v.refuse(code, field+".port.number", "%d is no port", d.Port.Number)
	}
}
