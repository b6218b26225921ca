package envoy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
			tree, _ := newTree(h, free, &Options{Minor: version.Newest})
			if tree == nil {
				assert.Equal(t, c.want, (&node{rules: h.Rules}).describe())
				return
			}
			assert.Equal(t, c.want, tree.describe())
		})
	}
}

// asTree is a virtual host with its tree, or nil if it has none.
func asTree(h *plan.VirtualHost, costs *Costs, o *Options) (*routev3.VirtualHost, *node) {
	tree, _ := newTree(h, costs, o)
	if tree == nil {
		return nil, nil
	}
	return &routev3.VirtualHost{Matcher: tree.matcher(o)}, tree
}

// asList is a virtual host with its routes in a list.
func asList(h *plan.VirtualHost, o *Options) *routev3.VirtualHost {
	out := &routev3.VirtualHost{}
	for _, r := range h.Rules {
		out.Routes = append(out.Routes, nativeRoute(r, o))
	}
	return out
}

// TestTreesMeanTheSame holds trees against lists and against a plain implementation of the filter's rules, on rules and
// requests made by chance.
func TestTreesMeanTheSame(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	found, trees, deep, repeated := 0, 0, 0, 0
	for range 4_000 {
		s := routingtest.NewSource(routingtest.Noise(dice, 6000))
		c, plain := s.Rules()
		minor, ok := envoymodel.VersionOf(c, plain.Encoding)
		if !ok {
			continue
		}
		o := &Options{Minor: minor}
		var as [3]struct{ list, tree *routev3.VirtualHost }
		for i := range c.VirtualHosts {
			h := routingtest.VirtualHost(c, i)
			as[i].list = asList(h, o)
			var tree *node
			if as[i].tree, tree = asTree(h, free, o); tree != nil {
				trees++
				if tree.size().Levels > 2 {
					deep++
				}
			}
		}
		model := envoymodel.New(o.Behaviour())
		for range 40 {
			r := s.Request()
			if !r.HasPath {
				continue // Envoy has a route for no request without a path
			}
			i, _ := plain.Decide(r)
			if i < 0 || as[i].tree == nil {
				continue
			}
			want := plain.Outcome(r)
			require.Equal(t, want, model.Route(as[i].list, r).GetName(), "a list: %+v", r)
			require.Equal(t, want, model.Route(as[i].tree, r).GetName(), "a tree: %+v\n%v", r, as[i].tree)
			if want != "" {
				found++
			}
			names := map[string]bool{}
			for _, line := range r.Headers {
				if names[line.Name] {
					repeated++
				}
				names[line.Name] = true
			}
		}
	}
	t.Logf("%d requests met a rule, %d repeated a header; %d trees, %d of them with three levels or more", found, repeated, trees, deep)
	assert.Greater(t, found, 10_000)
	assert.Greater(t, repeated, 10_000)
	assert.Greater(t, deep, 100)
}
