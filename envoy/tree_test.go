package envoy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/internal/envoymodel"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/plan"
)

// hostOf is a virtual host of rules: "=/a" is a whole path, "/a" a prefix, "~/a" an expression, followed by conditions on
// headers: "x=1" is a whole value, "x^1" a prefix, "x~1" an expression, "x" a presence, "!x=1" the negation.
func hostOf(rules ...string) *plan.VirtualHost {
	h := &plan.VirtualHost{Name: "a:80", Domains: []string{"a"}}
	for i, text := range rules {
		r := &plan.Rule{Origin: plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.Path{List: "http", Index: i}}, DirectResponse: &plan.DirectResponse{Status: 200}}
		path, conditions, _ := strings.Cut(text, " ")
		r.Match.Path = plan.PathMatch{Kind: plan.Prefix, Value: path}
		switch {
		case path == "":
			r.Match.Path = plan.PathMatch{}
		case path[0] == '=':
			r.Match.Path = plan.PathMatch{Kind: plan.Exact, Value: path[1:]}
		case path[0] == '~':
			r.Match.Path = plan.PathMatch{Kind: plan.Regex, Value: path[1:]}
		}
		for _, c := range strings.Fields(conditions) {
			x := plan.HeaderMatch{Invert: c[0] == '!'}
			c = strings.TrimPrefix(c, "!")
			x.Name = c
			for sign, kind := range map[string]plan.MatchKind{"=": plan.Exact, "^": plan.Prefix, "~": plan.Regex} {
				if name, value, ok := strings.Cut(c, sign); ok {
					x.Name, x.Kind, x.Value = name, kind, value
				}
			}
			r.Match.Headers = append(r.Match.Headers, x)
		}
		r.Seal()
		h.Rules = append(h.Rules, r)
	}
	return h
}

// free are costs with which every division that leaves rules out is made.
var free = &Costs{Path: 1, Separated: 1, Regex: 1, Header: 1, Query: 1}

