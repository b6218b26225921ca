package suite

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// The format of Envoy's router_check_tool, in YAML, JSON and the text format of protocol buffers. What Istio's routes do not
// have is skipped with a reason: runtime, dynamic metadata and virtual clusters.
//
// What is compared is what that tool compares (router.cc): cluster, virtual host, host and path after the rewrite are "" of
// a request that has no destination, and path_redirect is "" of one that is neither redirected nor answered directly.
// Header matches look at the headers after all operations of the rule. The cluster of a split is that for random_value: the
// remainder by the sum of the weights, counted through the destinations in their order.

// routerCheckTest is a test of the format.
type routerCheckTest struct {
	Name  string `json:"test_name"`
	Input struct {
		Authority       string            `json:"authority"`
		Path            string            `json:"path"`
		Method          string            `json:"method"`
		Random          uint64            `json:"random_value,string"`
		SSL             bool              `json:"ssl"`
		Runtime         string            `json:"runtime"`
		OldHeaders      []routerHeader    `json:"additional_headers"`
		RequestHeaders  []routerHeader    `json:"additional_request_headers"`
		ResponseHeaders []routerHeader    `json:"additional_response_headers"`
		Metadata        []json.RawMessage `json:"dynamic_metadata"`
	} `json:"input"`
	Validate struct {
		Cluster         *string           `json:"cluster_name"`
		VirtualCluster  *string           `json:"virtual_cluster_name"`
		VirtualHost     *string           `json:"virtual_host_name"`
		HostRewrite     *string           `json:"host_rewrite"`
		PathRewrite     *string           `json:"path_rewrite"`
		PathRedirect    *string           `json:"path_redirect"`
		CodeRedirect    *int              `json:"code_redirect"`
		Timeout         *string           `json:"timeout"`
		OldFields       []routerHeader    `json:"header_fields"`
		CustomFields    []routerHeader    `json:"custom_header_fields"`
		RequestFields   []routerHeader    `json:"request_header_fields"`
		ResponseFields  []routerHeader    `json:"response_header_fields"`
		RequestMatches  []json.RawMessage `json:"request_header_matches"`
		ResponseMatches []json.RawMessage `json:"response_header_matches"`
	} `json:"validate"`
}

type routerHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// routerCheck reads a document in YAML or JSON.
func (r *reader) routerCheck(root *yaml.Node) (out []*Test) {
	if root.Kind == yaml.SequenceNode {
		root = ofFirstForm(root)
	}
	m := r.object(root, "file")
	if m == nil || !m.has("tests") {
		return nil
	}
	r.known(root, validation, "file")
	for _, n := range list(m.at("tests")) {
		text, err := toJSON(n)
		item := dynamicpb.NewMessage(validation.Fields().ByName("tests").Message())
		if err == nil {
			err = protojson.Unmarshal(text, item)
		}
		if err != nil {
			if len(r.findings) == 0 { // else the message is about the same
				r.fail(n, "test: %s", plainProto(err))
			}
			continue
		}
		out = append(out, r.routerCheckTest(item, n))
	}
	return out
}

// ofFirstForm turns a file of the tool's first form, of before 2019, into one of today's: a list without a name, in which
// pseudo-headers have their colon, a header's name is its field, and a method that is left out is GET.
func ofFirstForm(tests *yaml.Node) *yaml.Node {
	text := func(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value} }
	for _, test := range list(tests) {
		eachValue(test, func(part, of *yaml.Node) {
			hasMethod := false
			eachValue(of, func(key, value *yaml.Node) {
				key.Value = strings.TrimPrefix(key.Value, ":")
				hasMethod = hasMethod || key.Value == "method"
				for _, header := range list(value) {
					eachValue(header, func(key, _ *yaml.Node) {
						if key.Value == "field" {
							key.Value = "key"
						}
					})
				}
			})
			if part.Value == "input" && !hasMethod {
				of.Content = append(of.Content, text("method"), text("GET"))
			}
		})
	}
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("tests"), tests}, Line: tests.Line, Column: tests.Column}
}

// eachValue visits the keys of an object with their values.
func eachValue(n *yaml.Node, visit func(key, value *yaml.Node)) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		visit(resolve(n.Content[i]), resolve(n.Content[i+1]))
	}
}

// plainProto is an error of package protobuf without what it says of itself and of places in a text that nobody sees.
func plainProto(err error) string {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	return protoPlace.ReplaceAllString(text, "")
}

var protoPlace = regexp.MustCompile(`\(line (\d+):(\d+)\): `)

// known reports the keys that a message does not have.
func (r *reader) known(n *yaml.Node, message protoreflect.MessageDescriptor, what string) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode || strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
		return // another kind of value is refused later
	}
	var names []string
	for i := range message.Fields().Len() {
		names = append(names, string(message.Fields().Get(i).Name()))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		f := message.Fields().ByName(protoreflect.Name(key.Value))
		if f == nil {
			f = message.Fields().ByJSONName(key.Value)
		}
		switch {
		case f == nil:
			r.fail(key, "%s: the key %q is not known%s", what, key.Value, resource.DidYouMean(key.Value, names))
		case f.Message() != nil && !f.IsMap():
			for _, entry := range list(resolve(n.Content[i+1])) {
				r.known(entry, f.Message(), key.Value)
			}
		}
	}
}

