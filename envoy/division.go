package envoy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"waymark.dev/waymark/plan"
	regexes "waymark.dev/waymark/routing/regex"
)

// pathSubject is the header whose value Envoy's matcher sees for the path: with the query.
const pathSubject = ":path"

// beginning is the text with which every value begins that a condition allows. whole is set if it allows no other value.
type beginning struct {
	text  string
	whole bool
}

// beginningOf is what a rule requires of the beginning of a subject; "" for nothing.
func (b *treeBuilder) beginningOf(r *plan.Rule, subject string) beginning {
	if subject == pathSubject {
		return b.ofPath(&r.Match.Path)
	}
	var best beginning
	for _, h := range r.Match.Headers {
		if !narrows(&h) || !strings.EqualFold(h.Name, subject) {
			continue
		}
		if x := b.ofValue(h.Kind, h.Value); x.whole && !best.whole || x.whole == best.whole && len(x.text) > len(best.text) {
			best = x
		}
	}
	if best.text == "" { // an empty value has no key
		return beginning{}
	}
	return best
}

// narrows reports whether a condition is met only by requests that have a value which it compares.
func narrows(h *plan.HeaderMatch) bool { return !h.Invert && !h.MissingAsEmpty }

// ofPath is the beginning of a path with its query. Rules compare paths without it, so what a rule has behind "?" or "#" is
// never met, and is not part of a key: as one it would lead requests away from other rules.
func (b *treeBuilder) ofPath(p *plan.PathMatch) beginning {
	if p.IgnoreCase {
		return beginning{}
	}
	if p.Kind == plan.Present {
		return beginning{text: "/"}
	}
	x := b.ofValue(p.Kind, p.Value)
	if i := strings.IndexAny(x.text, "?#"); i >= 0 {
		return beginning{text: x.text[:i]}
	}
	return x
}

func (b *treeBuilder) ofValue(kind plan.MatchKind, value string) beginning {
	switch kind {
	case plan.Exact:
		return beginning{value, true}
	case plan.Prefix, plan.Separated:
		return beginning{text: value}
	case plan.Regex:
		return beginning{text: regexes.Prefix(value, b.encoding)}
	default:
		return beginning{}
	}
}

// subjects are what the rules of a list can be divided by: the path, and the headers that most rules ask for.
func (b *treeBuilder) subjects(list []int32, used []string) []string {
	asked := map[string]int{}
	for _, i := range list {
		for _, h := range b.rules[i].Match.Headers {
			if narrows(&h) && h.Kind != plan.Present {
				asked[strings.ToLower(h.Name)]++
			}
		}
	}
	delete(asked, pathSubject) // with the query, while rules compare it without
	for _, subject := range used {
		delete(asked, subject)
	}
	names := slices.SortedFunc(maps.Keys(asked), func(a, b string) int { return cmp.Or(asked[b]-asked[a], cmp.Compare(a, b)) })
	names = names[:min(len(names), maxSubjects)]
	if !slices.Contains(used, pathSubject) {
		names = append([]string{pathSubject}, names...)
	}
	return names
}

// division divides a list of rules by the beginning of a subject: by each key, the rules that can match a request to which
// that key leads.
type division struct {
	subject string
	exact   bool
	keys    []divided
	// rest are the rules that require nothing of the beginning.
	rest []int32
	// guarded: the subject can be repeated, so that requests with a comma in it need the undivided list, too.
	guarded bool
	amount  amount // of all lists together
	cost    float64
}

// divided are the rules of a key; own is how many of them have no shorter key.
type divided struct {
	text string
	list []int32
	own  int
}

// fewKeys is the number of exact keys up to which the rest is copied to each of them.
const fewKeys = 8

