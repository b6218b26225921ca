package envoy

import (
	"strings"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// The names of Envoy's statistics are words between dots. What is variable in them, such as the name of a cluster, is cut
// out by a regular expression and becomes a label. Clusters, rules and routes have dots in their names, so where such a
// name ends cannot be seen. Istio's proxies have the same trouble and the same way out: a semicolon, which none of these
// names has, closes it.
//
//	cluster.outbound|9080|v1|reviews.default.svc.cluster.local;.upstream_cx_active
//	http.http.8080;.downstream_rq_2xx
//	vhost.reviews.example.com:8080.route.;default/reviews.http[1]:split;outbound|9080|v1|reviews.default.svc.cluster.local;.upstream_rq_2xx
const statDelimiter = ";"

// StatName is a name as it stands in the names of statistics.
func StatName(name string) string {
	return strings.ReplaceAll(name, statDelimiter, "_") + statDelimiter
}

// routeStatPrefix makes Envoy count the requests of a rule by destination. A statPrefix of the VirtualService is left
// alone (VS-STAT-05). Envoy counts nothing for redirects and direct responses, so they have none. A native route with several
// destinations counts them as one, without a destination.
func routeStatPrefix(r *plan.Rule, destinations []plan.Destination, o *Options) string {
	switch {
	case r.StatPrefix != "" || len(destinations) == 0 || o.NoRouteStats:
		return r.StatPrefix
	case len(destinations) == 1:
		return statDelimiter + StatName(r.RouteName()) + StatName(destinations[0].Cluster)
	default:
		return statDelimiter + StatName(r.RouteName()) + StatName("")
	}
}

// statTags are the labels. The first group of an expression is what is cut out, the second the label's value. An
// expression that begins with a word is tried on statistics that begin with it alone; of two with one label and one first
// word, Envoy warns.
var statTags = []struct{ name, regex string }{
	{"rule", `^vhost\.[^;]*\.route\.(;([^;]*);)`},
	{"rule", `^tcp\.(([^;]*);\.)`},
	{"virtualservice", `^vhost\.[^;]*\.route\.;([^;+]*?)(?:\+[^;]*?)?\.http\[`},
	{"virtualservice", `^tcp\.([^;]*?)\.(?:tcp|tls)\[`},
	{"destination", `^vhost\.[^;]*\.route\.;[^;]*;(([^;]*);\.)`},
	{"envoy.cluster_name", `^cluster\.(([^;]*);\.)`},
	{"envoy.virtual_host", `^vhost\.(([^;]*)\.)route\.`},
	{"envoy.route", `^vhost\.[^;]*?\.route\.(([^;]+?)\.)\w+$`}, // a statPrefix of the VirtualService's own
	{"envoy.rds_route_config", `^http\.[^;]*;\.rds\.((.*?)\.)\w+$`},
	{"envoy.http_conn_manager_prefix", `^http\.((admin|async-client|[^;]*);?\.)`},
	{"envoy.http_conn_manager_prefix", `^listener\..*?\.http\.(([^;]*);\.)`},
	{"envoy.http_conn_manager_prefix", `^extension_config_discovery\.http_filter\.(` + filterName + `\.(.*?)\.)\w+$`},
}

// knownStatTags are Envoy's own labels of which its own expressions are good.
var knownStatTags = []string{
	"envoy.response_code", "envoy.response_code_class", "envoy.listener_address", "envoy.worker_id", "envoy.http_user_agent", "envoy.ssl_cipher",
}

// unusedRouteStats are counters that Envoy makes for every rule, used or not, and that its clusters have as well. With
// 10,000 rules they are half of what statistics cost.
const unusedRouteStats = `vhost\.[^;]*\.route\.;.*\.upstream_rq_(?:total|retry_overflow|retry_limit_exceeded)`

// statsConfig makes labels of what is variable in the names of statistics.
func statsConfig() *metricsv3.StatsConfig {
	out := &metricsv3.StatsConfig{
		UseAllDefaultTags: wrapperspb.Bool(false),
		StatsMatcher: &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_ExclusionList{ExclusionList: &matcherv3.ListStringMatcher{
			Patterns: []*matcherv3.StringMatcher{{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(unusedRouteStats)}}},
		}}},
	}
	for _, name := range knownStatTags {
		out.StatsTags = append(out.StatsTags, &metricsv3.TagSpecifier{TagName: name})
	}
	for _, t := range statTags {
		out.StatsTags = append(out.StatsTags, &metricsv3.TagSpecifier{TagName: t.name, TagValue: &metricsv3.TagSpecifier_Regex{Regex: t.regex}})
	}
	return out
}
