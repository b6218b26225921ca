package suite

import (
	"strconv"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
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
	// UncoveredConditions and UncoveredDestinations are those of rules that took one.
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
	// Condition is named as in a VirtualService: uri, method, headers.x-user. Seen says what was seen of it.
	Condition   string `json:"condition,omitempty"`
	Seen        string `json:"seen,omitempty"`
	Destination string `json:"destination,omitempty"`
}

func uncovered(r *plan.Rule) Uncovered {
	return Uncovered{Rule: r.String(), File: r.Source.File, Line: r.Source.Line}
}

// condition is one condition of a rule, with a table of which the only rule has this condition alone.
type condition struct {
	name       string
	table      *routing.Table
	met, unmet bool
}

// see notes whether a request meets the condition.
func (c *condition) see(request *routing.Request) {
	if c.table.DecideUnbounded(request, routing.Dice{}).Rule == 0 {
		c.met = true
	} else {
		c.unmet = true
	}
}

// seenRule is what was seen of a rule.
type seenRule struct {
	taken        bool
	conditions   []*condition
	destinations map[int]bool
}

// seen is what the requests of tests have reached, by the names of rules.
type seen struct {
	rules  *Rules
	byName map[string]*seenRule
}

func newSeen(s *Rules) *seen { return &seen{s, map[string]*seenRule{}} }

// rule is what was seen of a rule so far.
func (s *seen) rule(r *plan.Rule) (*seenRule, error) {
	if out := s.byName[r.String()]; out != nil {
		return out, nil
	}
	out := &seenRule{destinations: map[int]bool{}}
	for name, m := range conditionsOf(&r.Match) {
		config, err := pluginconfig.Write(&plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{
			Name: "any", Domains: []string{"*"}, Rules: []*plan.Rule{{Match: m, Outcomes: []plan.Outcome{{ID: "met", Weight: 1}}}},
		}}}, s.rules.Intake.Behaviour())
		if err != nil {
			return nil, err
		}
		table, err := routing.Compile(config)
		if err != nil {
			return nil, err
		}
		out.conditions = append(out.conditions, &condition{name: name, table: table})
	}
	s.byName[r.String()] = out
	return out, nil
}

// isCounted reports whether a rule counts: it was written by somebody.
func isCounted(r *plan.Rule) bool { return r.VirtualService() != "" }

// conditionsOf visits each condition of a match: its name, and a match that has it alone.
func conditionsOf(m *plan.Match) func(yield func(string, plan.Match) bool) {
	return func(yield func(string, plan.Match) bool) {
		anyPath := plan.PathMatch{Kind: plan.Prefix, Value: "/"}
		if p := m.Path; p.Kind != plan.Present && (p.Kind != plan.Prefix || p.Value != "/") && !yield("uri", plan.Match{Path: p}) {
			return
		}
		for _, h := range m.Headers {
			name := "headers." + h.Name
			switch {
			case strings.HasPrefix(h.Name, ":"):
				name = h.Name[1:]
			case h.Invert:
				name = "withoutHeaders." + h.Name
			}
			if !yield(name, plan.Match{Path: anyPath, Headers: []plan.HeaderMatch{h}}) {
				return
			}
		}
		for _, q := range m.Query {
			if !yield("queryParams."+q.Name, plan.Match{Path: anyPath, Query: []plan.QueryMatch{q}}) {
				return
			}
		}
	}
}

// add notes what a request of a test has reached; passed is whether its checks hold.
func (s *seen) add(a *answer, t *Test, passed bool) error {
	if a.verdict.Kind == verdict.Differs {
		for _, v := range a.verdict.Listeners {
			if err := s.tried(v.Taken()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.tried(a.taken); err != nil || a.taken.Rule == nil || !passed {
		return err
	}
	r, err := s.rule(a.taken.Rule)
	if err != nil {
		return err
	}
	for i := range t.Checks {
		if c := &t.Checks[i]; c.reaches != nil && !c.Not {
			for _, index := range c.reaches(a) {
				r.destinations[index] = true
			}
		}
	}
	return nil
}

// tried notes the rules that were tried for a request, and the one that took it.
func (s *seen) tried(t verdict.Taken) error {
	if t.Host == nil {
		return nil
	}
	var request routing.Request
	t.Request.Routing(&request)
	for _, r := range t.Host.Rules {
		if isCounted(r) {
			of, err := s.rule(r)
			if err != nil {
				return err
			}
			for _, c := range of.conditions {
				c.see(&request)
			}
			of.taken = of.taken || r == t.Rule
		}
		if r == t.Rule {
			break
		}
	}
	return nil
}

// coverage is the result.
func (s *seen) coverage(dead func(*plan.Rule) bool) Coverage {
	out := Coverage{Uncovered: []Uncovered{}, UncoveredConditions: []Uncovered{}, UncoveredDestinations: []Uncovered{}, Dead: []Uncovered{}}
	var rules, conditions, destinations struct{ covered, all int }
	count := func(of *struct{ covered, all int }, is bool) {
		of.all++
		if is {
			of.covered++
		}
	}
	known := map[string]bool{}
	for r := range s.rules.Plan.Rules() {
		if !isCounted(r) || known[r.String()] {
			continue
		}
		known[r.String()] = true
		if dead(r) {
			out.Dead = append(out.Dead, uncovered(r))
			continue
		}
		of := s.byName[r.String()]
		taken := of != nil && of.taken
		count(&rules, taken)
		if !taken {
			out.Uncovered = append(out.Uncovered, uncovered(r))
		}
		i := 0
		for name := range conditionsOf(&r.Match) {
			var c condition
			if of != nil {
				c = *of.conditions[i]
			}
			i++
			count(&conditions, c.met && c.unmet)
			if taken && !(c.met && c.unmet) {
				at := uncovered(r)
				at.Condition, at.Seen = name, "always met"
				if !c.met {
					at.Seen = "never met"
				}
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
			is := of != nil && of.destinations[i]
			count(&destinations, is)
			if taken && !is {
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