// divide divides a list, or returns nil if that needs more than the budget, or divides nothing. The longer lists may become
// by which keys are made one, the fewer copies are needed.
func (b *treeBuilder) divide(list []int32, subject string, budget amount) *division {
	rules := map[string][]int32{} // by their beginning
	whole := make([]bool, len(b.rules))
	d := division{subject: subject, guarded: !b.joined && !strings.HasPrefix(subject, ":"), exact: subject != pathSubject}
	for _, i := range list {
		x := b.beginningOf(b.rules[i], subject)
		if x.text == "" {
			d.rest = append(d.rest, i)
			continue
		}
		rules[x.text] = append(rules[x.text], i)
		whole[i] = x.whole
		d.exact = d.exact && x.whole
	}
	if len(rules) == 0 {
		return nil
	}
	d.exact = d.exact && (len(d.rest) == 0 || len(rules) <= fewKeys)
	d.amount = b.amount(d.rest)
	if d.guarded {
		d.amount = d.amount.plus(b.amount(list))
	}
	texts := sortedKeys(rules)
	for _, merging := range []int{1, 4, 16} {
		v := &divider{treeBuilder: b, division: d, budget: budget, texts: texts, rules: rules, whole: whole, merging: merging}
		if v.visit(0, len(texts), d.rest) {
			v.division.cost = b.costOf(&v.division, len(list))
			return &v.division
		}
	}
	return nil
}

// costOf is the cost of a division of n rules, if all its lists stay as they are.
func (b *treeBuilder) costOf(d *division, n int) float64 {
	cost := float64(len(d.rest)) * b.list(d.rest)
	for _, k := range d.keys {
		cost += float64(k.own) * b.list(k.list)
	}
	return cost/float64(n) + b.costs.Level
}

// divider makes the keys of a division out of the beginnings of rules.
type divider struct {
	*treeBuilder
	division division
	budget   amount
	merging  int      // by how much longer lists may become than usual
	texts    []string // the beginnings, sorted: those with a common beginning stand together
	rules    map[string][]int32
	whole    []bool // by rule: its beginning is the whole value
}

// visit makes the keys of texts[from:to]. above are the rules that require less than what these texts have in common. It
// returns false if the budget is exceeded.
//
//	"/api" [2]  "/api/v1/a" [0]  "/api/v1/b" [1]      rule 2 can match wherever the others can, so each key copies it:
//	                                                  /api [2]   /api/v1/a [0 2]   /api/v1/b [1 2]
//	                                                  or few keys are one:   /api [2]   /api/v1/ [0 1 2]
func (v *divider) visit(from, to int, above []int32) bool {
	common := commonPrefix(v.texts[from], v.texts[to-1])
	if common != "" && !v.division.exact && utf8.ValidString(common) && v.count(from, to) <= v.merging*mergedKeys(len(above)) {
		var all []int32
		for _, text := range v.texts[from:to] {
			all = append(all, v.rules[text]...)
		}
		slices.Sort(all)
		return v.add(common, above, all)
	}
	if v.texts[from] == common {
		own := v.rules[common]
		if !v.add(common, above, own) {
			return false
		}
		from++
		if !v.division.exact {
			above = merge(above, slices.DeleteFunc(slices.Clone(own), func(i int32) bool { return v.whole[i] }))
		}
	}
	for from < to {
		next := from + 1
		for next < to && v.texts[next][len(common)] == v.texts[from][len(common)] {
			next++
		}
		if !v.visit(from, next, above) {
			return false
		}
		from = next
	}
	return true
}

// count is the number of rules with a beginning in texts[from:to].
func (v *divider) count(from, to int) (n int) {
	for _, text := range v.texts[from:to] {
		n += len(v.rules[text])
	}
	return n
}

// mergedKeys is the number of rules up to which their keys are made one, so that rules above them are copied once: it
// costs time to try them all, but with many rules above, a list is long in any case.
func mergedKeys(above int) int {
	const each, most = 8, 24
	return max(min(each*above, most), above)
}

func (v *divider) add(text string, above, own []int32) bool {
	list := merge(above, own)
	v.division.keys = append(v.division.keys, divided{text, list, len(own)})
	v.division.amount = v.division.amount.plus(v.amount(list))
	return v.division.amount.within(v.budget)
}

// merge joins two sorted lists that have no rule in common.
func merge(a, b []int32) []int32 {
	list := append(slices.Clone(a), b...)
	slices.Sort(list)
	return list
}

// commonPrefix is what two texts begin with.
func commonPrefix(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return a[:i]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
