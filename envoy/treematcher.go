package envoy

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// matcher is the tree as Envoy's matcher.
func (t *tree) matcher() *xdsmatcherv3.Matcher { return t.division(t.root) }

// onMatch is what follows a key.
func (t *tree) onMatch(n *node) *xdsmatcherv3.Matcher_OnMatch {
	if n.rules == nil {
		return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: t.division(n)}}
	}
	action := &xdscorev3.TypedExtensionConfig{Name: "route"}
	if len(n.rules) == 1 {
		action.TypedConfig = typed(t.routes[n.rules[0]])
	} else {
		list := &routev3.RouteList{}
		for _, r := range n.rules {
			list.Routes = append(list.Routes, t.routes[r])
		}
		action.TypedConfig = typed(list)
	}
	return &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{Action: action}}
}

// division looks a value up in a map. If it could be several values, a comma in it is looked for first.
func (t *tree) division(n *node) *xdsmatcherv3.Matcher {
	keys := &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: make(map[string]*xdsmatcherv3.Matcher_OnMatch, len(n.keys))}
	for text, at := range n.keys {
		keys.Map[text] = t.onMatch(at)
	}
	lookUp := &xdsmatcherv3.Matcher_MatcherTree{Input: headerInput(n.subject)}
	if n.exact {
		lookUp.TreeType = &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{ExactMatchMap: keys}
	} else {
		lookUp.TreeType = &xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap{PrefixMatchMap: keys}
	}
	found := &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: lookUp}}
	if n.rest != nil {
		found.OnNoMatch = t.onMatch(n.rest)
	}
	if n.repeated == nil {
		return found
	}
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherList_{MatcherList: &xdsmatcherv3.Matcher_MatcherList{
			Matchers: []*xdsmatcherv3.Matcher_MatcherList_FieldMatcher{{
				Predicate: headerPredicate(n.subject, &xdsmatcherv3.StringMatcher{MatchPattern: &xdsmatcherv3.StringMatcher_Contains{Contains: ","}}),
				OnMatch:   t.onMatch(n.repeated),
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
