package lint

import (
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/space"
	"waymark.dev/waymark/verdict"
)

// Options are what a check needs beside the plan.
type Options struct {
	// Written are all rules that are written in the resources, in order. The plan has those of them that some proxy uses.
	Written []*plan.Rule
	// DecidedBy says why the first of two VirtualServices, by namespace/name, comes first.
	DecidedBy func(first, second string) string
	// Progress is called now and then with how many rules were looked at.
	Progress func(done, all int)
}

// unit is rules that are looked at together: those of a virtual host, for domains where they mean the same. Its space is there
// while the unit is looked at, and stays if a rule of it is dead.
type unit struct {
	*space.Space
	space.Place
	domains []string
}

// stand is a rule in a unit, by its index.
type stand struct {
	*unit
	index int
}

// state is what is known about one rule. A rule may stand in many units.
type state struct {
	name    string
	rule    *plan.Rule
	stands  int
	dead    []deadStand
	idle    [][]space.Idle // by stand
	witness *verdict.Request
	unknown string
	dropped []plan.Dropped
	reached map[Where]bool
}

// deadStand is where a rule takes no request, with the rules that take them.
type deadStand struct {
	stand
	takers []space.Taker
}

type checker struct {
	Options
	judge  *verdict.Judge
	units  []*unit
	states map[string]*state
	order  []string
	report *Report
}

// Check looks at all rules of the plan of a judge.
func Check(j *verdict.Judge, o Options) *Report {
	c := &checker{Options: o, judge: j, states: map[string]*state{}, report: &Report{}}
	for _, r := range o.Written {
		c.state(r)
	}
	c.makeUnits()
	c.addDropped()
	c.reachAll()
	orders := c.report.Findings // those about order come last
	c.report.Findings = nil
	for _, name := range c.order {
		c.conclude(c.states[name])
	}
	c.report.Findings = append(c.report.Findings, orders...)
	c.joinOrder()
	return c.report
}

// state is what is known about a rule, made when it is asked for the first time.
func (c *checker) state(r *plan.Rule) *state {
	name := r.String()
	s := c.states[name]
	if s == nil {
		s = &state{name: name, rule: r, reached: map[Where]bool{}}
		c.states[name] = s
		c.order = append(c.order, name)
	}
	return s
}

// makeUnits makes the spaces. Domains of a virtual host differ only if a rule has a condition on the authority.
func (c *checker) makeUnits() {
	var last *unit
	for _, at := range space.Places(c.judge.Plan(), c.judge.Intake()) {
		if last != nil && last.Host == at.Host && last.Chain == at.Chain && !space.HasAuthority(at.Host) {
			last.domains = append(last.domains, at.Domain)
			continue
		}
		last = &unit{nil, at, []string{at.Domain}}
		c.units = append(c.units, last)
		for _, r := range at.Host.Rules {
			if r.VirtualService() != "" {
				c.state(r).stands++
			}
		}
	}
}

// addDropped gives each rule the records of its being left out.
func (c *checker) addDropped() {
	add := func(d plan.Dropped) {
		name := d.String()
		if s := c.states[name]; s != nil {
			s.dropped = append(s.dropped, d)
			return
		}
		switch d.Code {
		case plan.DropDelegateConflict, plan.DropNestedDelegate, plan.DropNoDelegate:
			if d.Origin.Path.List == "http" {
				s := c.state(&plan.Rule{Origin: d.Origin, Root: d.Root, Source: d.Source})
				s.dropped = append(s.dropped, d)
			}
		case plan.DropNotExported, plan.DropNotBound, plan.DropNoHost, plan.DropHostTaken:
			for _, r := range c.Written {
				if d.Origin.Path.List == "" && d.Origin.Kind == "VirtualService" && r.VirtualService() == d.Origin.Key() {
					s := c.state(r)
					s.dropped = append(s.dropped, d)
				}
			}
		}
	}
	for rc := range c.judge.Plan().RouteConfigs() {
		for _, d := range rc.Dropped {
			add(d)
		}
	}
	for _, d := range c.judge.Plan().Dropped {
		add(d)
	}
}

