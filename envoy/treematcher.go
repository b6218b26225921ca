package envoy

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"waymark.dev/waymark/plan"
)

// treeWriter writes a tree as Envoy has it. A rule that stands in several lists is built once.
type treeWriter struct {
	options *Options
	routes  map[*plan.Rule]*routev3.Route
}

// matcher is the tree of a virtual host as Envoy's matcher. Its node is a division.
func (n *node) matcher(o *Options) *xdsmatcherv3.Matcher {
	w := &treeWriter{o, map[*plan.Rule]*routev3.Route{}}
	return w.division(n)
}

// onMatch is what follows a key.
func (w *treeWriter) onMatch(n *node) *xdsmatcherv3.Matcher_OnMatch {
	if n.rules == nil {
		return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: w.division(n)}}
	}
	action := &xdscorev3.TypedExtensionConfig{Name: "route"}
	if len(n.rules) == 1 {
		action.TypedConfig = typed(w.route(n.rules[0]))
	} else {
		list := &routev3.RouteList{}
		for _, r := range n.rules {
			list.Routes = append(list.Routes, w.route(r))
		}
		action.TypedConfig = typed(list)
	}
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{Action: action}}
}

func (w *treeWriter) route(r *plan.Rule) *routev3.Route {
	if w.routes[r] == nil {
		w.routes[r] = nativeRoute(r, w.options)
	}
	return w.routes[r]
}

// division looks a value up in a map. If it could be several values, a comma in it is looked for first.
func (w *treeWriter) division(n *node) *xdsmatcherv3.Matcher {
	keys := &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: make(map[string]*xdsmatcherv3.Matcher_OnMatch, len(n.keys))}
	for text, at := range n.keys {
		keys.Map[text] = w.onMatch(at)
	}
	tree := &xdsmatcherv3.Matcher_MatcherTree{Input: headerInput(n.subject)}
	if n.exact {
		tree.TreeType = &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{ExactMatchMap: keys}
	} else {
		tree.TreeType = &xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap{PrefixMatchMap: keys}
	}
	found := &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: tree}}
	if n.rest != nil {
		found.OnNoMatch = w.onMatch(n.rest)
	}
	if n.repeated == nil {
		return found
	}
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: &xdsmatcherv3.Matcher_MatcherList{
			Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
				Predicate: headerPredicate(n.subject, &xdsmatcherv3.StringMatcher{MatchPattern: &xdsmatcherv3.StringMatcher_Contains{Contains: ","}}),
				OnMatch:   w.onMatch(n.repeated),
			}},
		}},
		OnNoMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: found}},
	}
}

// headerInput is a header as Envoy's matcher sees it: its values joined by commas.
func headerInput(name string) *xdscorev3.TypedExtensionConfig {
	return &xdscorev3.TypedExtensionConfig{Name: "header", TypedConfig: typed(&matcherv3.HttpRequestHeaderMatchInput{HeaderName: name})}
}

// headerPredicate compares a header as [headerInput] has it.
func headerPredicate(name string, m *xdsmatcherv3.StringMatcher) *xdsmatcherv3.Matcher_MatcherList_Predicate {
	return &xdsmatcherv3.Matcher_MatcherList_Predicate{MatchType: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
		SinglePredicate: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
			Input:   headerInput(name),
			Matcher: &xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: m},
		},
	}}
}
