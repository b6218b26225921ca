package suite

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// The format of getyourguide/istio-config-validator: testCases with a request, whose lists are multiplied, and parts of
// an http rule: route, redirect, rewrite, fault, headers, delegate. With wantMatch: true the request must get each part,
// with false, which is the default, none of them.
//
// Keys may be in any case, as that tool reads them. In its first days it had destination: for one destination, and
// isMatch: with the default true. A proposal that it never took has scheme and queryParams in a request; they are read as
// they are meant. Keys that are not known are skipped with a reason: that tool ignores them.
//
// A part is compared by what it does: it is translated as a part of a rule with the match of the rule that took the
// request, and the effects are compared. So port 80 that is left out, weight 100 of an only destination and a code 301 that
// is left out make no difference, whereas that tool compares the text of the configuration.

// validatorCase is a test as istio-config-validator reads it.
type validatorCase struct {
	wantMatch bool
	input     map[string]string // the headers of the request, with names as they are written
	route     []*istio.HTTPRouteDestination
	redirect  *istio.HTTPRedirect
	rewrite   *istio.HTTPRewrite
	fault     *istio.HTTPFaultInjection
	headers   *istio.Headers
	delegate  *istio.Delegate
}

// fold is an object whose keys may be in any case.
func (r *reader) fold(n *yaml.Node, what string) *mapping {
	m := r.object(n, what)
	if m == nil {
		return nil
	}
	values := map[string]*yaml.Node{}
	for _, key := range m.keys {
		if value := m.values[key.Value]; !isNull(value) {
			values[strings.ToLower(key.Value)] = value
		}
	}
	m.values = values
	return m
}

// unread are the keys of an object that a reader does not know.
func (m *mapping) unread(known ...string) (out []string) {
	for _, key := range m.keys {
		if !slices.Contains(known, strings.ToLower(key.Value)) {
			out = append(out, key.Value)
		}
	}
	return out
}

// validator reads a document of the format.
func (r *reader) validator(root *yaml.Node) (out []*Test) {
	m := r.fold(root, "file")
	if m == nil || !m.has("testcases") {
		return nil
	}
	for _, n := range list(m.at("testcases")) {
		if t := r.validatorTest(n); t != nil {
			out = append(out, t)
		}
	}
	return out
}

func (r *reader) validatorTest(n *yaml.Node) *Test {
	m := r.fold(n, "test case")
	if m == nil {
		return nil
	}
	t := &Test{Line: m.node.Line}
	c := &validatorCase{}
	if v := m.at("description"); v != nil {
		t.Name, _ = r.text(v, "description")
	}
	c.wantMatch = m.has("destination") || m.has("ismatch")
	for _, key := range []string{"ismatch", "wantmatch"} {
		if v := m.at(key); v != nil {
			c.wantMatch = r.boolean(v, key)
		}
	}
	if v := m.at("request"); v != nil {
		t.Requests = r.validatorRequests(v, t, c)
	} else {
		r.fail(m.node, "test case %q: request is missing", t.Name)
	}
	for _, key := range m.unread("description", "request", "route", "redirect", "rewrite", "fault", "headers", "delegate", "wantmatch", "ismatch", "destination") {
		t.Skipped = append(t.Skipped, key+": not a key of a test case, so it is ignored, as in istio-config-validator")
	}
	var parts []Check
	if v := m.at("route"); v != nil {
		for _, entry := range list(v) {
			d := &istio.HTTPRouteDestination{}
			r.message(entry, d, "route")
			c.route = append(c.route, d)
		}
		parts = append(parts, routeCheck("route", c.route))
	}
	if v := m.at("destination"); v != nil {
		d := &istio.Destination{}
		r.message(v, d, "destination")
		parts = append(parts, routeCheck("destination", []*istio.HTTPRouteDestination{{Destination: d}}))
	}
	if v := m.at("redirect"); v != nil {
		c.redirect = &istio.HTTPRedirect{}
		r.message(v, c.redirect, "redirect")
		parts = append(parts, redirectCheck(c.redirect))
	}
	if v := m.at("rewrite"); v != nil {
		c.rewrite = &istio.HTTPRewrite{}
		r.message(v, c.rewrite, "rewrite")
		parts = append(parts, rewriteCheck(c.rewrite))
	}
	if v := m.at("fault"); v != nil {
		c.fault = &istio.HTTPFaultInjection{}
		r.message(v, c.fault, "fault")
		parts = append(parts, faultCheck(c.fault))
	}
	if v := m.at("headers"); v != nil {
		c.headers = &istio.Headers{}
		r.message(v, c.headers, "headers")
		parts = append(parts, headersCheck(c.headers))
	}
	if v := m.at("delegate"); v != nil {
		c.delegate = &istio.Delegate{}
		r.message(v, c.delegate, "delegate")
		parts = append(parts, delegateCheck(c.delegate))
	}
	for i := range parts {
		parts[i].Not = !c.wantMatch
	}
	if len(parts) == 0 {
		t.Skipped = append(t.Skipped, "it expects nothing, so it would pass whatever happens: there is no route, redirect, rewrite, fault, headers or delegate")
	}
	t.Checks, t.validator = parts, c
	return t
}

