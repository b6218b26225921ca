package envoy

import (
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"waymark.dev/waymark/plan"
)

// paths are the keys of a tree: whole paths, and beginnings of which the longest that fits is taken.
type paths struct {
	exact, prefix map[string]*plan.Rule
}

// pathTree puts the rules of a virtual host into a tree by path, or returns the reason why that would not mean the same.
//
// Envoy takes the longest key that fits, Istio the first rule that matches. After rules that can never be reached are
// left out, both are the same: of two prefixes that fit, the longer one stands first, or it would never be reached.
//
//	/api/v2   -> two      the request /api/v2/x has both prefixes; the first rule that matches is also the longest key
//	/api      -> one
//	/api/v2/y -> dead     never reached behind /api, so no key; as a key it would be the longest
//
// The hard case is a whole path. Envoy compares keys with path and query together, so the whole path /a is two keys:
// "/a" as a whole, and "/a?" as a beginning, which no other path has. A whole path that no prefix of the tree covers is
// one key, a beginning: where it is the longest that fits and the path goes on, the route's own match fails, and
// no other rule could match.
func pathTree(h *plan.VirtualHost) (*paths, string) {
	t := &paths{map[string]*plan.Rule{}, map[string]*plan.Rule{}}
	known := map[string]bool{} // prefixes that are reached
	lengths := 0               // the longest of them
	covered := func(path string) bool {
		for i := range min(len(path), lengths) + 1 {
			if known[path[:i]] {
				return true
			}
		}
		return false
	}
	whole := map[string]*plan.Rule{}
	var order []string
	for _, r := range h.Rules {
		p := r.Match.Path
		switch {
		case len(r.Match.Headers)+len(r.Match.Query)+len(r.Match.Claims) > 0:
			return nil, r.String() + " matches on more than a path"
		case p.Kind == plan.Regex || p.Kind == plan.Separated || p.IgnoreCase:
			return nil, r.String() + " matches on more than the beginning or the whole of a path"
		case strings.ContainsAny(p.Value, "?#"):
			continue // no path has these: never reached
		case p.Kind == plan.Exact:
			if whole[p.Value] == nil && !covered(p.Value) {
				whole[p.Value] = r
				order = append(order, p.Value)
			}
		default:
			prefix := p.Value
			if p.Kind == plan.Present {
				prefix = "/"
			}
			if covered(prefix) {
				continue
			}
			known[prefix] = true
			lengths = max(lengths, len(prefix))
			t.prefix[prefix] = r
		}
	}
	for _, path := range order {
		if !covered(path) {
			t.prefix[path] = whole[path]
			continue
		}
		t.exact[path] = whole[path]
		t.prefix[path+"?"] = whole[path]
	}
	if t.prefix[""] != nil {
		return nil, "an empty prefix is not a valid key of a tree"
	}
	if len(t.prefix) == 0 {
		return nil, "there is nothing to find"
	}
	return t, ""
}

// matcher is the tree as Envoy has it: whole paths first, then beginnings.
func (t *paths) matcher(o *Options) *xdsmatcherv3.Matcher {
	beginnings := &xdsmatcherv3.Matcher{MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
		Input:    pathInput(),
		TreeType: &xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap{PrefixMatchMap: &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: nativeActions(t.prefix, o)}},
	}}}
	if len(t.exact) == 0 {
		return beginnings
	}
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
			Input:    pathInput(),
			TreeType: &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{ExactMatchMap: &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: nativeActions(t.exact, o)}},
		}},
		OnNoMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: beginnings}},
	}
}

func pathInput() *xdscorev3.TypedExtensionConfig {
	return &xdscorev3.TypedExtensionConfig{Name: "path", TypedConfig: typed(&matcherv3.HttpRequestHeaderMatchInput{HeaderName: ":path"})}
}

func nativeActions(rules map[string]*plan.Rule, o *Options) map[string]*xdsmatcherv3.Matcher_OnMatch {
	out := make(map[string]*xdsmatcherv3.Matcher_OnMatch, len(rules))
	for key, r := range rules {
		out[key] = &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
			Action: &xdscorev3.TypedExtensionConfig{Name: "route", TypedConfig: typed(nativeRoute(r, o))},
		}}
	}
	return out
}