// describe writes a node: the rules of a list by their numbers, or what is looked up, its keys, what is left, and what a
// repeated header gets.
func (n *node) describe() string {
	if n.rules != nil {
		var numbers []int
		for _, r := range n.rules {
			numbers = append(numbers, r.Origin.Path.Index)
		}
		return fmt.Sprint(numbers)
	}
	parts := []string{n.subject}
	if n.exact {
		parts[0] += "="
	}
	for _, key := range sortedKeys(n.keys) {
		parts = append(parts, key+" "+n.keys[key].describe())
	}
	if n.rest != nil {
		parts = append(parts, "else "+n.rest.describe())
	}
	if n.repeated != nil {
		parts = append(parts, "repeated "+n.repeated.describe())
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func TestTrees(t *testing.T) {
	for what, c := range map[string]struct {
		rules []string
		want  string
	}{
		"prefixes": {[]string{"/a/", "/b/"}, "{:path, /a/ [0], /b/ [1]}"},
		"a shorter prefix goes to every longer one": {[]string{"/api/v2", "/api", "/b"}, "{:path, /api [1], /api/v2 [0 1], /b [2]}"},
		"a catch-all goes everywhere":               {[]string{"/b/1", "/c/2", "/"}, "{:path, / [2], /b/1 [0 2], /c/2 [1 2]}"},
		"few keys below a catch-all are one":        {[]string{"/b/1", "/b/2", "/c/2", "/"}, "{:path, / [3], /b/ [0 1 3], /c/2 [2 3]}"},
		"a prefix of a prefix, and an expression":   {[]string{"/api/v2", "/api", "~/api/v[0-9]+/x"}, "{:path, /api [1], /api/v [0 1 2]}"},
		"an expression by its beginning":            {[]string{"~/a/[0-9]+", "/b"}, "{:path, /a/ [0], /b [1]}"},
		"an expression without one goes everywhere": {[]string{"~.*x", "/a", "/b"}, "{:path, / [0 1 2], else [0]}"},
		"a path with a query":                       {[]string{"=/a?x", "/b"}, "{:path, /a [0], /b [1]}"},
		"whole values of a header":                  {[]string{"/a x=1", "/a x=2"}, "{x=, 1 [0], 2 [1], repeated [0 1]}"},
		"beginnings of a header":                    {[]string{"/a x^1", "/a x~2.*"}, "{x, 1 [0], 2 [1], repeated [0 1]}"},
		"negations and presence need no value":      {[]string{"/a x=1", "/a x=2", "/a !x=1", "/a x"}, "{x=, 1 [0 2 3], 2 [1 2 3], else [2 3], repeated [0 1 2 3]}"},
		"a path, then a header":                     {[]string{"/a x=1", "/a x=2", "/b"}, "{:path, /a {x=, 1 [0], 2 [1], repeated [0 1]}, /b [2]}"},
		"a repeated header is divided by the others": {[]string{"/a x=1 y=1", "/a x=2 y=2", "/a x=3 y=2"},
			"{x=, 1 [0], 2 [1], 3 [2], repeated {y=, 1 [0], 2 [1 2], repeated [0 1 2]}}"},
		"a pseudo-header is not repeated": {[]string{"/a :method=GET", "/a :method=PUT"}, "{:method=, GET [0], PUT [1]}"},
		"nothing to divide by":            {[]string{"~.*x", "~.*y"}, "[0 1]"},
	} {
		t.Run(what, func(t *testing.T) {
			h := hostOf(c.rules...)
			tree, _ := newTree(h, len(h.Rules), free, &Options{Minor: version.Newest})
			if tree == nil {
				assert.Equal(t, c.want, (&node{rules: h.Rules}).describe())
				return
			}
			assert.Equal(t, c.want, tree.root.describe())
		})
	}
}

// asList is a virtual host with its routes in a list.
func asList(h *plan.VirtualHost, o *Options) *routev3.VirtualHost {
	out := &routev3.VirtualHost{Name: "list", Domains: []string{"*"}}
	for _, r := range h.Rules {
		out.Routes = append(out.Routes, nativeRoute(r, o))
	}
	return out
}

// compared counts what was compared.
type compared struct{ met, repeated, trees, deep int }

// compare makes rules and requests of data. Envoy must choose the rule that the filter chooses, in a list and in a tree; both
// are modelled in plain Go.
func (n *compared) compare(t testing.TB, data []byte, requests int) {
	s := routingtest.NewSource(data)
	c, plain := s.Rules()
	minor, ok := envoymodel.VersionOf(c, plain.Encoding)
	if !ok {
		return
	}
	o := &Options{Minor: minor}
	var as [3]struct{ list, tree *routev3.VirtualHost }
	for i := range c.VirtualHosts {
		h := routingtest.VirtualHost(c, i)
		as[i].list = asList(h, o)
		tree, _ := newTree(h, len(h.Rules), free, o)
		if tree == nil || validate(as[i].list) != nil { // such as a rule for the path "?", which would not be packed
			continue
		}
		as[i].tree = &routev3.VirtualHost{Matcher: tree.matcher()}
		n.trees++
		if tree.size().Levels > 2 {
			n.deep++
		}
	}
	model := envoymodel.New(o.Behaviour())
	for range requests {
		r := s.Request()
		i, _ := plain.Decide(r)
		if !r.HasPath || i < 0 || as[i].tree == nil { // Envoy has a route for no request without a path
			continue
		}
		want := plain.Outcome(r)
		asked := fmt.Sprintf("%s %s%s %v", r.Method, r.Authority, r.Path, r.Headers)
		require.Equal(t, want, model.Route(as[i].list, r).GetName(), "a list: %s", asked)
		require.Equal(t, want, model.Route(as[i].tree, r).GetName(), "a tree: %s\n%v", asked, as[i].tree)
		if want != "" {
			n.met++
		}
		names := map[string]bool{}
		for _, line := range r.Headers {
			if names[line.Name] {
				n.repeated++
			}
			names[line.Name] = true
		}
	}
}

func TestTreesMeanTheSame(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	var n compared
	for range 3_500 {
		n.compare(t, routingtest.Noise(dice, 6000), 40)
	}
	t.Logf("%+v", n)
	assert.Greater(t, n.met, 10_000)
	assert.Greater(t, n.repeated, 10_000)
	assert.Greater(t, n.deep, 1_000)
}

// FuzzDecide looks for rules and requests for which a tree means something else. testdata/fuzz/FuzzDecide leads to the folder
// of routing's FuzzDecide, which holds the filter against the same plain rules.
func FuzzDecide(f *testing.F) {
	f.Add(routingtest.Noise(rand.New(rand.NewPCG(1, 1)), 3000))
	f.Fuzz(func(t *testing.T, data []byte) { new(compared).compare(t, data, 8) })
}

// TestTreesOfTheShapes holds large trees against lists, on the shapes of rules for which decisions are measured.
func TestTreesOfTheShapes(t *testing.T) {
	const rules = 600
	n := 0
	for i := range routingtest.Shapes {
		shape := &routingtest.Shapes[i]
		c := shape.Config(rules)
		if len(c.VirtualHosts) > 1 {
			continue // a host for each rule
		}
		o := &Options{Minor: version.Newest}
		h := routingtest.VirtualHost(c, 0)
		tree, _ := newTree(h, len(h.Rules), &measured, o)
		if tree == nil {
			continue
		}
		n++
		size := tree.size()
		assert.LessOrEqual(t, size.Routes, maxCopies*rules+moreCopies, shape.Name)
		assert.LessOrEqual(t, size.Longest, 25, shape.Name)
		model, list, as := envoymodel.New(o.Behaviour()), asList(h, o), &routev3.VirtualHost{Matcher: tree.matcher()}
		for k := range rules {
			r := shape.Request(k)
			want := model.Route(list, r).GetName()
			require.NotEmpty(t, want, "%s %d", shape.Name, k)
			require.Equal(t, want, model.Route(as, r).GetName(), "%s %d", shape.Name, k)
		}
	}
	assert.GreaterOrEqual(t, n, 9)
}

// TestCopiesAreBounded: rules that can all match together need more copies than there may be, or longer lists than one tries
// as fast as one asks the filter.
func TestCopiesAreBounded(t *testing.T) {
	nested, crossed, everywhere := []string{}, []string{}, []string{}
	for i := range 2000 {
		nested = append(nested, "/"+strings.Repeat("a", i))
		crossed = append(crossed, fmt.Sprintf("/%d/ x=%d y=%d", i%40, i/40, i%7))
		everywhere = append(everywhere, fmt.Sprintf("/p%d/", i), fmt.Sprintf("~.*x%d", i))
	}
	for what, rules := range map[string][]string{"nested": nested, "crossed": crossed, "everywhere": everywhere} {
		h := hostOf(rules...)
		tree, _ := newTree(h, len(h.Rules), &measured, &Options{Minor: version.Newest})
		if tree != nil {
			assert.LessOrEqual(t, tree.size().Routes, maxCopies*len(rules)+moreCopies, what)
		}
	}
	heavy := hostOf("/a/", "/b/", "/c/", "/d/", "/e/", "/f/", "/")
	heavy.Rules[6].DirectResponse.Body = make([]byte, 20_000)
	many := hostOf(nested[:1000]...)
	for i := range many.Rules {
		many.Rules[i].Match.Path.Value = fmt.Sprintf("/p%d/", i)
	}
	many.Rules = append(many.Rules, heavy.Rules[6])
	tree, _ := newTree(many, len(many.Rules), &measured, &Options{Minor: version.Newest})
	require.NotNil(t, tree)
	w := proto.Size(tree.matcher())
	assert.Less(t, w, 1_000_000, "a route of 20 kB is not copied a thousand times")
}
