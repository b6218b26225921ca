package envoy

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	regexes "waymark.dev/waymark/routing/regex"
)

// node is a part of a tree that Envoy searches for the rule of a request. It is a list of rules, of which the first that
// matches is taken; or it divides the rules by the beginning of one value of the request, see [division].
//
// The tree never decides whether a rule matches: it only leaves out rules that cannot. In each list are all rules that can
// match a request which comes there, in their order, and Envoy checks each route's own match. So a tree means the same as
// the list of all rules, whatever the rules are, as long as no list lacks a rule.
//
//	http[0]  prefix /api/v2            /api/v -> [0 1 2]     all that match the expression begin with /api/v, too
//	http[1]  prefix /api               /api   -> [1]         a request for /api/x can match no other rule
//	http[2]  regex  /api/v[0-9]+/x
//
// The hard case is a header that a request has several times. Envoy's matcher sees one value, joined by commas, and routes
// compare the values one by one from Envoy 1.39 on ([version.Behaviour]). So a value with a comma leads to a list, or to a
// part of the tree, that was made without a look at this header.
type node struct {
	rules []*plan.Rule // of a list; nil for a division

	subject string // what is looked up: :path, or the name of another header in lower case
	exact   bool   // the whole value is a key; otherwise the longest key with which the value begins is taken
	keys    map[string]*node
	rest    *node // for a request to which no key leads, and that may have no such value; nil: no rule can match
	// repeated is for a request that may have several values; nil if none can.
	repeated *node
}

// Limits of a tree. A rule may stand in several lists, each of which needs a route of its own.
const (
	// maxLevels is how many values of a request are looked up one after the other.
	maxLevels = 5
	// The trees of a route configuration have at most maxCopies routes for each rule and together moreCopies, and as many
	// times the bytes of their lists.
	maxCopies, moreCopies = 4, 1000
	// maxSubjects is how many headers are tried as the subject of a division: those that most rules ask for.
	maxSubjects = 3
)

// amount is the size of lists: their routes, and the bytes of these.
type amount struct{ routes, bytes float64 }

func (a amount) plus(o amount) amount { return amount{a.routes + o.routes, a.bytes + o.bytes} }

func (a amount) within(budget amount) bool {
	return a.routes <= budget.routes && a.bytes <= budget.bytes
}

// share is the part of a budget for one of several lists, in proportion to their amounts.
func (a amount) share(budget, all amount) amount {
	return amount{a.routes * budget.routes / all.routes, a.bytes * budget.bytes / all.bytes}
}

// treeBuilder builds the tree of one virtual host. Rules are named by their indexes, and lists of rules are sorted.
type treeBuilder struct {
	rules    []*plan.Rule
	bytes    []float64 // of the route of each rule
	tried    []float64 // what it costs to try each
	costs    *Costs
	encoding regexes.Encoding
	// joined: the rules of this Envoy compare a repeated header as one value, too.
	joined bool
	// written is the amount of all lists of the tree.
	written amount
}

// tree is the tree of a virtual host, and the routes of its rules.
type tree struct {
	root   *node // a division
	routes map[*plan.Rule]*routev3.Route
}

// newTree returns the tree of a virtual host and what searching it costs on the average, or nil if the rules have nothing in
// common by which they can be divided within the limits. rules is the number of rules in the route configuration, which
// share moreCopies.
func newTree(h *plan.VirtualHost, rules int, costs *Costs, o *Options) (t *tree, cost float64) {
	b := &treeBuilder{rules: h.Rules, costs: costs, encoding: pluginconfig.Encoding(o.Behaviour()), joined: o.Behaviour().RepeatedHeadersJoined}
	t = &tree{routes: make(map[*plan.Rule]*routev3.Route, len(h.Rules))}
	all := make([]int32, len(h.Rules))
	for i, r := range h.Rules {
		all[i] = int32(i)
		t.routes[r] = nativeRoute(r, o)
		b.bytes = append(b.bytes, float64(proto.Size(t.routes[r])))
		b.tried = append(b.tried, costs.rule(&r.Match))
	}
	list := b.amount(all)
	times := maxCopies + moreCopies/float64(rules)
	t.root, cost = b.node(all, nil, amount{times * list.routes, times * list.bytes})
	if t.root.rules != nil {
		return nil, 0
	}
	again := max(b.written.routes/list.routes, b.written.bytes/list.bytes) - 1
	return t, cost + costs.Tree + again*costs.Copies
}

