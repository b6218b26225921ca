package envoy

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/plan"
)

// labelsOf takes a statistic apart as Envoy does: the first group is cut out, the second is the label's value.
func labelsOf(stat string) (name string, labels map[string]string) {
	labels = map[string]string{}
	cut := make([]bool, len(stat))
	for _, t := range statTags {
		m := regexp.MustCompile(t.regex).FindStringSubmatchIndex(stat)
		if m == nil {
			continue
		}
		value := m[2:4]
		if len(m) > 4 {
			value = m[4:6]
		}
		labels[t.name] = stat[value[0]:value[1]]
		for i := m[2]; i < m[3]; i++ {
			cut[i] = true
		}
	}
	for i := range len(stat) {
		if !cut[i] {
			name += stat[i : i+1]
		}
	}
	return name, labels
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		sentence, stat, name string
		labels               map[string]string
	}{
		{"a rule's requests", "vhost.a.example.com:80.route.;default/a.http[1].match[0]:v1.5;outbound|80|v1|b.default.svc.cluster.local;.upstream_rq_2xx", "vhost.route.upstream_rq_2xx",
			map[string]string{"rule": "default/a.http[1].match[0]:v1.5", "virtualservice": "default/a", "destination": "outbound|80|v1|b.default.svc.cluster.local", "envoy.virtual_host": "a.example.com:80"}},
		{"a delegate's rule belongs to the root", "vhost.a:80.route.;default/a.b+other/c.http[0];outbound|80||d;.upstream_rq_retry", "vhost.route.upstream_rq_retry",
			map[string]string{"rule": "default/a.b+other/c.http[0]", "virtualservice": "default/a.b", "destination": "outbound|80||d", "envoy.virtual_host": "a:80"}},
		{"a host that looks like the rest of the name", "vhost.a.route.b:80.route.;default/a.http[0];outbound|80||d;.upstream_rq_time", "vhost.route.upstream_rq_time",
			map[string]string{"rule": "default/a.http[0]", "virtualservice": "default/a", "destination": "outbound|80||d", "envoy.virtual_host": "a.route.b:80"}},
		{"a rule of Istio's own has no VirtualService", "vhost.allow_any.route.;allow_any;PassthroughCluster;.upstream_rq_2xx", "vhost.route.upstream_rq_2xx",
			map[string]string{"rule": "allow_any", "destination": "PassthroughCluster", "envoy.virtual_host": "allow_any"}},
		{"a native split does not say which destination", "vhost.a:80.route.;default/a.http[0];;.upstream_rq_2xx", "vhost.route.upstream_rq_2xx",
			map[string]string{"rule": "default/a.http[0]", "virtualservice": "default/a", "destination": "", "envoy.virtual_host": "a:80"}},
		{"a statPrefix of the user's", "vhost.a.example.com:80.route.my.stats.upstream_rq_2xx", "vhost.route.upstream_rq_2xx",
			map[string]string{"envoy.virtual_host": "a.example.com:80", "envoy.route": "my.stats"}},
		{"a cluster", "cluster.outbound|80||b.default.svc.cluster.local;.circuit_breakers.default.cx_open", "cluster.circuit_breakers.default.cx_open",
			map[string]string{"envoy.cluster_name": "outbound|80||b.default.svc.cluster.local"}},
		{"the cluster manager is no cluster", "cluster_manager.cds.update_success", "cluster_manager.cds.update_success", map[string]string{}},
		{"a rule of connections", "tcp.default/a.tcp[0];.downstream_cx_total", "tcp.downstream_cx_total", map[string]string{"rule": "default/a.tcp[0]", "virtualservice": "default/a"}},
		{"a connection manager", "http.https.443.web.gw.default;.fault.aborts_injected", "http.fault.aborts_injected", map[string]string{"envoy.http_conn_manager_prefix": "https.443.web.gw.default"}},
		{"the admin interface", "http.admin.downstream_rq_total", "http.downstream_rq_total", map[string]string{"envoy.http_conn_manager_prefix": "admin"}},
		{"a connection manager of a listener", "listener.0.0.0.0_80.http.http.80;.downstream_rq_2xx", "listener.0.0.0.0_80.http.downstream_rq_2xx", map[string]string{"envoy.http_conn_manager_prefix": "http.80"}},
		{"routes from a file", "http.http.80;.rds.http.80.update_rejected", "http.rds.update_rejected", map[string]string{"envoy.http_conn_manager_prefix": "http.80", "envoy.rds_route_config": "http.80"}},
		{"a filter's configuration", "extension_config_discovery.http_filter.waymark.http.80.config_fail", "extension_config_discovery.http_filter.config_fail", map[string]string{"envoy.http_conn_manager_prefix": "http.80"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			name, labels := labelsOf(c.stat)
			assert.Equal(t, c.name, name)
			assert.Equal(t, c.labels, labels)
		})
	}
}

func TestRouteStatPrefix(t *testing.T) {
	rule := func(change func(*plan.Rule)) *plan.Rule {
		r := &plan.Rule{Origin: plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.EntryPath("http", 0)}, Name: "one;two", Route: &plan.RouteAction{}}
		change(r)
		return r
	}
	one := []plan.Destination{{Cluster: "outbound|80||b"}}
	for _, c := range []struct {
		sentence     string
		rule         *plan.Rule
		destinations []plan.Destination
		off          bool
		want         string
	}{
		{"rule and destination; a semicolon of the user's ends nothing", rule(func(*plan.Rule) {}), one, false, ";default/a.http[0]:one_two;outbound|80||b;"},
		{"a list of routes has all destinations in one", rule(func(*plan.Rule) {}), append(one, one...), false, ";default/a.http[0]:one_two;;"},
		{"what the user says counts (VS-STAT-05)", rule(func(r *plan.Rule) { r.StatPrefix = "mine" }), one, false, "mine"},
		{"and also where the others are left out", rule(func(r *plan.Rule) { r.StatPrefix = "mine" }), one, true, "mine"},
		{"left out", rule(func(*plan.Rule) {}), one, true, ""},
		{"nothing is counted where nothing goes upstream", rule(func(r *plan.Rule) { r.Route, r.Redirect = nil, &plan.Redirect{} }), nil, false, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			assert.Equal(t, c.want, routeStatPrefix(c.rule, c.destinations, &Options{NoRouteStats: c.off}))
		})
	}
}

// Envoy warns of a second expression for a label before it tries whether it fits.
func TestOneExpressionForALabel(t *testing.T) {
	seen := map[[2]string]bool{}
	for _, s := range statTags {
		word := regexp.MustCompile(`^\^(\w+)\\\.`).FindStringSubmatch(s.regex)
		if assert.NotNil(t, word, "%s is tried on every statistic", s.regex) {
			assert.False(t, seen[[2]string{s.name, word[1]}], s.regex)
			seen[[2]string{s.name, word[1]}] = true
		}
	}
}