// routerCheckText reads a file in the text format of protocol buffers. Its tests are on the lines of their names.
func (r *reader) routerCheckText(text string) (out []*Test) {
	all := dynamicpb.NewMessage(validation)
	if err := prototext.Unmarshal([]byte(text), all); err != nil {
		at := &yaml.Node{Line: 1, Column: 1}
		if place := protoPlace.FindStringSubmatch(err.Error()); place != nil {
			at.Line, _ = strconv.Atoi(place[1]) // digits
			at.Column, _ = strconv.Atoi(place[2])
		}
		r.fail(at, "%s", plainProto(err))
		return nil
	}
	tests := all.Get(validation.Fields().ByName("tests")).List()
	line := 0
	lines := strings.Split(text, "\n")
	for i := range tests.Len() {
		for line++; line < len(lines) && !strings.Contains(lines[line-1], "test_name"); {
			line++
		}
		out = append(out, r.routerCheckTest(tests.Get(i).Message().Interface().(*dynamicpb.Message), &yaml.Node{Line: line, Column: 1}))
	}
	return out
}

// routerCheckTest makes a test of a message, which is at a node.
func (r *reader) routerCheckTest(item *dynamicpb.Message, at *yaml.Node) *Test {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(item)
	var in routerCheckTest
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err != nil {
		panic("suite: " + err.Error()) // never: the struct is the schema's
	}
	t := &Test{Name: in.Name, Line: at.Line}
	for _, field := range []struct{ name, value string }{
		{"test_name", in.Name}, {"input.authority", in.Input.Authority}, {"input.path", in.Input.Path}, {"input.method", in.Input.Method},
	} {
		if field.value == "" {
			r.fail(at, "test %q: %s is missing", in.Name, field.name)
		}
	}
	q := Request{Secure: in.Input.SSL}
	q.Authority, q.Path, q.Method = in.Input.Authority, in.Input.Path, in.Input.Method
	var lines [][2]string
	for _, h := range slices.Concat(in.Input.OldHeaders, in.Input.RequestHeaders) {
		lines = append(lines, [2]string{h.Key, h.Value})
	}
	q.SetHeaders(lines)
	t.Requests = []Request{q}
	switch {
	case in.Input.Runtime != "":
		t.Skipped = append(t.Skipped, "input.runtime: Istio's routes have none")
	case len(in.Input.Metadata) > 0:
		t.Skipped = append(t.Skipped, "input.dynamic_metadata: Istio's routes do not match metadata")
	default:
		t.Checks = r.routerChecks(&in, t, at)
		if len(t.Checks) == 0 && len(t.Skipped) == 0 {
			t.Skipped = append(t.Skipped, "validate: it names nothing, so the test would pass whatever happens")
		}
	}
	return t
}