// reachAll searches a request for each rule, wherever it stands.
func (c *checker) reachAll() {
	all, done := 0, 0
	for _, u := range c.units {
		all += len(u.Host.Rules)
	}
	languages := space.Languages{}
	for _, u := range c.units {
		u.Space = space.New(c.judge, u.Place, languages)
		hasDead := false
		for i, r := range u.Host.Rules {
			if done++; c.Progress != nil {
				c.Progress(done, all)
			}
			if r.VirtualService() != "" && !c.reach(c.state(r), stand{u, i}) {
				hasDead = true
			}
		}
		c.compareVirtualServices(u)
		if !hasDead {
			u.Space = nil
		}
	}
}

// reach searches a request for a rule where it stands. It is false if there is none.
func (c *checker) reach(s *state, at stand) bool {
	found := at.Reach(at.index)
	switch {
	case found.Found && s.witness == nil:
		s.witness = &found.Request
	case found.Unknown != "" && s.unknown == "":
		s.unknown = found.Unknown
	}
	s.idle = append(s.idle, at.Idle(at.index))
	if !found.Found && found.Unknown == "" && len(found.Takers) == 0 && at.Conflict(at.index) == nil {
		found.Unknown = "no request was found, and no reason either" // never: it would not be a proof
		s.unknown = found.Unknown
	}
	if !found.Found && found.Unknown == "" {
		s.dead = append(s.dead, deadStand{at, found.Takers})
		return false
	}
	for _, w := range at.where() {
		s.reached[w] = true // also if it is not known: it must not be called dead there
	}
	return true
}

// where are the places of a rule.
func (s stand) where() []Where {
	out := make([]Where, len(s.domains))
	for i, d := range s.domains {
		out[i] = Where{s.Listener.Port, d}
	}
	return out
}

// conclude writes what is known about a rule.
func (c *checker) conclude(s *state) {
	out := Rule{Rule: s.name, Source: s.rule.Source, Origin: s.rule.Origin, Root: s.rule.Root}
	switch {
	case s.witness != nil:
		out.Live, out.Witness = true, s.witness
		c.deadSomewhere(s)
		c.idle(s)
	case s.unknown != "":
		out.Unknown, out.Why = true, s.unknown
	case len(s.dead) > 0:
		out.Why = c.dead(s)
	default:
		out.Why = c.dropped(s)
	}
	c.report.Rules = append(c.report.Rules, out)
}

// add adds a finding about a rule.
func (c *checker) add(s *state, code string, severity diag.Severity, details Details, format string, args ...any) string {
	details.Rule = s.name
	message := fmt.Sprintf(format, args...)
	c.report.Findings = append(c.report.Findings, Finding{
		Code: code, Severity: severity, Message: message, About: s.rule.Origin, Source: s.rule.Source, Details: details,
	})
	return message
}

// dead reports a rule that no request reaches.
func (c *checker) dead(s *state) string {
	var covered []deadStand // where requests meet its conditions
	var conflict []string
	for _, d := range s.dead {
		if fields := d.Conflict(d.index); fields != nil {
			conflict = fields
		} else {
			covered = append(covered, d)
		}
	}
	if len(covered) == 0 {
		return c.add(s, Contradictory, diag.Warning, Details{Conflict: conflict}, "no request meets its conditions: %s", contradiction(conflict))
	}
	cover := c.cover(covered)
	differs := false
	for _, d := range covered {
		differs = differs || d.differs()
	}
	severity, rest := diag.Warning, ""
	if !differs {
		severity, rest = diag.Notice, "; they do the same, so nothing changes without it"
	}
	return c.add(s, Covered, severity, Details{CoveredBy: cover, Differs: &differs}, "no request comes here: %s%s", takeAll(cover, s.name), rest)
}

// contradiction says in words that conditions cannot hold together.
func contradiction(fields []string) string {
	if len(fields) == 1 {
		return fields[0] + " matches nothing that a proxy passes to rules"
	}
	return strings.Join(fields, " and ") + " cannot hold together"
}