func (b *treeBuilder) amount(list []int32) amount {
	a := amount{routes: float64(len(list))}
	for _, i := range list {
		a.bytes += b.bytes[i]
	}
	return a
}

// node returns the cheapest node for a list of rules, and its cost. used are the subjects of the divisions above it.
func (b *treeBuilder) node(list []int32, used []string, budget amount) (*node, float64) {
	cost := b.list(list)
	var best *division
	if len(used) < maxLevels && cost > b.costs.Level { // or no division is cheaper
		for _, subject := range b.subjects(list, used) {
			if d := b.divide(list, subject, budget); d != nil && d.cost < cost {
				best, cost = d, d.cost
			}
		}
	}
	if best == nil {
		b.written = b.written.plus(b.amount(list))
		return &node{rules: b.of(list)}, cost
	}
	n := &node{subject: best.subject, exact: best.exact, keys: map[string]*node{}}
	used = append(slices.Clip(used), best.subject)
	child := func(list []int32) (*node, float64) {
		return b.node(list, used, b.amount(list).share(budget, best.amount))
	}
	cost = 0
	for _, k := range best.keys {
		at, its := child(k.list)
		n.keys[k.text] = at
		cost += its * float64(k.own)
	}
	if len(best.rest) > 0 {
		at, its := child(best.rest)
		n.rest = at
		cost += its * float64(len(best.rest))
	}
	if best.guarded {
		n.repeated, _ = child(list)
	}
	return n, cost/float64(len(list)) + b.costs.Level
}

// list is what trying the rules of a list one by one costs on the average, as [Costs.list] has it.
func (b *treeBuilder) list(list []int32) float64 {
	var all float64
	for _, i := range list {
		all += b.tried[i]
	}
	return all / 2
}

func (b *treeBuilder) of(list []int32) []*plan.Rule {
	rules := make([]*plan.Rule, len(list))
	for i, r := range list {
		rules[i] = b.rules[r]
	}
	return rules
}

// TreeSize describes a tree.
type TreeSize struct {
	// Subjects are what is looked up, in the order in which it first occurs: path, or the name of a header.
	Subjects []string `json:"subjects"`
	// Levels is the largest number of values that are looked up one after the other, Keys the number of keys, Longest the
	// longest list of rules that are tried.
	Levels  int `json:"levels"`
	Keys    int `json:"keys"`
	Longest int `json:"longest"`
	// Routes is the number of routes in all lists: a rule stands in each list where it can match.
	Routes int `json:"routes"`
	// Repeated is the longest list of rules that are tried for a request that repeats one of the headers, or has a comma in
	// it; 0 if none is looked up.
	Repeated int `json:"repeated,omitempty"`
}

// size describes the tree.
func (t *tree) size() *TreeSize {
	s := &TreeSize{}
	t.root.measure(s, 1, false)
	return s
}

func (n *node) measure(s *TreeSize, level int, repeated bool) {
	if n.rules != nil {
		s.Routes += len(n.rules)
		if repeated {
			s.Repeated = max(s.Repeated, len(n.rules))
		} else {
			s.Longest = max(s.Longest, len(n.rules))
		}
		return
	}
	s.Levels = max(s.Levels, level)
	s.Keys += len(n.keys)
	name := n.subject
	if name == pathSubject {
		name = "path"
	}
	if !slices.Contains(s.Subjects, name) {
		s.Subjects = append(s.Subjects, name)
	}
	for _, key := range sortedKeys(n.keys) {
		n.keys[key].measure(s, level+1, repeated)
	}
	if n.rest != nil {
		n.rest.measure(s, level+1, repeated)
	}
	if n.repeated != nil {
		n.repeated.measure(s, level+1, true)
	}
}
