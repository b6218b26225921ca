// Package envoymodel says which route of a virtual host Envoy takes for a request, in plain Go: its matcher, with maps,
// predicates and nested matchers, and the match of each route. Only tests use it; a test holds it against real Envoys.
//
// The rules of the matcher are those of Envoy's source/common/matcher and source/common/router/config_impl.cc:
//
//	exact map     a miss, and a key whose matcher finds nothing, go on to on_no_match
//	prefix map    the longest key that fits; a key whose matcher finds nothing goes on to the next shorter one, then to
//	              on_no_match
//	list          the first entry whose predicate is met and whose matcher finds something, then on_no_match
//	action        a route, or a list of routes of which the first that matches is taken; it ends the search, also if no
//	              route matches
//
// The hard case is a header that is repeated: inputs of the matcher join the values by commas in every version, the match
// of a route compares them one by one from Envoy 1.39 on.
package envoymodel

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// Model is an Envoy of one version. It must not be used by two goroutines at the same time.
type Model struct {
	behaviour version.Behaviour
	regexes   map[string]*regexp.Regexp
	routes    map[string][]*routev3.Route // of actions, by their bytes
}

// New returns the model of an Envoy.
func New(behaviour version.Behaviour) *Model {
	return &Model{behaviour, map[string]*regexp.Regexp{}, map[string][]*routev3.Route{}}
}

// VersionOf returns a version of Envoy that reads requests as a configuration of the filter says, whose expressions are of an
// encoding; ok is false if there is none.
func VersionOf(c *routing.Config, encoding regex.Encoding) (minor int, ok bool) {
	for minor = version.Newest; minor >= version.Oldest; minor-- {
		b := version.Of(minor)
		if b.RepeatedHeadersJoined == (c.RepeatedHeaders == routing.RepeatedHeadersJoined) && b.RegexReadsUTF8 == (encoding == regex.UTF8) {
			return minor, true
		}
	}
	return 0, false
}

// Route returns the route that a request to a virtual host takes, or nil. It panics at a configuration that it does not know,
// which is a fault of the test. Conditions on metadata find none.
func (m *Model) Route(h *routev3.VirtualHost, r *routing.Request) *routev3.Route {
	if h.GetMatcher() == nil {
		return m.first(h.GetRoutes(), r)
	}
	action, found := m.matcher(h.GetMatcher(), r)
	if !found {
		return nil
	}
	return m.first(action, r)
}

func (m *Model) first(routes []*routev3.Route, r *routing.Request) *routev3.Route {
	for _, route := range routes {
		if m.Matches(route.GetMatch(), r) {
			return route
		}
	}
	return nil
}

// matcher returns the routes of the action that a matcher leads to, if it leads to one.
func (m *Model) matcher(x *xdsmatcherv3.Matcher, r *routing.Request) (routes []*routev3.Route, found bool) {
	switch x.GetMatcherType().(type) {
	case *xdsmatcherv3.Matcher_MatcherTree_:
		tree := x.GetMatcherTree()
		if value, has := m.input(tree.GetInput().GetTypedConfig(), r); has {
			if on := tree.GetExactMatchMap().GetMap()[value]; on != nil {
				routes, found = m.onMatch(on, r)
			}
			for _, key := range slices.SortedFunc(maps.Keys(tree.GetPrefixMatchMap().GetMap()), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
				if !found && strings.HasPrefix(value, key) {
					routes, found = m.onMatch(tree.GetPrefixMatchMap().GetMap()[key], r)
				}
			}
		}
	case *xdsmatcherv3.Matcher_MatcherList_:
		for _, entry := range x.GetMatcherList().GetMatchers() {
			if !found && m.predicate(entry.GetPredicate(), r) {
				routes, found = m.onMatch(entry.GetOnMatch(), r)
			}
		}
	default:
		panic(fmt.Sprintf("envoymodel: matcher %v", x))
	}
	if !found && x.GetOnNoMatch() != nil {
		return m.onMatch(x.GetOnNoMatch(), r)
	}
	return routes, found
}

func (m *Model) onMatch(on *xdsmatcherv3.Matcher_OnMatch, r *routing.Request) (routes []*routev3.Route, found bool) {
	if inner := on.GetMatcher(); inner != nil {
		return m.matcher(inner, r)
	}
	packed := on.GetAction().GetTypedConfig()
	key := packed.GetTypeUrl() + string(packed.GetValue())
	if routes, found = m.routes[key]; found {
		return routes, true
	}
	message, err := packed.UnmarshalNew()
	if err != nil {
		panic("envoymodel: " + err.Error())
	}
	switch message := message.(type) {
	case *routev3.Route:
		routes = []*routev3.Route{message}
	case *routev3.RouteList:
		routes = message.GetRoutes()
	default:
		panic(fmt.Sprintf("envoymodel: action %T", message))
	}
	m.routes[key] = routes
	return routes, true
}

// input is the value of an input of the matcher, and whether there is one.
func (m *Model) input(config *anypb.Any, r *routing.Request) (value string, has bool) {
	var header matcherv3.HttpRequestHeaderMatchInput
	if err := config.UnmarshalTo(&header); err != nil {
		panic("envoymodel: " + err.Error())
	}
	values := values(r, header.GetHeaderName())
	return strings.Join(values, ","), len(values) > 0
}