// routerChecks are the checks of a test.
func (r *reader) routerChecks(in *routerCheckTest, t *Test, at *yaml.Node) (out []Check) {
	v, random := &in.Validate, in.Input.Random
	add := func(name string, want *string, look func(a *answer) string) {
		if want != nil {
			out = append(out, Check{Field: "validate." + name, Want: *want, look: func(a *answer) (any, bool) {
				got := look(a)
				return got, got == *want
			}})
		}
	}
	add("cluster_name", v.Cluster, func(a *answer) string {
		if c, _ := a.chosen(random); c != nil {
			return c.Name
		}
		return ""
	})
	if v.Cluster != nil {
		out[0].reaches = func(a *answer) []int {
			if c, i := a.chosen(random); c != nil {
				return []int{i}
			}
			return nil
		}
	}
	if name := v.VirtualCluster; name != nil && *name != "" {
		t.Skipped = append(t.Skipped, "validate.virtual_cluster_name: Istio's routes have no virtual clusters")
	} else {
		add("virtual_cluster_name", name, func(*answer) string { return "" })
	}
	add("virtual_host_name", v.VirtualHost, func(a *answer) string {
		if c, _ := a.chosen(random); c != nil && a.taken.Host != nil {
			return a.taken.Host.Name
		}
		return ""
	})
	add("host_rewrite", v.HostRewrite, func(a *answer) string {
		if c, _ := a.chosen(random); c != nil {
			return c.Upstream.Authority
		}
		return ""
	})
	add("path_rewrite", v.PathRewrite, func(a *answer) string {
		if c, _ := a.chosen(random); c != nil {
			return c.Upstream.Path
		}
		return ""
	})
	add("path_redirect", v.PathRedirect, (*answer).newURI)
	if want := v.CodeRedirect; want != nil {
		out = append(out, Check{Field: "validate.code_redirect", Want: *want, look: func(a *answer) (any, bool) {
			got := 0
			if a.isRedirected() || a.verdict.Kind == verdict.DirectResponse {
				got = a.verdict.Status
			}
			return got, got == *want
		}})
	}
	if v.Timeout != nil {
		want, err := time.ParseDuration(*v.Timeout)
		if err != nil {
			panic("suite: " + err.Error()) // never: it was written by package protobuf
		}
		out = append(out, timesOut("validate.timeout", want))
	}
	for _, f := range []struct {
		name    string
		fields  []routerHeader
		matches []json.RawMessage
		headers func(*answer) effect.Headers
	}{
		{"request_header", slices.Concat(v.OldFields, v.CustomFields, v.RequestFields), v.RequestMatches, func(a *answer) effect.Headers { return a.requestHeaders(random) }},
		{"response_header", v.ResponseFields, v.ResponseMatches, func(a *answer) effect.Headers { return a.responseHeaders(random, in.Input.ResponseHeaders) }},
	} {
		for _, h := range f.fields {
			add(f.name+"_fields."+h.Key, &h.Value, func(a *answer) string {
				value, _ := headerValue(f.headers(a), h.Key)
				return value
			})
		}
		for _, text := range f.matches {
			m := &route.HeaderMatcher{}
			if err := protojson.Unmarshal(text, m); err != nil {
				panic("suite: " + err.Error()) // never: it was written by package protobuf
			}
			match, err := headerMatcher(m)
			if err != nil {
				r.fail(at, "test %q: validate.%s_matches: header %s: %v", t.Name, f.name, m.GetName(), err)
				continue
			}
			out = append(out, Check{Field: "validate." + f.name + "_matches." + m.GetName(), Want: text, look: func(a *answer) (any, bool) {
				value, there := headerValue(f.headers(a), m.GetName())
				if !there {
					return nil, match(nil)
				}
				return value, match(&value)
			}})
		}
	}
	return out
}

// chosen is the destination for a random value, and its index; nil for a request without one. Envoy takes the remainder by
// the sum of the weights, and counts the destinations in their order (WeightedClusterSpecifierPlugin).
func (a *answer) chosen(random uint64) (*verdict.Cluster, int) {
	if a.verdict.Kind != verdict.Route || len(a.verdict.Clusters) == 0 {
		return nil, 0
	}
	var sum uint64
	for _, c := range a.verdict.Clusters {
		sum += uint64(c.Weight)
	}
	random %= max(sum, 1)
	for i := range a.verdict.Clusters {
		c := &a.verdict.Clusters[i]
		if random < uint64(c.Weight) {
			return c, i
		}
		random -= uint64(c.Weight)
	}
	return nil, math.MaxInt // never: the remainder is below the sum
}

// newURI is the address of a redirect, or of a direct response, for which Envoy computes the address of the request; else "".
func (a *answer) newURI() string {
	switch {
	case a.isRedirected():
		return a.verdict.Location
	case a.verdict.Kind == verdict.DirectResponse:
		q := a.taken.Request
		same := effect.Of(&plan.Rule{Redirect: &plan.Redirect{}})
		return same.Location(q)
	default:
		return ""
	}
}

// requestHeaders are the headers that the destination gets, with pseudo-headers.
func (a *answer) requestHeaders(random uint64) effect.Headers {
	out := effect.Headers{}
	received := a.taken.Request
	for name, value := range map[string]string{":method": received.Method, ":scheme": received.Scheme, ":authority": received.Authority, ":path": received.Path} {
		out[name] = []string{value}
	}
	c, _ := a.chosen(random)
	if c == nil {
		for name, values := range received.Headers {
			out[name] = values
		}
		return out
	}
	for name, values := range c.Upstream.Headers {
		out[name] = values
	}
	out[":authority"], out[":path"] = []string{c.Upstream.Authority}, []string{c.Upstream.Path}
	return out
}

// responseHeaders are the headers that the client gets, for those that the destination sends.
func (a *answer) responseHeaders(random uint64, sent []routerHeader) effect.Headers {
	headers := effect.Headers{}
	for _, h := range sent {
		name := strings.ToLower(h.Key)
		headers[name] = append(headers[name], h.Value)
	}
	rule := a.taken.Rule
	if rule == nil {
		return headers
	}
	if c, i := a.chosen(random); c != nil {
		return a.response(i, headers)
	}
	if d := rule.DirectResponse; d != nil {
		for name, values := range ownHeaders(d) {
			headers[name] = values
		}
	}
	out := a.response(-1, headers)
	if a.isRedirected() {
		out["location"] = []string{a.verdict.Location}
	}
	return out
}

// headerValue is the value of a header: repeated ones are joined by commas.
func headerValue(headers effect.Headers, name string) (string, bool) {
	values := headers[strings.ToLower(name)]
	return strings.Join(slices.Clone(values), ","), len(values) > 0
}
