package effect

import (
	"encoding/json"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// Likeness is whether two rules do the same with the requests that both match.
type Likeness struct {
	// Same is that clients and destinations never notice which of the two took a request.
	Same bool
	// Path is the only path for which they do the same; "" is none. It counts if neither Same nor Unsure is set.
	Path string
	// Unsure is that it depends on the path, in a way that is not computed: it must be tried out.
	Unsure bool
}

// Compare compares what two rules do. Names, places and statistics do not count, and weights count in proportion. nil is no
// rule: an answer 404.
//
// Paths are compared as functions of the path. Two rewrites of a prefix either agree on every path that both rules match,
// or on none, or on one:
//
//	/a -> /x, /a/b -> /x/b       every path
//	/a -> /x, /a/b -> /x/c       none
//	/a -> /x, exact /a/b -> /y   none
//	none,     exact /a -> /a     every path: /a is the only one
func Compare(a, b *plan.Rule) Likeness {
	if a == nil || b == nil {
		return Likeness{Same: a == b}
	}
	return ProfileOf(a).Compare(ProfileOf(b))
}

// Profile is what a rule does, in a form for [Profile.Compare].
type Profile struct {
	behaviour string
	path      pathChange
}

// ProfileOf is the profile of a rule.
func ProfileOf(r *plan.Rule) Profile { return Profile{behaviour(r), pathChangeOf(r)} }

// Compare is [Compare] for rules that are compared with many others.
func (p Profile) Compare(o Profile) Likeness {
	if p.behaviour != o.behaviour {
		return Likeness{}
	}
	return comparePaths(p.path, o.path)
}

// behaviour is everything that a rule does but what it makes of the path, as a text.
func behaviour(r *plan.Rule) string {
	c := *r
	c.Origin, c.Root, c.Name, c.Source, c.Match, c.StatPrefix, c.Outcomes = plan.Origin{}, plan.Origin{}, "", diag.Place{}, plan.Match{}, "", nil
	c.RequestHeaders, c.ResponseHeaders = ordered(r.RequestHeaders), ordered(r.ResponseHeaders)
	if r.Route != nil {
		route := *r.Route
		route.PrefixRewrite, route.RegexRewrite = "", nil
		route.Weighted, route.Destinations = false, shares(r.Route)
		route.Mirrors = slices.Clone(route.Mirrors)
		for i, m := range route.Mirrors {
			route.Mirrors[i].Numerator, route.Mirrors[i].Denominator = plan.Percentage{Numerator: m.Numerator, Denominator: m.Denominator}.PerMillion(), 1_000_000
		}
		if route.Retry != nil {
			retry := *route.Retry
			on := strings.Split(retry.On, ",")
			slices.Sort(on)
			retry.On = strings.Join(on, ",")
			route.Retry = &retry
		}
		c.Route = &route
	}
	if r.Route == nil {
		c.RequestHeaders = plan.HeaderOperations{} // no destination gets them
	}
	if r.DirectResponse != nil {
		c.DirectResponse = &plan.DirectResponse{Status: r.DirectResponse.Status, Body: append([]byte{}, r.DirectResponse.Body...)}
	}
	if r.Redirect != nil {
		redirect := *r.Redirect
		if !strings.Contains(redirect.Path, "?") { // else the query is replaced, too
			redirect.Path, redirect.PrefixRewrite = "", ""
		}
		c.Redirect = &redirect
	}
	text, err := json.Marshal(&c)
	if err != nil {
		panic("effect: " + err.Error()) // never: the fields are plain values
	}
	return string(text)
}

// ordered are header operations in an order that does not depend on how they were written, where it makes no difference.
func ordered(o plan.HeaderOperations) plan.HeaderOperations {
	out := plan.HeaderOperations{Remove: slices.Sorted(slices.Values(o.Remove)), Add: slices.Clone(o.Add)}
	slices.SortStableFunc(out.Add, func(a, b plan.HeaderAddition) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return out
}

// shares are the destinations of a route, each once, with weights in parts of a million.
func shares(a *plan.RouteAction) []plan.Destination {
	var out []plan.Destination
	var keys []string
	total := uint64(0)
	weights := map[string]uint64{}
	for _, d := range a.Destinations {
		weight := uint64(d.Weight)
		if !a.Weighted {
			weight = 1
		}
		if weight == 0 {
			continue
		}
		total += weight
		d.Weight = 0
		d.RequestHeaders, d.ResponseHeaders = ordered(d.RequestHeaders), ordered(d.ResponseHeaders)
		text, err := json.Marshal(d)
		if err != nil {
			panic("effect: " + err.Error()) // never, as above
		}
		if weights[string(text)] == 0 {
			keys, out = append(keys, string(text)), append(out, d)
		}
		weights[string(text)] += weight
	}
	for i := range out {
		out[i].Weight = uint32(weights[keys[i]] * 1_000_000 / total)
	}
	slices.SortStableFunc(out, func(a, b plan.Destination) int { return strings.Compare(a.Cluster, b.Cluster) })
	return out
}

// pathChange is what a rule makes of the path: text, and what follows the first bytes of the path; with whole, the text
// alone. known are those first bytes, if the match determines them.
type pathChange struct {
	text    string
	cut     int
	whole   bool
	known   string
	isKnown bool
	regex   *plan.RegexRewrite
}

func pathChangeOf(r *plan.Rule) pathChange {
	prefix := ""
	switch {
	case r.Redirect != nil && r.Redirect.PrefixRewrite != "":
		prefix = r.Redirect.PrefixRewrite
	case r.Redirect != nil && r.Redirect.Path != "" && !strings.Contains(r.Redirect.Path, "?"):
		return pathChange{text: r.Redirect.Path, whole: true}
	case r.Route != nil && r.Route.RegexRewrite != nil:
		return pathChange{regex: r.Route.RegexRewrite}
	case r.Route != nil:
		prefix = r.Route.PrefixRewrite
	}
	m := r.Match.Path
	switch {
	case prefix == "" && m.Kind == plan.Exact && !m.IgnoreCase:
		return pathChange{text: m.Value, whole: true} // it is kept, and there is only one
	case prefix == "":
		return pathChange{isKnown: true}
	case m.Kind == plan.Exact, m.Kind == plan.Regex:
		return pathChange{text: prefix, whole: true}
	case m.Kind == plan.Present:
		return pathChange{text: prefix, cut: 1, known: "/", isKnown: true}
	default:
		return pathChange{text: prefix, cut: len(m.Value), known: m.Value, isKnown: !m.IgnoreCase || strings.ToLower(m.Value) == strings.ToUpper(m.Value)}
	}
}

func comparePaths(a, b pathChange) Likeness {
	switch {
	case a.regex != nil && b.regex != nil && *a.regex == *b.regex:
		return Likeness{Same: true}
	case a.regex != nil || b.regex != nil:
		return Likeness{Unsure: true}
	case a.whole && b.whole:
		return Likeness{Same: a.text == b.text}
	case a.whole:
		a, b = b, a
	}
	if b.whole {
		rest, ok := strings.CutPrefix(b.text, a.text)
		switch {
		case !ok:
			return Likeness{}
		case !a.isKnown:
			return Likeness{Unsure: true}
		default:
			return Likeness{Path: a.known + rest}
		}
	}
	if a.cut > b.cut {
		a, b = b, a
	}
	between, ok := strings.CutPrefix(b.text, a.text)
	switch {
	case !ok || len(between) != b.cut-a.cut:
		return Likeness{}
	case between == "":
		return Likeness{Same: true}
	case !b.isKnown:
		return Likeness{Unsure: true}
	default:
		return Likeness{Same: b.known[a.cut:] == between}
	}
}

// PathAfter is what a rule makes of a path without query.
func PathAfter(r *plan.Rule, path string) string {
	change := pathChangeOf(r)
	switch {
	case change.regex != nil:
		return Of(r).rewrite(path, "", Of(r).rewriting)
	case change.whole:
		return change.text
	default:
		return change.text + path[min(change.cut, len(path)):]
	}
}
