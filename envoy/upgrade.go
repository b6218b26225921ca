package envoy

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// allowedUpgrade is the one protocol that a client may change to, as in Istio (GW-HCM-07).
const allowedUpgrade = "websocket"

// refusedUpgrades is what a map of outcomes falls back to: a route for requests to change to another protocol than a
// websocket, and none for all others.
//
// Envoy decides about upgrades before any filter runs, and it refuses one (403) only if a route is known by then. In a map
// of outcomes there is none before the filter has written, so every upgrade would be forwarded to the upstream, and what
// the client sends after the upstream's 101 would pass every rule. This route is there for Envoy to find. It is never
// executed, since Envoy refuses first; if it were, it would forward nothing.
//
// Requests without an upgrade still have no route before the filter has written: they are answered as if this were not
// here. The order of checks is that of ConnectionManagerImpl::ActiveStream::decodeHeaders (conn_manager_impl.cc).
func refusedUpgrades() *xdsmatcherv3.Matcher {
	anything := headerPredicate("upgrade", &xdsmatcherv3.StringMatcher{MatchPattern: &xdsmatcherv3.StringMatcher_SafeRegex{SafeRegex: &xdsmatcherv3.RegexMatcher{
		EngineType: &xdsmatcherv3.RegexMatcher_GoogleRe2{GoogleRe2: &xdsmatcherv3.RegexMatcher_GoogleRE2{}}, Regex: `\C*`, // any bytes: a dot takes no others than UTF-8 before Envoy 1.39
	}}})
	allowed := headerPredicate("upgrade", &xdsmatcherv3.StringMatcher{MatchPattern: &xdsmatcherv3.StringMatcher_Exact{Exact: allowedUpgrade}, IgnoreCase: true})
	not := &xdsmatcherv3.Matcher_MatcherList_Predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher{NotMatcher: allowed}}
	return &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: &xdsmatcherv3.Matcher_MatcherList{
		Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
			Predicate: &xdsmatcherv3.Matcher_MatcherList_Predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher{
				AndMatcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: []*xdsmatcherv3.Matcher_MatcherList_Predicate{anything, not}},
			}},
			OnMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{Action: &xdscorev3.TypedExtensionConfig{
				Name: "route",
				TypedConfig: typed(&routev3.Route{
					Name:   "refused-upgrade",
					Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
					Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 403}},
				}),
			}}},
		}},
	}}}
}