func (m *Model) predicate(p *xdsmatcherv3.Matcher_MatcherList_Predicate, r *routing.Request) bool {
	switch p.GetMatchType().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher:
		return !m.predicate(p.GetNotMatcher(), r)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher:
		return !slices.ContainsFunc(p.GetAndMatcher().GetPredicate(), func(p *xdsmatcherv3.Matcher_MatcherList_Predicate) bool { return !m.predicate(p, r) })
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_:
		value, has := m.input(p.GetSinglePredicate().GetInput().GetTypedConfig(), r)
		return has && m.text(p.GetSinglePredicate().GetValueMatch(), value)
	default:
		panic(fmt.Sprintf("envoymodel: predicate %v", p))
	}
}

func (m *Model) text(s *xdsmatcherv3.StringMatcher, value string) bool {
	switch pattern := s.GetMatchPattern().(type) {
	case *xdsmatcherv3.StringMatcher_Exact:
		if s.GetIgnoreCase() {
			return lower(value) == lower(pattern.Exact)
		}
		return value == pattern.Exact
	case *xdsmatcherv3.StringMatcher_Contains:
		return strings.Contains(value, pattern.Contains)
	case *xdsmatcherv3.StringMatcher_SafeRegex:
		return m.regex(pattern.SafeRegex.GetRegex(), value)
	default:
		panic(fmt.Sprintf("envoymodel: string %v", s))
	}
}

// Matches reports whether a request meets the match of a route.
func (m *Model) Matches(match *routev3.RouteMatch, r *routing.Request) bool {
	if !r.HasPath {
		return false
	}
	for _, h := range match.GetHeaders() {
		if !m.header(h, r) {
			return false
		}
	}
	for _, q := range match.GetQueryParameters() {
		if !m.query(q, r.Path) {
			return false
		}
	}
	for _, d := range match.GetDynamicMetadata() {
		if !d.GetInvert() {
			return false
		}
	}
	return m.path(match, r.Path)
}

func (m *Model) path(match *routev3.RouteMatch, path string) bool {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	fold := func(s string) string { return s }
	if match.GetCaseSensitive() != nil && !match.GetCaseSensitive().GetValue() {
		fold = lower
	}
	switch pattern := match.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Path:
		return fold(path) == fold(pattern.Path)
	case *routev3.RouteMatch_Prefix:
		return strings.HasPrefix(fold(path), fold(pattern.Prefix))
	case *routev3.RouteMatch_PathSeparatedPrefix:
		rest, has := strings.CutPrefix(fold(path), fold(pattern.PathSeparatedPrefix))
		return has && (rest == "" || rest[0] == '/')
	case *routev3.RouteMatch_SafeRegex:
		return m.regex(pattern.SafeRegex.GetRegex(), path)
	default:
		panic(fmt.Sprintf("envoymodel: path %v", match))
	}
}

func (m *Model) header(h *routev3.HeaderMatcher, r *routing.Request) bool {
	values := values(r, h.GetName())
	if h.GetPresentMatch() {
		return (len(values) > 0) != h.GetInvertMatch()
	}
	if len(values) == 0 {
		return h.GetTreatMissingHeaderAsEmpty() && m.routeText(h.GetStringMatch(), "") != h.GetInvertMatch()
	}
	if m.behaviour.RepeatedHeadersJoined {
		values = []string{strings.Join(values, ",")}
	}
	return slices.ContainsFunc(values, func(v string) bool { return m.routeText(h.GetStringMatch(), v) }) != h.GetInvertMatch()
}

func (m *Model) query(q *routev3.QueryParameterMatcher, path string) bool {
	_, text, _ := strings.Cut(path, "?")
	for _, param := range strings.Split(text, "&") {
		if name, value, _ := strings.Cut(param, "="); param != "" && name == q.GetName() {
			return q.GetPresentMatch() || m.routeText(q.GetStringMatch(), value)
		}
	}
	return false
}

func (m *Model) routeText(s *matcherv3.StringMatcher, value string) bool {
	switch pattern := s.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return value == pattern.Exact
	case *matcherv3.StringMatcher_Prefix:
		return strings.HasPrefix(value, pattern.Prefix)
	case *matcherv3.StringMatcher_SafeRegex:
		return m.regex(pattern.SafeRegex.GetRegex(), value)
	default:
		panic(fmt.Sprintf("envoymodel: string %v", s))
	}
}

// regex compares a whole value with a pattern. Bytes that are not read as UTF-8 are characters of their own.
func (m *Model) regex(pattern, value string) bool {
	x := m.regexes[pattern]
	if x == nil {
		text := strings.ReplaceAll(pattern, `\C`, `(?s:.)`) // Go has no name for any byte
		if !m.behaviour.RegexReadsUTF8 {
			text = latin1(text)
		}
		x = regexp.MustCompile(`\A(?:` + text + `)\z`)
		m.regexes[pattern] = x
	}
	if !m.behaviour.RegexReadsUTF8 {
		value = latin1(value)
	}
	return x.MatchString(value)
}

// latin1 makes a character of each byte.
func latin1(s string) string {
	characters := make([]rune, len(s))
	for i := range len(s) {
		characters[i] = rune(s[i])
	}
	return string(characters)
}

// lower writes ASCII letters in lower case.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// values are those of a header or pseudo-header.
func values(r *routing.Request, name string) (out []string) {
	pseudo := func(has bool, value string) []string {
		if has {
			return []string{value}
		}
		return nil
	}
	switch name = strings.ToLower(name); name {
	case ":method":
		return pseudo(r.HasMethod, r.Method)
	case ":scheme":
		return pseudo(r.HasScheme, r.Scheme)
	case ":path":
		return pseudo(r.HasPath, r.Path)
	case ":authority", "host":
		return pseudo(r.HasAuthority, r.Authority)
	}
	for _, line := range r.Headers {
		if line.Name == name {
			out = append(out, line.Value)
		}
	}
	return out
}
