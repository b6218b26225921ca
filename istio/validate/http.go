package validate

import (
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
)

// rule covers VAL-H: one http rule. Actions are in action.go, headers in headers.go; mesh means that the VirtualService
// is bound to the mesh.
func (v *validator) rule(field string, h *istio.HTTPRoute, inDelegate, mesh bool) {
	v.conflicts(field, h, inDelegate)
	for i, m := range h.Match {
		v.match(field+".match["+strconv.Itoa(i)+"]", m, mesh)
	}
	v.headers("VAL-H-12", "VAL-H-13", field+".headers", h.Headers)
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

// conflicts covers VAL-H-01 to VAL-H-06: actions that cannot be used together. Of a rule that delegates, as in Istio,
// only route and redirect are checked.
func (v *validator) conflicts(field string, h *istio.HTTPRoute, inDelegate bool) {
	if h.Delegate != nil && !inDelegate {
		if h.Redirect != nil || h.Route != nil {
			v.refuse("VAL-H-01", field+".delegate", "a rule that delegates has neither route nor redirect")
		}
		return
	}
	if h.Delegate != nil {
		v.refuse("VAL-H-02", field+".delegate", "a delegate cannot delegate")
	}
	others := []struct {
		name string
		set  bool
	}{{"route", len(h.Route) > 0}, {"fault", h.Fault != nil}, {"rewrite", h.Rewrite != nil}, {"directResponse", h.DirectResponse != nil}}
	code, action := "", ""
	switch {
	case h.Redirect != nil:
		code, action = "VAL-H-03", "redirect"
	case h.DirectResponse != nil:
		code, action = "VAL-H-04", "directResponse"
	case len(h.Route) == 0:
		v.refuse("VAL-H-05", field, "one of route, redirect and directResponse is needed")
	}
	for _, other := range others {
		if action != "" && other.set && other.name != action {
			v.refuse(code, field, "%s and %s cannot be used together", action, other.name)
		}
	}
	if h.Mirror != nil && len(h.Mirrors) > 0 {
		v.refuse("VAL-H-06", field, "mirror and mirrors cannot be used together")
	}
}

// match covers VAL-H-08 to VAL-H-11.
func (v *validator) match(field string, m *istio.HTTPMatchRequest, mesh bool) {
	for part, s := range map[string]*istio.StringMatch{"scheme": m.Scheme, "method": m.Method, "authority": m.Authority} {
		v.stringMatch("VAL-H-09", field+"."+part, s)
	}
	if r, ok := m.GetUri().GetMatchType().(*istio.StringMatch_Regex); ok { // an empty prefix is allowed here
		v.regex("VAL-H-10", field+".uri.regex", r.Regex)
	}
	for name, condition := range m.Headers {
		at := diag.KeyField(field+".headers", name)
		v.matchName(at, name, mesh)
		v.stringMatch("VAL-H-09", at, condition)
	}
	for name, condition := range m.WithoutHeaders {
		at := diag.KeyField(field+".withoutHeaders", name)
		v.matchName(at, name, mesh)
		if condition.GetRegex() != "*" { // it means presence and is not compiled
			v.stringMatch("VAL-H-09", at, condition)
		}
	}
	for name, condition := range m.QueryParams {
		v.stringMatch("VAL-H-09", diag.KeyField(field+".queryParams", name), condition)
	}
	if m.Port > 65535 {
		v.refuse("VAL-H-11", field+".port", "%d is not a valid port", m.Port)
	}
	v.labels("VAL-H-11", field+".sourceLabels", m.SourceLabels)
	v.gatewayNames("VAL-H-11", "VAL-H-11", field+".gateways", m.Gateways)
	if m.SourceNamespace != "" && !names.IsLabel(m.SourceNamespace) {
		v.refuse("VAL-H-11", field+".sourceNamespace", "%q is not a valid namespace", m.SourceNamespace)
	}
}

// matchName covers VAL-H-08 and VAL-VS-05: the name in a condition is that of a header, a pseudo-header, or a claim of
// a JWT.
func (v *validator) matchName(at, name string, mesh bool) {
	_, isClaim := names.Claim(name)
	switch {
	case isClaim:
		if mesh {
			v.refuse("VAL-VS-05", at, "claims can be matched only at Gateways")
		}
	case strings.HasPrefix(name, ":"):
		if !slices.Contains([]string{":method", ":scheme", ":authority", ":path", ":status"}, name) {
			v.refuse("VAL-H-08", at, "%q is not a valid header name", name)
		}
	case !names.IsToken(name):
		v.refuse("VAL-H-08", at, "%q is not a valid header name", name)
	}
}

func (v *validator) stringMatch(code, field string, s *istio.StringMatch) {
	switch m := s.GetMatchType().(type) {
	case *istio.StringMatch_Prefix:
		if m.Prefix == "" {
			v.refuse(code, field+".prefix", "a prefix cannot be empty; {} matches any value")
		}
	case *istio.StringMatch_Regex:
		v.regex(code, field+".regex", m.Regex)
	}
}

// destinations covers VAL-H-37 to VAL-H-39 and VAL-H-41.
func (v *validator) destinations(field string, list []*istio.HTTPRouteDestination) {
	var sum int32 // 32 bits as in Istio: a sum that overflows to 0 counts as 0
	for i, r := range list {
		at := field + "[" + strconv.Itoa(i) + "]"
		v.weighted("VAL-H-37", "VAL-H-38", "VAL-H-39", at, r.Destination, r.Weight)
		v.headers("VAL-H-41", "VAL-H-41", at+".headers", r.Headers)
		sum += r.Weight
	}
	if len(list) > 1 && sum == 0 {
		v.refuse("VAL-H-39", field, "the weights of %d destinations add up to 0", len(list))
	}
}

// weighted checks a destination and its weight, with a code for a missing destination, a bad one, and a negative
// weight.
func (v *validator) weighted(missing, wrong, negative, field string, d *istio.Destination, weight int32) {
	if d == nil {
		v.refuse(missing, field, "a destination is needed")
	}
	v.destination(wrong, field+".destination", d)
	if weight < 0 {
		v.refuse(negative, field+".weight", "%d is negative", weight)
	}
}

func (v *validator) destination(code, field string, d *istio.Destination) {
	if d == nil {
		return
	}
	if d.Host == "*" || !names.IsWildcardDomain(d.Host) {
		v.refuse(code, field+".host", "%q is not a valid host name", d.Host)
	}
	if d.Subset != "" && !names.IsLabel(d.Subset) {
		v.refuse(code, field+".subset", "%q is not a valid name of a subset", d.Subset)
	}
	if d.Port != nil {
		v.port(code, field+".port.number", d.Port.Number)
	}
}