// message reads a message of Istio's API. Fields that are not known are ignored, as in istio-config-validator.
func (r *reader) message(n *yaml.Node, into proto.Message, what string) {
	text, err := toJSON(n)
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, into)
	}
	if err != nil {
		r.fail(n, "%s: %s", what, plainProto(err))
	}
}

// validatorRequests reads a request whose lists are multiplied.
func (r *reader) validatorRequests(n *yaml.Node, t *Test, c *validatorCase) []Request {
	m := r.fold(n, "request")
	if m == nil {
		return nil
	}
	for _, key := range m.unread("authority", "method", "uri", "headers", "scheme", "queryparams") {
		t.Skipped = append(t.Skipped, "request."+key+": not a key of a request, so it is ignored, as in istio-config-validator")
	}
	var p product
	for key, to := range map[string]*[]string{"authority": &p.authorities, "method": &p.methods, "uri": &p.paths} {
		if v := m.at(key); v == nil {
			r.fail(m.node, "request: %s is missing", key)
		} else {
			*to = r.texts(v, "request."+key)
		}
	}
	if v := m.at("headers"); v != nil {
		if headers := r.object(v, "request.headers"); headers != nil {
			c.input = map[string]string{}
			lines := map[string]verdict.Values{}
			for _, key := range headers.keys {
				value, _ := r.text(headers.at(key.Value), "request.headers."+key.Value)
				c.input[key.Value] = value
				lines[strings.ToLower(key.Value)] = verdict.Values{value}
			}
			p.headers = []map[string]verdict.Values{lines}
		}
	}
	if v := m.at("scheme"); v != nil {
		p.common.Scheme, _ = r.text(v, "request.scheme")
	}
	query := ""
	if v := m.at("queryparams"); v != nil {
		query = r.query(v)
	}
	for i, uri := range p.paths {
		p.paths[i] = pathOf(uri, query)
	}
	return p.requests()
}

// query reads query parameters, in their order; one without a value has an empty one.
func (r *reader) query(n *yaml.Node) string {
	m := r.object(n, "request.queryParams")
	if m == nil {
		return ""
	}
	var parts []string
	for _, key := range m.keys {
		value := ""
		if v := m.at(key.Value); !isNull(v) {
			value, _ = r.text(v, "request.queryParams."+key.Value)
		}
		parts = append(parts, url.QueryEscape(key.Value)+"="+url.QueryEscape(value))
	}
	return strings.Join(parts, "&")
}

// pathOf is the path of a request for a uri, which may be a whole address, with a query added.
func pathOf(uri, query string) string {
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		_, path, _ := strings.Cut(rest, "/")
		uri = "/" + path
	}
	if query == "" {
		return uri
	}
	if strings.Contains(uri, "?") {
		return uri + "&" + query
	}
	return uri + "?" + query
}

// routeCheck is the check of destinations.
func routeCheck(field string, route []*istio.HTTPRouteDestination) Check {
	var want []Destination
	for _, d := range route {
		want = append(want, Destination{
			Host: d.GetDestination().GetHost(), Subset: d.GetDestination().GetSubset(), Port: d.GetDestination().GetPort().GetNumber(), Weight: uint32(max(d.GetWeight(), 0)),
		})
	}
	if len(want) == 1 {
		want[0].Weight = 0
	}
	return goesTo(field, want)
}

// asRule is a part of an http rule as it would be translated in the place of the rule that took the request; nil if no rule
// took it.
func asRule(a *answer, part *istio.HTTPRoute) *effect.Rule {
	if a.taken.Rule == nil {
		return nil
	}
	const name = "expected"
	if part.Redirect == nil {
		part.Route = []*istio.HTTPRouteDestination{{Destination: &istio.Destination{Host: name}}}
	}
	o := translate.Options{AssumeDestinations: true}.WithDefaults()
	port := &istio.Port{Number: 80, Name: "http", Protocol: "HTTP"}
	if a.request.TLS {
		port = &istio.Port{Number: 443, Name: "http", Protocol: "HTTP"}
	}
	p, _ := translate.Plan(&resource.Set{
		Gateways: []*resource.Gateway{{
			Object: &resource.Object{Kind: "Gateway", Namespace: name, Name: name},
			Spec:   &istio.Gateway{Selector: o.Labels, Servers: []*istio.Server{{Port: port, Hosts: []string{"*"}}}},
		}},
		VirtualServices: []*resource.VirtualService{{
			Object: &resource.Object{Kind: "VirtualService", Namespace: name, Name: name},
			Spec:   &istio.VirtualService{Hosts: []string{"expected.test"}, Gateways: []string{name}, Http: []*istio.HTTPRoute{part}},
		}},
	}, o)
	for r := range p.Rules() {
		r.Match = a.taken.Rule.Match
		return effect.Of(r)
	}
	return nil
}

