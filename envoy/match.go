package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// RouteMatch is the match of a rule as Envoy's router evaluates it, the way Istio emits it.
func RouteMatch(m *plan.Match) *routev3.RouteMatch {
	out := &routev3.RouteMatch{}
	if !m.Unconditional {
		out.CaseSensitive = wrapperspb.Bool(!m.Path.IgnoreCase)
	}
	switch m.Path.Kind {
	case plan.Exact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path.Value}
	case plan.Separated:
		out.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: m.Path.Value}
	case plan.Regex:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(m.Path.Value)}
	case plan.Prefix:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: m.Path.Value}
	default:
		out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, headerMatcher(h))
	}
	for _, q := range m.Query {
		p := &routev3.QueryParameterMatcher{Name: q.Name}
		if s := stringMatcher(q.Kind, q.Value); s != nil {
			p.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: s}
		} else {
			p.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}
		}
		out.QueryParameters = append(out.QueryParameters, p)
	}
	for _, c := range m.Claims {
		out.DynamicMetadata = append(out.DynamicMetadata, claimMatcher(c))
	}
	return out
}

// claimMatcher compares what a JWT filter found: a value, or one of a list of values.
func claimMatcher(c plan.ClaimMatch) *matcherv3.MetadataMatcher {
	out := &matcherv3.MetadataMatcher{Filter: "envoy.filters.http.jwt_authn", Invert: c.Invert}
	for _, key := range append([]string{"payload"}, c.Path...) {
		out.Path = append(out.Path, &matcherv3.MetadataMatcher_PathSegment{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: key}})
	}
	value := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true}}
	if s := stringMatcher(c.Kind, c.Value); s != nil {
		value.MatchPattern = &matcherv3.ValueMatcher_StringMatch{StringMatch: s}
	}
	list := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{
		MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: value},
	}}}
	out.Value = &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{OrMatch: &matcherv3.OrMatcher{
		ValueMatchers: []*matcherv3.ValueMatcher{list, value},
	}}}
	return out
}

func headerMatcher(h plan.HeaderMatch) *routev3.HeaderMatcher {
	out := &routev3.HeaderMatcher{Name: h.Name, InvertMatch: h.Invert, TreatMissingHeaderAsEmpty: h.MissingAsEmpty}
	if s := stringMatcher(h.Kind, h.Value); s != nil {
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: s}
	} else {
		out.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
	}
	return out
}

// stringMatcher is nil for a test of presence.
func stringMatcher(kind plan.MatchKind, value string) *matcherv3.StringMatcher {
	switch kind {
	case plan.Exact:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: value}}
	case plan.Prefix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: value}}
	case plan.Regex:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(value)}}
	default:
		return nil
	}
}

// regex carries no engine: RE2 is the only one, and naming it is deprecated.
func regex(pattern string) *matcherv3.RegexMatcher { return &matcherv3.RegexMatcher{Regex: pattern} }
