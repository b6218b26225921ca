package verdict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
)

// A request without a port is decided on every listener that has its host, and one with a port on every listener of that
// port, of which a plan for several proxies may have more than one. Where all of them agree, that is the verdict; where
// they do not, the verdict is Differs and has theirs.

// noHost are the kinds of verdicts of a listener that does not have the host, or does not look at it.
var noHost = []Kind{NoVirtualHost, NoFilterChain, TLSError, TCP}

// has reports whether a listener has the host of a request, by its verdict.
func (v *Verdict) has() bool {
	return v.named || !v.empty && !v.isOther() && !slices.Contains(noHost, v.Kind)
}

// isOther reports whether a request was taken by the virtual host of a sidecar for hosts that are not known.
func (v *Verdict) isOther() bool {
	return v.Domain == "*" && v.rule != nil && v.rule.VirtualService() == ""
}

// onAll decides a request on several listeners.
func (j *Judge) onAll(listeners []*plan.Listener, r Request) *Verdict {
	var having []*Verdict
	var lacking *Verdict // if no listener has the host: of the first that could, else of the first
	for _, l := range listeners {
		r.GatewayPort = l.Port
		v := j.On(l, r)
		switch {
		case v.has():
			having = append(having, v)
		case lacking == nil, !lacking.isOther() && v.isOther(), v.Kind == NoVirtualHost && lacking.Kind != NoVirtualHost && !lacking.isOther():
			lacking = v
		}
	}
	switch {
	case len(having) == 0 && lacking == nil:
		return &Verdict{Name: r.Name, Kind: NoListener, there: listed(j.plan.Listeners)}
	case len(having) == 0:
		if !lacking.isOther() && lacking.Kind != TCP {
			lacking.there = listed(j.plan.Listeners)
		}
		return lacking
	}
	for _, v := range having[1:] {
		if !agree(having[0], v) {
			for _, v := range having {
				v.GatewayPort, v.Proxy = v.listener.Port, v.listener.Proxy
			}
			return &Verdict{Name: r.Name, Kind: Differs, Listeners: having}
		}
	}
	for _, v := range having[1:] {
		if port := fmt.Sprint(v.listener.Port); v.listener.Port != having[0].listener.Port && !slices.Contains(having[0].alike, port) {
			having[0].alike = append(having[0].alike, port)
		}
	}
	return having[0]
}

// agree reports whether two listeners do the same with a request. Each has names and indexes of its own.
func agree(a, b *Verdict) bool {
	return string(essence(*a)) == string(essence(*b))
}

func essence(v Verdict) []byte {
	v.RouteConfig, v.Domain, v.Proxy = "", "", ""
	if v.Route != nil {
		r := *v.Route
		r.Index = 0
		v.Route = &r
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic("verdict: " + err.Error()) // never: it is printed as JSON
	}
	return text
}

// mostListed bounds the listeners, and the hosts of each, that a text names.
const mostListed = 4

// listed names listeners by their ports, with their hosts.
func listed(all []*plan.Listener) string {
	if len(all) == 0 {
		return "there are no listeners"
	}
	parts := make([]string, len(all))
	for i, l := range all {
		var hosts []string
		for _, c := range l.Chains {
			if c.Routes == nil {
				hosts = append(hosts, c.ServerNames...)
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				hosts = append(hosts, h.Domains[:min(1, len(h.Domains))]...) // a service has many, which mean the same
			}
		}
		parts[i] = fmt.Sprint(l.Port)
		if len(hosts) > 0 {
			parts[i] += " (" + some(hosts) + ")"
		}
	}
	return "the listeners are " + some(parts)
}

// some are the first of some texts, and how many more there are.
func some(texts []string) string {
	if more := len(texts) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:mostListed], ", "), more)
	}
	return strings.Join(texts, ", ")
}
