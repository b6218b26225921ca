package translate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
)

// misses returns the reason why a match does not apply to a listener, or "". It checks the static conditions: the
// declared port, and the Gateway or, where the match names none, the proxy's labels and namespace (VS-STAT-01 to
// VS-STAT-03).
func misses(m *istio.HTTPMatchRequest, c listenerContext, o *Options) plan.DropCode {
	switch {
	case m.GetPort() != 0 && m.GetPort() != c.port:
		return plan.DropPort
	case len(m.GetGateways()) > 0:
		if !slices.Contains(m.GetGateways(), c.gateway) {
			return plan.DropGateway
		}
	case !names.Selects(m.GetSourceLabels(), o.Labels):
		return plan.DropLabels
	case m.GetSourceNamespace() != "" && m.GetSourceNamespace() != o.Namespace:
		return plan.DropNamespace
	}
	return ""
}

// translateMatch translates the conditions of a match that depend on the request. m is nil for a rule without a match;
// that and a match without a uri have the path prefix "/" (VS-MATCH-02). With segments, a path prefix ends at a segment
// border (VS-MATCH-06).
//
// The conditions on headers are sorted by name, those of withoutHeaders before all others, as in Istio's output.
func translateMatch(m *istio.HTTPMatchRequest, segments bool) plan.Match {
	out := plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: "/"}}
	if m == nil {
		out.Unconditional = true
		return out
	}
	if kind, value, ok := stringMatch(m.Uri); ok {
		if segments && kind == plan.Prefix && value != "/" {
			// for resources made from an Ingress or the Gateway API (VS-MATCH-06), and with the extension prefix-match
			kind = plan.Separated
			if len(value) > 0 && value[len(value)-1] == '/' {
				value = value[:len(value)-1]
			}
		}
		out.Path = plan.PathMatch{Kind: kind, Value: value}
	}
	out.Path.IgnoreCase = m.IgnoreUriCase
	for _, name := range slices.Sorted(maps.Keys(m.WithoutHeaders)) {
		if path, ok := routingClaim(name); ok {
			out.Claims = append(out.Claims, claimMatch(path, m.WithoutHeaders[name], true))
			continue
		}
		h := headerMatch(name, m.WithoutHeaders[name])
		h.Invert, h.MissingAsEmpty = true, h.Kind != plan.Present
		out.Headers = append(out.Headers, h)
	}
	inverted := len(out.Headers)
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		value := m.Headers[name]
		if path, ok := routingClaim(name); ok {
			out.Claims = append(out.Claims, claimMatch(path, value, false))
			continue
		}
		out.Headers = append(out.Headers, headerMatch(name, value))
	}
	for name, value := range map[string]*istio.StringMatch{":method": m.Method, ":authority": m.Authority, ":scheme": m.Scheme} {
		if value != nil {
			out.Headers = append(out.Headers, headerMatch(name, value))
		}
	}
	slices.SortFunc(out.Headers[inverted:], func(a, b plan.HeaderMatch) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Value, b.Value))
	})
	for _, name := range slices.Sorted(maps.Keys(m.QueryParams)) {
		q := headerMatch(name, m.QueryParams[name])
		out.Query = append(out.Query, plan.QueryMatch{Name: name, Kind: q.Kind, Value: q.Value})
	}
	return out
}

// headerMatch translates a condition on a header. One without a type, and the regex "*", mean that the header is
// present (VS-MATCH-14).
func headerMatch(name string, m *istio.StringMatch) plan.HeaderMatch {
	kind, value, ok := stringMatch(m)
	if !ok || kind == plan.Regex && value == "*" {
		return plan.HeaderMatch{Name: name}
	}
	return plan.HeaderMatch{Name: name, Kind: kind, Value: value}
}

// routingClaim is the path of the JWT claim that a header name stands for (VS-MATCH-22); ok is false for other names:
//
//	@request.auth.claims.group.id        group, id
//	@request.auth.claims[group][a.b]     group, a.b
func routingClaim(name string) (path []string, ok bool) {
	switch rest, ok := names.Claim(name); {
	case ok && len(rest) > 1 && rest[0] == '.':
		return strings.Split(rest[1:], "."), true
	case ok && len(rest) > 2 && rest[0] == '[':
		return strings.Split(rest[1:len(rest)-1], "]["), true
	default:
		return nil, false
	}
}

// claimMatch translates a condition on a claim. One without a type matches any value.
func claimMatch(path []string, m *istio.StringMatch, invert bool) plan.ClaimMatch {
	h := headerMatch("", m)
	return plan.ClaimMatch{Path: path, Kind: h.Kind, Value: h.Value, Invert: invert}
}

// stringMatch is the kind and value of a condition; ok is false for one without a type.
func stringMatch(m *istio.StringMatch) (plan.MatchKind, string, bool) {
	switch t := m.GetMatchType().(type) {
	case *istio.StringMatch_Exact:
		return plan.Exact, t.Exact, true
	case *istio.StringMatch_Prefix:
		return plan.Prefix, t.Prefix, true
	case *istio.StringMatch_Regex:
		return plan.Regex, t.Regex, true
	default:
		return plan.Present, "", false
	}
}