// takeAll says in words which rules take everything.
func takeAll(cover []Cover, name string) string {
	var out []string
	for _, c := range cover {
		out = append(out, short(c.Rule, name))
	}
	switch len(out) {
	case 0:
		return "earlier rules take them all"
	case 1:
		return out[0] + " takes them all"
	default:
		return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1] + " take them all"
	}
}

// short is the name of a rule, without its VirtualService if that is the one of another rule.
func short(name, other string) string {
	vs, rule, _ := strings.Cut(name, ".http[")
	if same, _, _ := strings.Cut(other, ".http["); vs == same {
		return "http[" + rule
	}
	return name
}

// cover finds a smallest set of rules, of which none can be left out, that take all requests of a rule wherever it stands.
func (c *checker) cover(dead []deadStand) []Cover {
	var names []string
	first := map[string]Cover{}
	for _, d := range dead {
		for _, t := range d.takers {
			r := d.Rule(0, t.Rule)
			if _, known := first[r.String()]; !known {
				request := t.Request
				first[r.String()] = Cover{r.String(), r.Source.File, r.Source.Line, &request}
				names = append(names, r.String())
			}
		}
	}
	for i := len(names) - 1; i >= 0 && len(names) > 1; i-- {
		less := slices.Delete(slices.Clone(names), i, i+1)
		if !slices.ContainsFunc(dead, func(d deadStand) bool { return !d.coveredBy(less) }) {
			names = less
		}
	}
	out := make([]Cover, len(names))
	for i, n := range names {
		out[i] = first[n]
	}
	return out
}

// coveredBy reports whether rules take everything that a rule matches where it stands.
func (d deadStand) coveredBy(names []string) bool {
	var rules []int
	for i, r := range d.Host.Rules[:d.index] {
		if slices.Contains(names, r.String()) {
			rules = append(rules, i)
		}
	}
	return d.Covers(d.index, rules)
}

// differs reports whether a dead rule would do something else with a request than the rule that takes it.
func (d deadStand) differs() bool {
	rule := d.Host.Rules[d.index]
	for _, t := range d.takers {
		if differsOn(d.Host.Rules[t.Rule], rule, t.Request) {
			return true
		}
	}
	for k := range d.Host.Rules[:d.index] {
		if d.Differing(k, d.index).Found {
			return true
		}
	}
	return false
}

// differsOn reports whether two rules are known to do different things with a request.
func differsOn(a, b *plan.Rule, r verdict.Request) bool {
	like := effect.Compare(a, b)
	path, _, _ := strings.Cut(r.Path, "?")
	return !like.Same && !like.Unsure && path != like.Path
}

// deadSomewhere reports a live rule that is dead on some of the hosts and ports on which it, or its VirtualService, stands.
func (c *checker) deadSomewhere(s *state) {
	var where []Where
	var dead []deadStand
	add := func(w Where) bool {
		if s.reached[w] || slices.Contains(where, w) {
			return false
		}
		where = append(where, w)
		return true
	}
	for _, d := range s.dead {
		fresh := false
		for _, w := range d.where() {
			fresh = add(w) || fresh
		}
		if fresh && d.Conflict(d.index) == nil {
			dead = append(dead, d)
		}
	}
	var behind []Cover
	units := c.units
	if !slices.ContainsFunc(s.dropped, func(d plan.Dropped) bool { return d.Code == plan.DropBehindCatchAll }) {
		units = nil
	}
	for _, u := range units {
		i := slices.IndexFunc(u.Chain.Routes.Dropped, func(d plan.Dropped) bool { return d.Code == plan.DropBehindCatchAll && d.String() == s.name })
		if i < 0 || !slices.ContainsFunc(u.Host.Rules, func(r *plan.Rule) bool { return r.VirtualService() == s.rule.VirtualService() }) ||
			slices.ContainsFunc(u.Host.Rules, func(r *plan.Rule) bool { return r.String() == s.name }) {
			continue
		}
		for _, w := range (stand{u, 0}).where() {
			add(w)
		}
		if by := c.catchAll(u.Chain.Routes.Dropped[i]); len(behind) == 0 {
			behind = append(behind, by)
		}
	}
	if len(where) == 0 {
		return
	}
	cover := behind
	if len(dead) > 0 {
		cover = c.cover(dead)
	}
	c.add(s, DeadSomewhere, diag.Warning, Details{Where: where, CoveredBy: cover}, "no request comes here on %s; it is reached elsewhere", listed(where))
}

