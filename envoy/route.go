package envoy

import (
	"net/http"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushosts "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	previouspriorities "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// Names of Envoy's filters.
const (
	faultFilter  = "envoy.filters.http.fault"
	corsFilter   = "envoy.filters.http.cors"
	routerFilter = "envoy.filters.http.router"
)

// outcomeRoute is the route of one outcome: the rule with the destination that was chosen. A weighted rule keeps the
// form of weighted clusters, with one cluster, because there the destination's header operations run before the rule's
// (VS-HDR-06).
func outcomeRoute(r *plan.Rule, out plan.Outcome, o *Options) *routev3.Route {
	var chosen []plan.Destination
	if r.Route != nil {
		chosen = []plan.Destination{r.Route.Destinations[out.Destination]}
		chosen[0].Weight = 1
	}
	return route(r, chosen, o)
}

// nativeRoute is the rule as Istio emits it: all destinations in one route, its fault in the route's own
// configuration of the fault filter.
func nativeRoute(r *plan.Rule, o *Options) *routev3.Route {
	var all []plan.Destination
	if r.Route != nil {
		all = r.Route.Destinations
	}
	out := route(r, all, o)
	if r.Fault != nil {
		setFilterConfig(out, faultFilter, HTTPFault(r.Fault))
	}
	return out
}

func route(r *plan.Rule, destinations []plan.Destination, o *Options) *routev3.Route {
	out := &routev3.Route{
		Name:                    r.RouteName(),
		Match:                   RouteMatch(&r.Match),
		StatPrefix:              routeStatPrefix(r, destinations, o),
		RequestHeadersToAdd:     headerAdditions(r.RequestHeaders),
		RequestHeadersToRemove:  r.RequestHeaders.Remove,
		ResponseHeadersToAdd:    headerAdditions(r.ResponseHeaders),
		ResponseHeadersToRemove: r.ResponseHeaders.Remove,
	}
	switch {
	case r.Redirect != nil && !r.Redirect.IsExecuted():
		out.Action = &routev3.Route_DirectResponse{DirectResponse: directResponse(&plan.DirectResponse{Status: http.StatusServiceUnavailable})}
	case r.Redirect != nil:
		out.Action = &routev3.Route_Redirect{Redirect: redirect(r.Redirect)}
	case r.DirectResponse != nil:
		out.Action = &routev3.Route_DirectResponse{DirectResponse: directResponse(r.DirectResponse)}
	default:
		out.Action = &routev3.Route_Route{Route: action(r.Route, destinations)}
	}
	if r.CORS != nil {
		setFilterConfig(out, corsFilter, CORSPolicy(r.CORS))
	}
	return out
}

func setFilterConfig(r *routev3.Route, filter string, config proto.Message) {
	if r.TypedPerFilterConfig == nil {
		r.TypedPerFilterConfig = map[string]*anypb.Any{}
	}
	r.TypedPerFilterConfig[filter] = typed(config)
}

// action sends requests to the destinations. The timeout is always written: without one, Envoy's own 15 s would apply
// (VS-TO-01).
func action(a *plan.RouteAction, destinations []plan.Destination) *routev3.RouteAction {
	out := &routev3.RouteAction{
		Timeout:     durationpb.New(a.Timeout),
		RetryPolicy: RetryPolicy(a.Retry),
	}
	//nolint:staticcheck // the successor, max_stream_duration, would switch Timeout off (VS-TO-02)
	out.MaxGrpcTimeout = durationpb.New(a.Timeout)
	if a.Weighted {
		out.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weightedClusters(destinations)}
	} else {
		out.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: destinations[0].Cluster}
	}
	if a.RegexRewrite != nil {
		out.RegexRewrite = &matcherv3.RegexMatchAndSubstitute{Pattern: regex(a.RegexRewrite.Pattern), Substitution: a.RegexRewrite.Substitution}
	} else {
		out.PrefixRewrite = a.PrefixRewrite
	}
	if a.HostRewrite != "" {
		out.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: a.HostRewrite}
	}
	for _, m := range a.Mirrors {
		out.RequestMirrorPolicies = append(out.RequestMirrorPolicies, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster:                       m.Cluster,
			RuntimeFraction:               &corev3.RuntimeFractionalPercent{DefaultValue: percent(plan.Percentage{Numerator: m.Numerator, Denominator: m.Denominator})},
			TraceSampled:                  wrapperspb.Bool(false),
			DisableShadowHostSuffixAppend: true, // VS-MIRROR-04
		})
	}
	out.HashPolicy = HashPolicies(a.HashPolicies)
	return out
}

