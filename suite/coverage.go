package suite

import (
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
)

// Coverage is how much of the rules the requests of tests reached.
//
//   - A rule is covered if it took a request.
//   - A condition is covered if one request met it and another did not, each of a virtual host in which the rule was tried:
//     no rule before it took the request. Each condition is looked at alone, whatever the others of the rule are. A uri of
//     prefix "/" is not a condition, since every path meets it, and conditions on claims of a JWT are not counted.
//   - A destination, one with a weight above 0 of a rule, is covered if a check that names it held for a request that the
//     rule took.
//
// A rule that stands on several listeners is one rule. A rule that is dead is not counted, nor are its conditions and
// destinations: no test can cover them.
type Coverage struct {
	Rules        Share `json:"rules"`
	Conditions   Share `json:"conditions"`
	Destinations Share `json:"destinations"`
	// Uncovered are the rules that took no request.
	Uncovered []Uncovered `json:"uncovered"`
	// UncoveredConditions and UncoveredDestinations are those of rules that took one: the conditions were always met.
	UncoveredConditions   []Uncovered `json:"uncoveredConditions"`
	UncoveredDestinations []Uncovered `json:"uncoveredDestinations"`
	Dead                  []Uncovered `json:"dead"`
}

// Share is a number of things of which some are covered.
type Share struct {
	Covered int `json:"covered"`
	All     int `json:"all"`
	// Percent is rounded down to one decimal, so that 100 means all. It is 100 where there is nothing to cover.
	Percent Percent `json:"percent"`
}

// Percent is a percentage in tenths.
type Percent int

// MarshalJSON writes the percentage as a number, such as 83.3.
func (p Percent) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// String is the percentage with one decimal, which is left out if it is 0.
func (p Percent) String() string {
	if p%10 == 0 {
		return strconv.Itoa(int(p / 10))
	}
	return strconv.Itoa(int(p/10)) + "." + strconv.Itoa(int(p%10))
}

func shareOf(covered, all int) Share {
	if all == 0 {
		return Share{0, 0, 1000}
	}
	return Share{covered, all, Percent(covered * 1000 / all)}
}