// mostNamed bounds the places that a message names.
const mostNamed = 3

func listed(where []Where) string {
	var out []string
	for _, w := range where[:min(len(where), mostNamed)] {
		out = append(out, fmt.Sprintf("%s:%d", w.Domain, w.Port))
	}
	if more := len(where) - mostNamed; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, ", ")
}

// catchAll is the rule behind which another one was dropped.
func (c *checker) catchAll(d plan.Dropped) Cover {
	root := d.Root
	for _, r := range c.Written {
		if r.Origin == d.By && (r.Root.Kind == "" || root.Kind == "" || r.Root.Key() == root.Key()) {
			return Cover{Rule: r.String(), File: r.Source.File, Line: r.Source.Line}
		}
	}
	return Cover{Rule: d.By.String()}
}

// dropped reports a rule that no listener has.
func (c *checker) dropped(s *state) string {
	code := func(want plan.DropCode) *plan.Dropped {
		i := slices.IndexFunc(s.dropped, func(d plan.Dropped) bool { return d.Code == want })
		if i < 0 {
			return nil
		}
		return &s.dropped[i]
	}
	if d := code(plan.DropBehindCatchAll); d != nil {
		by := c.catchAll(*d)
		return c.add(s, BehindAll, diag.Warning, Details{CoveredBy: []Cover{by}}, "Istio drops it: %s of the same VirtualService takes every request before", short(by.Rule, s.name))
	}
	if d := code(plan.DropDelegateConflict); d != nil {
		return c.add(s, Conflicting, diag.Warning, Details{Conflict: []string{"match"}}, "Istio drops it: one of its matches contradicts every match of %s, which delegates to it", d.Root.String())
	}
	var conflict []string
	for _, f := range []struct {
		code  plan.DropCode
		field string
	}{
		{plan.DropPort, "port"}, {plan.DropGateway, "gateways"}, {plan.DropLabels, "sourceLabels"}, {plan.DropNamespace, "sourceNamespace"},
		{plan.DropNoHost, "hosts"}, {plan.DropNotBound, "gateways"}, {plan.DropHostTaken, "hosts"},
	} {
		if code(f.code) != nil && !slices.Contains(conflict, f.field) {
			conflict = append(conflict, f.field)
		}
	}
	switch {
	case len(s.dropped) == 0:
		return "the virtual host redirects every request to https"
	case len(conflict) == 0:
		return s.dropped[0].Why()
	}
	return c.add(s, Nowhere, diag.Warning, Details{Conflict: conflict}, "no listener has it: %s", s.dropped[0].Why())
}

// idle reports conditions of a live rule that change nothing, wherever it stands.
func (c *checker) idle(s *state) {
	type known struct {
		space.Idle
		n      int
		always bool
	}
	fields := map[string]*known{}
	var order []string
	for _, idle := range s.idle {
		for _, i := range idle {
			k := fields[i.Field]
			if k == nil {
				k = &known{Idle: i, always: true}
				fields[i.Field] = k
				order = append(order, i.Field)
			}
			if k.n++; len(i.ImpliedBy) > 0 {
				k.always, k.ImpliedBy = false, i.ImpliedBy
			}
		}
	}
	for _, field := range order {
		switch k := fields[field]; {
		case k.n < s.stands:
		case k.always:
			c.add(s, AlwaysMet, diag.Warning, Details{Condition: field}, "the condition %s is met by every request", field)
		default:
			c.add(s, Implied, diag.Warning, Details{Condition: field, ImpliedBy: k.ImpliedBy}, "the condition %s changes nothing: it is met whenever %s is", field, strings.Join(k.ImpliedBy, " and "))
		}
	}
}
