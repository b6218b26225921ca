package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// What is served is told at the start: hosts, rules, objects that have no effect, a request to try, the admin interface.

// mostNamed bounds the names in an entry of the log.
const mostNamed = 5

// named are the first of some names, and how many more there are.
func named(names []string) string {
	if more := len(names) - mostNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// hostsOf are the hosts that have rules, each once, in order. Of a host with several names it is the first.
func hostsOf(p *plan.Plan) []string {
	var out []string
	seen := map[string]bool{}
	for rc := range p.RouteConfigs() {
		for _, h := range rc.VirtualHosts {
			if name := hostName(h); (len(h.Rules) > 0 || h.RequireTLS) && !seen[name] {
				seen[name] = true
				out = append(out, name)
			}
		}
	}
	return out
}

func hostName(h *plan.VirtualHost) string {
	if len(h.Domains) == 0 {
		return h.Name
	}
	return h.Domains[0]
}

// reportServed writes what a plan serves, and how to try it.
func (r *service) reportServed() {
	hosts, rules := hostsOf(r.plan), 0
	for range r.plan.Rules() {
		rules++
	}
	text := "no host has a rule; requests get 404"
	if len(hosts) > 0 {
		text = fmt.Sprintf("serving %s with %s: %s", diag.Count(len(hosts), "host", "hosts"), diag.Count(rules, "rule", "rules"), named(hosts))
	}
	r.log.Info(text, "hosts", len(hosts), "rules", rules)
	r.reportUnbound(nil)
	if try := tryIt(r.plan, r.engine.address); try != "" {
		r.log.Info("try: " + try)
	}
	if admin := r.engine.admin(); admin != "" {
		r.log.Info("the admin interface of Envoy is " + admin)
	}
}

// reportUnbound writes which objects have no effect, but for those that were told before.
func (r *service) reportUnbound(before []unbound) {
	told := map[unbound]bool{}
	for _, u := range before {
		told[u] = true
	}
	byReason := map[string][]string{}
	var reasons []string
	for _, u := range r.in.unbound {
		if told[u] {
			continue
		}
		if byReason[u.why] == nil {
			reasons = append(reasons, u.why)
		}
		byReason[u.why] = append(byReason[u.why], u.object)
	}
	for _, why := range reasons {
		r.log.Warn(why+": "+named(byReason[why]), "objects", len(byReason[why]))
	}
}

// unbound is an object that has no effect on this proxy.
type unbound struct{ object, why string }

// The reasons. What a user chose with --gateway is not one.
const (
	whyNoRules  = "no VirtualService names these Gateways, so they have no rules"
	whyNotBound = "no Gateway of this proxy serves these VirtualServices"
	whyNoHost   = "these VirtualServices share no host with a server of their Gateways"
	whyNotMesh  = "these VirtualServices have no effect on this sidecar"
)

// unboundOf finds the Gateways without rules, and the VirtualServices that nothing serves, but for those whose names have a
// finding, which says more.
func unboundOf(set *resource.Set, p *plan.Plan, o translate.Options, findings diag.Findings) []unbound {
	misnamed := map[string]bool{}
	for _, f := range findings {
		if f.Code == translate.CodeNoGateway || f.Code == translate.CodeNoServer {
			misnamed[f.About.String()] = true
		}
	}
	var out []unbound
	left := map[string]bool{} // Gateways and VirtualServices, as Kind namespace/name
	for _, d := range p.Dropped {
		if d.Origin.Path.List != "" {
			continue
		}
		object := d.Origin.Kind + " " + d.Origin.Key()
		left[object] = true
		if d.Origin.Kind != "VirtualService" || misnamed[object] {
			continue
		}
		switch {
		case o.Proxy == translate.SidecarProxy:
			out = append(out, unbound{object, whyNotMesh})
		case o.Gateway != "" && d.Code == plan.DropNotBound:
		case d.Code == plan.DropNoHost:
			out = append(out, unbound{object, whyNoHost})
		default:
			out = append(out, unbound{object, whyNotBound})
		}
	}
	if o.Proxy == translate.SidecarProxy {
		return out
	}
	referred := map[string]bool{}
	for _, vs := range set.VirtualServices {
		for _, name := range names.GatewaysOf(vs.Spec) {
			referred[names.GatewayKey(name, vs.Namespace)] = true
		}
	}
	for _, gw := range set.Gateways {
		if object := "Gateway " + gw.Key(); !left[object] && !referred[gw.Key()] {
			out = append(out, unbound{object, whyNoRules})
		}
	}
	return out
}

// tryIt is a line with curl for the first request that curl can send to a plan; "" where there is none.
func tryIt(p *plan.Plan, address func(*plan.Listener) string) string {
	encrypted := ""
	for _, l := range p.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			host, path := firstRequest(c.Routes)
			if host == "" {
				continue
			}
			ip, port, err := net.SplitHostPort(address(l))
			if err != nil {
				continue
			}
			if a, err := netip.ParseAddr(ip); err == nil && a.IsUnspecified() {
				ip = "127.0.0.1"
			}
			at := net.JoinHostPort(ip, port)
			if c.TLS == nil {
				return fmt.Sprintf("curl -i -H %s %s", quoted("Host: "+host), quoted("http://"+at+path))
			}
			if encrypted == "" { // the server name is the host's
				encrypted = fmt.Sprintf("curl -ik --connect-to ::%s %s", at, quoted("https://"+net.JoinHostPort(host, port)+path))
			}
		}
	}
	return encrypted
}

// quoted is a word for a shell. Hosts and paths of rules may have anything in them.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// firstRequest is a request for a rule that needs nothing but a host and a path, the first with a destination if there is
// one. Where every rule needs more, it is one to the first host.
func firstRequest(rc *plan.RouteConfig) (host, path string) {
	answered := false // without a destination
	for _, h := range rc.VirtualHosts {
		name := strings.Replace(hostName(h), "*", "any", 1)
		for _, r := range h.Rules {
			m := &r.Match
			simple := len(m.Headers)+len(m.Query)+len(m.Claims) == 0 && m.Path.Kind != plan.Regex
			at := "/"
			if simple && strings.HasPrefix(m.Path.Value, "/") {
				at = m.Path.Value
			}
			switch {
			case simple && r.Route != nil:
				return name, at
			case simple && !answered, host == "":
				host, path, answered = name, at, simple
			}
		}
	}
	return host, path
}
