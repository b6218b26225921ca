package space

import (
	"maps"
	"slices"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Result is the answer to a question about all requests.
type Result struct {
	// Found is whether there is such a request.
	Found bool
	// Unknown says why it is not known whether there is one; "" if it is.
	Unknown string
	// Request is the request that was found.
	Request verdict.Request
	// Takers are the rules that took requests on the way, by index, each with a request that it took: if nothing was found,
	// they take together all that was asked for.
	Takers []Taker
}

// Taker is a rule of a view that takes a request.
type Taker struct {
	View, Rule int
	Request    verdict.Request
}

// question is what a request is searched for: it meets the requirements, and none of the rules in the lists.
type question struct {
	required  []requirement
	obstacles []obstacles
}

// obstacles are the rules of a view that must not take the request: those before an index, without those that are left out,
// or those of a list.
type obstacles struct {
	view, before int
	left         []bool // by index; nil is none
	only         []int  // ascending; nil is all before
}

// search is the work on one question.
type search struct {
	*Space
	question
	budget   *budget
	required [][]requirement // by part
	values   []value         // by part
	takers   map[[2]int]verdict.Request
	order    [][2]int
	taken    []verdict.Taken // by view, of the last request
	unsure   string
	blocked  int
}

// maxBlocked bounds the values that cannot be delivered, for one question.
const maxBlocked = 60

// The work of one step of a search, and of one request that the engine decides, in states of automata.
const (
	workOfStep    = 50
	workOfRequest = 300
)

const workCap = "work cap: 2,000,000 states"

// ask searches for a request.
func (s *Space) ask(q question) Result {
	x := &search{Space: s, question: q, budget: &budget{s.allowance()}, takers: map[[2]int]verdict.Request{}, taken: make([]verdict.Taken, len(s.views))}
	given := x.budget.left
	defer func() { s.spent += given - x.budget.left }()
	x.required = make([][]requirement, len(s.parts))
	x.values = make([]value, len(s.parts))
	for _, r := range q.required {
		x.required[r.part.number] = append(x.required[r.part.number], r)
	}
	var out Result
	found := yes
	for i := range s.parts {
		if found = x.settle(i); found != yes {
			break
		}
	}
	if found == yes {
		var request verdict.Request
		if request, out.Found, _ = x.try(1); out.Found {
			out.Request = request
			return out
		}
	}
	out.Unknown = x.unsure
	for _, key := range x.order {
		out.Takers = append(out.Takers, Taker{key[0], key[1], x.takers[key]})
	}
	return out
}

// settle finds a value for a part.
func (x *search) settle(i int) answer {
	s := x.parts[i].solve(x.required[i], x.budget)
	if s.found == yes {
		x.values[i] = s.value
	}
	if s.found == unknown {
		x.unsure = workCap
		if slices.ContainsFunc(x.required[i], func(r requirement) bool { return r.wholePath }) {
			x.unsure = "conditions on :path are compared with the query, which is not looked at"
		}
	}
	return s.found
}

// try looks for a request that meets what is required so far. If there is none, reasons are the levels of the decisions
// that contradict each other: a decision that is not among them need not be changed.
func (x *search) try(level int) (request verdict.Request, found bool, reasons map[int]bool) {
	reasons = map[int]bool{}
	if !x.budget.spend(workOfStep) {
		x.unsure = workCap
		return request, false, reasons
	}
	at, taken := [2]int{}, false
	if x.isOffline() {
		at, taken = x.taker() // whether the values arrive does not matter before there is an answer
	}
	if !taken {
		var ok bool
		if request, ok = x.deliverable(); !ok {
			for _, list := range x.required {
				for _, r := range list {
					reasons[r.level] = true
				}
			}
			return request, false, reasons
		}
		at, taken = x.taker()
	}
	if !taken {
		return request, x.unsure != inconsistent, reasons
	}
	if _, known := x.takers[at]; !known {
		x.order = append(x.order, at)
		x.takers[at] = request
	}
	rule := x.views[at[0]].rules[at[1]]
	if rule.uncertain != "" && x.unsure == "" {
		defer func() {
			if !found {
				x.unsure = uncertain(rule)
			}
		}()
	}
	for _, u := range rule.uses {
		i := u.part.number
		required, before := x.required[i], x.values[i]
		x.required[i] = append(slices.Clip(required), requirement{u.condition, false, level})
		switch x.settle(i) {
		case no:
			maps.Copy(reasons, x.core(i, level))
		case yes:
			request, found, deeper := x.try(level + 1)
			if found {
				return request, true, nil
			}
			if !deeper[level] && x.unsure == "" { // whatever is decided here, the rest is contradictory
				x.required[i], x.values[i] = required, before
				return request, false, deeper
			}
			maps.Copy(reasons, deeper)
		}
		x.required[i], x.values[i] = required, before
		if x.budget.left < 0 {
			x.unsure = workCap
			return request, false, reasons
		}
	}
	delete(reasons, level)
	return request, false, reasons
}

// core are the levels of requirements on a part that cannot be met together, without the last one's.
func (x *search) core(i, level int) map[int]bool {
	needed := slices.Clone(x.required[i])
	for k := len(needed) - 2; k >= 0 && len(needed) > 2; k-- {
		if needed[k].level == 0 {
			continue
		}
		if less := slices.Delete(slices.Clone(needed), k, k+1); x.parts[i].solve(less, x.budget).found == no {
			needed = less
		}
	}
	out := map[int]bool{}
	for _, r := range needed {
		if r.level != level && r.level > 0 {
			out[r.level] = true
		}
	}
	return out
}

// isOffline reports whether the rules that take a request are found without the engine.
func (x *search) isOffline() bool {
	return !slices.ContainsFunc(x.obstacles, func(o obstacles) bool { return o.only == nil })
}

// deliverable makes a request of the values that the proxy receives as it is meant. Values that do not arrive are taken
// out, and others are found.
func (x *search) deliverable() (verdict.Request, bool) {
	for {
		if !x.link() {
			x.unsure = "there are conditions on two parts of a request of which one decides the other"
			return verdict.Request{}, false
		}
		request := x.request(x.values)
		wrong, domain := x.wrong(request)
		switch {
		case domain != "":
			x.exclude(domain)
			wrong = x.bySubject[subject{part: authority}].number
		case wrong < 0:
			return request, true
		case wrong == len(x.parts):
			x.unsure = "a request that the proxy takes was not found"
			return request, false
		default:
			x.block(wrong)
		}
		if x.blocked++; x.blocked > maxBlocked {
			x.unsure = "values that reach the rule were not found"
			return request, false
		}
		switch x.settle(wrong) {
		case yes:
		default:
			return request, false
		}
	}
}

// link gives parts values that go together: the proxy removes one of the headers connection and upgrade without the other,
// and takes the scheme from a proxy in front. It returns false if the requirements do not allow that.
func (x *search) link() bool {
	if p := x.bySubject[subject{header, forwardedProto}]; p != nil && !p.isWritten {
		at := x.bySubject[subject{part: scheme}].number
		if said := x.values[p.number]; said.text() != x.values[at].text() && (said.text() == "http" || said.text() == "https") {
			if slices.ContainsFunc(x.required[at], func(r requirement) bool { return !r.holds(&said) }) {
				return false
			}
			x.values[at] = said
		}
	}
	for _, names := range [][2]string{{upgrade, connection}, {connection, upgrade}} {
		p, other := x.bySubject[subject{header, names[0]}], x.bySubject[subject{header, names[1]}]
		if p == nil || other == nil || x.values[p.number].absent || !x.values[other.number].absent {
			continue
		}
		v := value{texts: other.likely}
		if slices.ContainsFunc(x.required[other.number], func(r requirement) bool { return !r.holds(&v) }) {
			return false
		}
		x.values[other.number] = v
	}
	return true
}

// block takes the value of a part out of those that it can have.
func (x *search) block(i int) {
	p, v := x.parts[i], x.values[i]
	if v.absent {
		p.withoutAbsent = true
		return
	}
	for _, text := range v.texts {
		p.never = append(p.never, newLiteral(plan.Exact, text, false))
	}
}

// wrong finds the part whose value does not arrive: -1 if all do, and len(parts) if the request is refused whatever its
// parts are. domain is set if the authority reaches another domain.
func (x *search) wrong(r verdict.Request) (part int, domain string) {
	x.budget.left -= workOfRequest
	for k, v := range x.views {
		if v.Host == nil {
			continue
		}
		taken := v.judge.Take(v.Chain, r)
		x.taken[k] = taken
		if taken.Refused {
			return x.refused(v), ""
		}
		for i, arrived := range x.arrived(taken.Received, len(x.values)) {
			if p := x.parts[i]; !arrived.equal(x.values[i]) && !p.isUnknown {
				if x.isWrongAlone(v, i) {
					return i, ""
				}
				return len(x.parts), "" // it depends on other parts
			}
		}
		if taken.Host == nil {
			return x.bySubject[subject{part: authority}].number, ""
		}
		if d := effect.Domain(taken.Host, r.Authority); taken.Host != v.Host || d != v.Domain {
			return -1, d
		}
	}
	return -1, ""
}

// isWrongAlone reports whether the value of a part does not arrive whatever the others are: it does not with the standard
// values of all others either.
func (x *search) isWrongAlone(v *view, i int) bool {
	one := x.standard(i)
	taken := v.judge.Take(v.Chain, x.request(one))
	return taken.Refused || !x.arrived(taken.Received, len(one))[i].equal(one[i])
}

// standard are the standard values of all parts but one.
func (x *search) standard(but int) []value {
	out := make([]value, len(x.values))
	for i := range out {
		out[i] = x.parts[i].standard
	}
	out[but] = x.values[but]
	return out
}

// refused finds the part because of which a request is refused.
func (x *search) refused(v *view) int {
	for i := range x.values {
		if !x.values[i].equal(x.parts[i].standard) && v.judge.Take(v.Chain, x.request(x.standard(i))).Refused {
			return i
		}
	}
	return len(x.parts)
}

// uncertain says why it is not known which requests a rule takes.
func uncertain(r *rule) string {
	return r.String() + " compares " + r.uncertain + ", which only the proxy knows"
}

const inconsistent = "the engine and the analysis disagree on a request; please report this"

// taker is the first of the obstacles that takes the last request. What is found here is held against the engine.
func (x *search) taker() (at [2]int, taken bool) {
	for _, o := range x.obstacles {
		v := x.views[o.view]
		for _, i := range o.only {
			if v.rules[i].isMetBy(x.values) {
				return [2]int{o.view, i}, true
			}
		}
		if v.Host == nil || o.only != nil {
			continue
		}
		if o.left != nil {
			for i, r := range v.rules[:o.before] {
				if !o.left[i] && r.isMetBy(x.values) {
					return [2]int{o.view, i}, true
				}
			}
			continue
		}
		i := x.taken[o.view].Rule
		if i >= 0 && !v.rules[i].isMetBy(x.values) {
			x.unsure = inconsistent
			return at, false
		}
		if i < 0 {
			i = o.before
		}
		for _, k := range v.uncertain { // the proxy may decide in another way than the engine did here
			if k < min(i, o.before) && v.rules[k].isMetBy(x.values) {
				return [2]int{o.view, k}, true
			}
		}
		if i < o.before {
			return [2]int{o.view, i}, true
		}
	}
	return at, false
}