// Uncovered is a rule, or a condition or destination of it.
type Uncovered struct {
	Rule string `json:"rule"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Condition is named as in a VirtualService: uri, method, headers.x-user.
	Condition   string `json:"condition,omitempty"`
	Destination string `json:"destination,omitempty"`
}

// Dead is a rule that no request reaches, by [plan.Rule.String], and its place.
type Dead struct {
	Rule  string
	Place diag.Place
}

func uncovered(r *plan.Rule) Uncovered {
	return Uncovered{Rule: r.String(), File: r.Source.File, Line: r.Source.Line}
}

// condition is one condition of a rule, as [verdict.Step] names those that are not met.
type condition struct {
	routing.Unmet
	name string
}

// conditionsOf are the conditions of a match.
func conditionsOf(m *plan.Match) (out []condition) {
	if p := m.Path; p.Kind != plan.Present && (p.Kind != plan.Prefix || p.Value != "/") {
		out = append(out, condition{routing.Unmet{Part: routing.PathPart}, "uri"})
	}
	for i, h := range m.Headers {
		name := "headers." + h.Name
		switch {
		case strings.HasPrefix(h.Name, ":"):
			name = h.Name[1:]
		case h.Invert:
			name = "withoutHeaders." + h.Name
		}
		out = append(out, condition{routing.Unmet{Part: routing.HeaderPart, Index: i}, name})
	}
	for i, q := range m.Query {
		out = append(out, condition{routing.Unmet{Part: routing.QueryPart, Index: i}, "queryParams." + q.Name})
	}
	return out
}

// seenRule is what was seen of a rule.
type seenRule struct {
	taken        bool
	met, unmet   map[routing.Unmet]bool // conditions
	destinations map[int]bool
}

// seen is what the requests of tests have reached, by the names of rules.
type seen struct {
	rules  *Rules
	byName map[string]*seenRule
}

func newSeen(s *Rules) *seen { return &seen{s, map[string]*seenRule{}} }

// rule is what was seen of a rule so far.
func (s *seen) rule(r *plan.Rule) *seenRule {
	out := s.byName[r.String()]
	if out == nil {
		out = &seenRule{met: map[routing.Unmet]bool{}, unmet: map[routing.Unmet]bool{}, destinations: map[int]bool{}}
		s.byName[r.String()] = out
	}
	return out
}

// isCounted reports whether a rule counts: it was written by somebody.
func isCounted(r *plan.Rule) bool { return r.VirtualService() != "" }

// add notes what a request of a test has reached; passed is whether its checks hold.
func (s *seen) add(a *answer, t *Test, passed bool) {
	for w := range a.walks() {
		for _, step := range w.Steps {
			s.step(step)
		}
		if r := w.Rule(); r != nil {
			s.rule(r).taken = true
		}
	}
	if a.taken.Rule == nil || !passed {
		return
	}
	for i := range t.Checks {
		if c := &t.Checks[i]; c.reaches != nil && !c.Not {
			for _, index := range c.reaches(a) {
				s.rule(a.taken.Rule).destinations[index] = true
			}
		}
	}
}

// step notes which conditions of a rule were met, and which were not.
func (s *seen) step(step verdict.Step) {
	of := s.rule(step.Rule)
	for _, c := range conditionsOf(&step.Rule.Match) {
		if slices.Contains(step.Unmet, c.Unmet) {
			of.unmet[c.Unmet] = true
		} else {
			of.met[c.Unmet] = true
		}
	}
}

// coverage is the result.
func (s *seen) coverage(dead []Dead) Coverage {
	out := Coverage{Uncovered: []Uncovered{}, UncoveredConditions: []Uncovered{}, UncoveredDestinations: []Uncovered{}, Dead: []Uncovered{}}
	var rules, conditions, destinations struct{ covered, all int }
	count := func(of *struct{ covered, all int }, is bool) {
		of.all++
		if is {
			of.covered++
		}
	}
	known := map[string]bool{}
	for _, d := range dead {
		known[d.Rule] = true
		out.Dead = append(out.Dead, Uncovered{Rule: d.Rule, File: d.Place.File, Line: d.Place.Line})
	}
	for r := range s.rules.Plan.Rules() {
		if !isCounted(r) || known[r.String()] {
			continue
		}
		known[r.String()] = true
		of := s.rule(r)
		count(&rules, of.taken)
		if !of.taken {
			out.Uncovered = append(out.Uncovered, uncovered(r))
		}
		for _, c := range conditionsOf(&r.Match) {
			is := of.met[c.Unmet] && of.unmet[c.Unmet]
			count(&conditions, is)
			if of.taken && !is { // a rule that took a request met all of its conditions
				at := uncovered(r)
				at.Condition = c.name
				out.UncoveredConditions = append(out.UncoveredConditions, at)
			}
		}
		if r.Route == nil {
			continue
		}
		for i, d := range r.Route.Destinations {
			if r.Route.Weighted && d.Weight == 0 {
				continue
			}
			is := of.destinations[i]
			count(&destinations, is)
			if of.taken && !is {
				at := uncovered(r)
				at.Destination = ofCluster(d.Cluster).String()
				out.UncoveredDestinations = append(out.UncoveredDestinations, at)
			}
		}
	}
	out.Rules, out.Conditions, out.Destinations = shareOf(rules.covered, rules.all), shareOf(conditions.covered, conditions.all), shareOf(destinations.covered, destinations.all)
	return out
}

// Under are the shares that are below a percentage, as "rules 83.3 %".
func (c *Coverage) Under(percent float64) (out []string) {
	for _, s := range []struct {
		what string
		of   Share
	}{{"rules", c.Rules}, {"conditions", c.Conditions}, {"destinations", c.Destinations}} {
		if float64(s.of.Percent) < percent*10 {
			out = append(out, s.what+" "+s.of.Percent.String()+" %")
		}
	}
	return out
}