func weightedClusters(destinations []plan.Destination) *routev3.WeightedCluster {
	out := &routev3.WeightedCluster{}
	for _, d := range destinations {
		c := &routev3.WeightedCluster_ClusterWeight{
			Name:                    d.Cluster,
			Weight:                  wrapperspb.UInt32(d.Weight),
			RequestHeadersToAdd:     headerAdditions(d.RequestHeaders),
			RequestHeadersToRemove:  d.RequestHeaders.Remove,
			ResponseHeadersToAdd:    headerAdditions(d.ResponseHeaders),
			ResponseHeadersToRemove: d.ResponseHeaders.Remove,
		}
		if d.HostRewrite != "" {
			c.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: d.HostRewrite}
		}
		out.Clusters = append(out.Clusters, c)
	}
	return out
}

// HashPolicies are the keys of consistent hashing.
func HashPolicies(policies []plan.HashPolicy) []*routev3.RouteAction_HashPolicy {
	var out []*routev3.RouteAction_HashPolicy
	for _, p := range policies {
		h := &routev3.RouteAction_HashPolicy{}
		switch {
		case p.Header != "":
			h.PolicySpecifier = &routev3.RouteAction_HashPolicy_Header_{Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: p.Header}}
		case p.Cookie != nil:
			c := &routev3.RouteAction_HashPolicy_Cookie{Name: p.Cookie.Name, Path: p.Cookie.Path, Ttl: optionalDuration(p.Cookie.TTL)}
			for _, a := range p.Cookie.Attributes {
				c.Attributes = append(c.Attributes, &routev3.RouteAction_HashPolicy_CookieAttribute{Name: a.Name, Value: a.Value})
			}
			h.PolicySpecifier = &routev3.RouteAction_HashPolicy_Cookie_{Cookie: c}
		case p.Query != "":
			h.PolicySpecifier = &routev3.RouteAction_HashPolicy_QueryParameter_{QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: p.Query}}
		default:
			h.PolicySpecifier = &routev3.RouteAction_HashPolicy_ConnectionProperties_{
				ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: p.SourceIP}}
		}
		out = append(out, h)
	}
	return out
}

// retryHostAttempts is how often another host is looked for before a retry goes to one that was tried (VS-RETRY-01).
const retryHostAttempts = 5

// RetryPolicy is nil where there are no retries.
func RetryPolicy(p *plan.RetryPolicy) *routev3.RetryPolicy {
	if p == nil {
		return nil
	}
	out := &routev3.RetryPolicy{
		RetryOn:                       p.On,
		NumRetries:                    wrapperspb.UInt32(p.Attempts),
		RetriableStatusCodes:          p.StatusCodes,
		HostSelectionRetryMaxAttempts: retryHostAttempts,
	}
	if p.PerTryTimeout > 0 {
		out.PerTryTimeout = durationpb.New(p.PerTryTimeout)
	}
	if p.BaseInterval > 0 {
		out.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{BaseInterval: durationpb.New(p.BaseInterval)}
	}
	if p.PreviousHosts {
		out.RetryHostPredicate = []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: typed(&previoushosts.PreviousHostsPredicate{})},
		}}
	}
	if p.RemoteLocalities {
		out.RetryPriority = &routev3.RetryPolicy_RetryPriority{
			Name:       "envoy.retry_priorities.previous_priorities",
			ConfigType: &routev3.RetryPolicy_RetryPriority_TypedConfig{TypedConfig: typed(&previouspriorities.PreviousPrioritiesConfig{UpdateFrequency: 2})},
		}
	}
	return out
}

var redirectCodes = map[uint32]routev3.RedirectAction_RedirectResponseCode{
	301: routev3.RedirectAction_MOVED_PERMANENTLY,
	302: routev3.RedirectAction_FOUND,
	303: routev3.RedirectAction_SEE_OTHER,
	307: routev3.RedirectAction_TEMPORARY_REDIRECT,
	308: routev3.RedirectAction_PERMANENT_REDIRECT,
}

func redirect(r *plan.Redirect) *routev3.RedirectAction {
	out := &routev3.RedirectAction{HostRedirect: r.Host, PortRedirect: r.Port, ResponseCode: redirectCodes[r.Status]}
	if r.Scheme != "" {
		out.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	switch {
	case r.PrefixRewrite != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: r.PrefixRewrite}
	case r.Path != "":
		out.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: r.Path}
	}
	return out
}

func directResponse(r *plan.DirectResponse) *routev3.DirectResponseAction {
	out := &routev3.DirectResponseAction{Status: r.Status}
	if len(r.Body) > 0 {
		out.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: r.Body}}
	}
	return out
}

func headerAdditions(o plan.HeaderOperations) []*corev3.HeaderValueOption {
	var out []*corev3.HeaderValueOption
	for _, a := range o.Add {
		h := &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: a.Name, Value: a.Value}}
		if a.Overwrite {
			h.AppendAction = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
		}
		out = append(out, h)
	}
	return out
}

func percent(p plan.Percentage) *typev3.FractionalPercent {
	out := &typev3.FractionalPercent{Numerator: p.Numerator}
	if p.Denominator == 1_000_000 {
		out.Denominator = typev3.FractionalPercent_MILLION
	}
	return out
}