// redirectCheck compares status and address of a redirect.
func redirectCheck(want *istio.HTTPRedirect) Check {
	return Check{Field: "redirect", Want: messageJSON(want), look: func(a *answer) (any, bool) {
		r := asRule(a, &istio.HTTPRoute{Redirect: proto.CloneOf(want)})
		if r == nil || a.verdict.Kind != verdict.Redirect {
			return orOutcome(a, a.destinations()), false
		}
		return a.outcome(), int(r.Redirect.Status) == a.verdict.Status && r.Location(a.taken.Request) == a.verdict.Location
	}}
}

// rewriteCheck compares path and authority that the destinations get.
func rewriteCheck(want *istio.HTTPRewrite) Check {
	return Check{Field: "rewrite", Want: messageJSON(want), look: func(a *answer) (any, bool) {
		r := asRule(a, &istio.HTTPRoute{Rewrite: proto.CloneOf(want)})
		if r == nil {
			return a.outcome(), false
		}
		up := r.Upstream(0, a.taken.Request)
		return a.each(func(c *verdict.Cluster) (any, bool) {
			got := map[string]string{"path": c.Upstream.Path, "authority": c.Upstream.Authority}
			return got, c.Upstream.Path == up.Path && c.Upstream.Authority == up.Authority
		})
	}}
}

// faultCheck compares the fault.
func faultCheck(want *istio.HTTPFaultInjection) Check {
	return Check{Field: "fault", Want: messageJSON(want), look: func(a *answer) (any, bool) {
		r := asRule(a, &istio.HTTPRoute{Fault: proto.CloneOf(want)})
		if r == nil {
			return a.outcome(), false
		}
		return a.fault(), reflect.DeepEqual(a.fault(), (&answer{taken: taken{Rule: r.Rule}}).fault())
	}}
}

// headersCheck looks for each operation on headers among those of the rule. More of them do no harm.
func headersCheck(want *istio.Headers) Check {
	return Check{Field: "headers", Want: messageJSON(want), look: func(a *answer) (any, bool) {
		r := asRule(a, &istio.HTTPRoute{Headers: proto.CloneOf(want)})
		if r == nil {
			return a.outcome(), false
		}
		got := a.taken.Rule
		isRewritten := r.Route.HostRewrite == "" || got.Route != nil && r.Route.HostRewrite == got.Route.HostRewrite
		return map[string]plan.HeaderOperations{"request": got.RequestHeaders, "response": got.ResponseHeaders},
			isRewritten && includes(got.RequestHeaders, r.RequestHeaders) && includes(got.ResponseHeaders, r.ResponseHeaders)
	}}
}

// includes reports whether all operations of want are among those of got. Names are compared without regard to case.
func includes(got, want plan.HeaderOperations) bool {
	for _, w := range want.Add {
		if !slices.ContainsFunc(got.Add, func(g plan.HeaderAddition) bool {
			return strings.EqualFold(w.Name, g.Name) && w.Value == g.Value && w.Overwrite == g.Overwrite
		}) {
			return false
		}
	}
	for _, w := range want.Remove {
		if !slices.ContainsFunc(got.Remove, func(g string) bool { return strings.EqualFold(w, g) }) {
			return false
		}
	}
	return true
}

// delegateCheck is the check that the rule is of a delegate: a VirtualService by name and, if it is given, namespace; else
// the namespace is that of the rule that delegates.
func delegateCheck(want *istio.Delegate) Check {
	return Check{Field: "delegate", Want: messageJSON(want), look: func(a *answer) (any, bool) {
		r := a.written()
		if r == nil || r.Root.Kind == "" {
			return a.rule(), false
		}
		namespace := want.Namespace
		if namespace == "" {
			namespace = r.Root.Namespace
		}
		return r.Origin.Key(), r.Origin.Key() == namespace+"/"+want.Name
	}}
}

// messageJSON is a message of Istio's API as it is written in YAML.
func messageJSON(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	if err != nil {
		panic("suite: " + err.Error()) // never: it was read from JSON
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil { // protojson varies white space at random
		panic("suite: " + err.Error())
	}
	return b.Bytes()
}
