package envoy

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
)

// Strategy is how the rules of one virtual host are matched.
type Strategy string

// The strategies. What they mean is the same; what they cost is not.
const (
	// StrategyFilter lets the Wasm filter choose; the routes stand in a map by outcome.
	StrategyFilter Strategy = "filter"
	// StrategyList lets Envoy try the routes one by one.
	StrategyList Strategy = "list"
	// StrategyTree lets Envoy look up the path and headers of a request, and try the few routes that can match; see [node].
	StrategyTree Strategy = "tree"
)

// Choice is the strategy for a virtual host, and its reason.
type Choice struct {
	RouteConfig string   `json:"routeConfig"`
	VirtualHost string   `json:"virtualHost"`
	Rules       int      `json:"rules"`
	Strategy    Strategy `json:"strategy"`
	Why         string   `json:"why"`
	// Cost of each strategy that is possible, in units of what matching one path prefix costs in a list.
	Cost map[Strategy]float64 `json:"cost,omitempty"`
	// Tree describes the tree, if one is possible.
	Tree *TreeSize `json:"tree,omitempty"`
	// Size is what the virtual host takes with the strategy; only [SizedChoices] sets it.
	Size *Size `json:"size,omitempty"`
}

// Size is the number of routes of a virtual host, and its bytes in Envoy's configuration together with those in the
// filter's.
type Size struct {
	Routes int `json:"routes"`
	Bytes  int `json:"bytes"`
}

// Costs are what matching costs Envoy, in units of one path prefix in a list. Only their proportions matter.
type Costs struct {
	// Of one rule in a list that does not match: by an exact path or a prefix, a prefix that ends at a segment, an
	// expression, a header, a query parameter.
	Path, Separated, Regex, Header, Query float64
	// Of a tree, and of each look-up in it, however many keys it has; and of its memory, if it takes as much as the list
	// once more. That is no time, but what it is worth.
	Tree, Level, Copies float64
	// Of a decision of the filter, however many rules; and of the fault filter that obeys its headers, where a rule has a
	// fault.
	Filter, Faults float64
}

// measured are the costs that runs of 'make bench-envoy' came to, rounded, at the numbers of rules where two strategies
// cost the same: with more rules a list costs more for each of them, since its routes leave the processor's caches, but
// then the others are cheaper anyway. See docs/performance.md. A tree costs half of this; the rest is in favour of the list,
// which is easier to read in a dump of Envoy's configuration, and makes a quarter of a microsecond.
var measured = Costs{Path: 1, Separated: 1, Regex: 2.4, Header: 1.2, Query: 1.5, Tree: 8, Level: 2, Copies: 5, Filter: 110, Faults: 15}

// MeasuredCosts returns the costs that are used where [Options.Costs] is nil.
func MeasuredCosts() Costs { return measured }

// choose takes the cheapest strategy for a virtual host.
func (s *strategies) choose(rc *plan.RouteConfig, h *plan.VirtualHost, o *Options) Choice {
	c := Choice{RouteConfig: rc.Name, VirtualHost: h.Name, Rules: len(h.Rules)}
	if o.Matching != MatchingAuto {
		c.Strategy, c.Why = StrategyFilter, "--matching filter"
		if o.Matching == MatchingNative {
			c.Strategy, c.Why = StrategyList, "--matching native"
		} else if why := listAlone(h, o); why != "" {
			c.Strategy, c.Why = StrategyList, why
		}
		return c
	}
	costs := &measured
	if o.Costs != nil {
		costs = o.Costs
	}
	c.Cost = map[Strategy]float64{StrategyList: costs.list(h.Rules)}
	notFilter := listAlone(h, o)
	if notFilter == "" {
		c.Cost[StrategyFilter] = costs.Filter
		if s.faults {
			c.Cost[StrategyFilter] += costs.Faults
		}
	}
	noTree := "no tree: neither the beginning of a path nor that of a header tells the rules apart"
	if c.Cost[StrategyList] <= costs.Tree+costs.Level {
		noTree = "a look-up in a tree costs as much as that"
	} else if t, cost := newTree(h, s.rules, costs, o); t != nil {
		s.trees[h], c.Cost[StrategyTree], c.Tree = t, cost, t.size()
		noTree = "a tree " + c.Tree.String()
	}
	c.Strategy = StrategyList
	for _, candidate := range []Strategy{StrategyTree, StrategyFilter} {
		if cost, ok := c.Cost[candidate]; ok && cost < c.Cost[c.Strategy] {
			c.Strategy = candidate
		}
	}
	for strategy, cost := range c.Cost {
		c.Cost[strategy] = math.Round(10*cost) / 10
	}
	var reasons []string
	switch c.Strategy {
	case StrategyTree:
		reasons = append(reasons, c.Tree.String())
	case StrategyList:
		reasons = append(reasons, fmt.Sprintf("trying %s costs least", quantity(len(h.Rules), "rule")), noTree)
	default:
		reasons = append(reasons, fmt.Sprintf("the filter costs less than trying %s", quantity(len(h.Rules), "rule")), noTree)
	}
	if notFilter != "" {
		reasons = append(reasons, "no filter: "+notFilter)
	}
	c.Why = strings.Join(reasons, "; ")
	return c
}

// String says how the tree is searched.
func (s *TreeSize) String() string {
	text := fmt.Sprintf("by %s: %s, at most %s at each", strings.Join(s.Subjects, ", "), quantity(s.Keys, "key"), quantity(s.Longest, "rule"))
	if s.Repeated > 0 {
		text += fmt.Sprintf("; %s for a request in which a header that is looked up is repeated or has a comma", quantity(s.Repeated, "rule"))
	}
	return text
}

// quantity is a number with its unit.
func quantity(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// listAlone says why only Envoy's own list can decide for a virtual host, or "".
func listAlone(h *plan.VirtualHost, o *Options) string {
	for _, r := range h.Rules {
		if len(r.Match.Claims) > 0 {
			return r.String() + " matches on claims of a JWT, which the filter does not know"
		}
	}
	return pluginconfig.TooCostly(h, o.Behaviour())
}

// list is what trying rules one by one costs on the average. It is read to its half: requests hit its rules all over.
func (c *Costs) list(rules []*plan.Rule) float64 {
	var all float64
	for _, r := range rules {
		all += c.rule(&r.Match)
	}
	return all / 2
}

// rule is what a rule that does not match costs. Envoy looks at headers first, then at the query, then at the path,
// and stops at the first that does not fit; most often that is the first one.
func (c *Costs) rule(m *plan.Match) float64 {
	switch {
	case len(m.Headers) > 0:
		cost := c.Header
		if m.Headers[0].Kind == plan.Regex {
			cost += c.Regex - c.Path
		}
		if strings.HasPrefix(m.Headers[0].Name, ":") && len(m.Headers) == 1 { // a method: one of five fits, and the path is next
			cost += c.path(m) / 5
		}
		return cost
	case len(m.Query) > 0:
		return c.Query
	default:
		return c.path(m)
	}
}

func (c *Costs) path(m *plan.Match) float64 {
	switch m.Path.Kind {
	case plan.Regex:
		return c.Regex
	case plan.Separated:
		return c.Separated
	default:
		return c.Path
	}
}

// Choices are the strategies for all virtual hosts of a plan, in order. It fails with what Envoy's API does not allow.
func Choices(p *plan.Plan, o Options) (out []Choice, err error) {
	defer catchRefusal(&err)
	for rc := range p.RouteConfigs() {
		out = append(out, chooseStrategies(rc, &o).choices...)
	}
	return out, nil
}

// SizedChoices are [Choices] with their sizes, for which the configuration is built.
func SizedChoices(p *plan.Plan, o Options) (out []Choice, err error) {
	defer catchRefusal(&err)
	for rc := range p.RouteConfigs() {
		s := chooseStrategies(rc, &o)
		for i, h := range rc.VirtualHosts {
			if s.choices[i].Size, err = s.size(rc, h, &s.choices[i], &o); err != nil {
				return nil, err
			}
		}
		out = append(out, s.choices...)
	}
	return out, nil
}

func (s *strategies) size(rc *plan.RouteConfig, h *plan.VirtualHost, c *Choice, o *Options) (*Size, error) {
	built := virtualHost(rc, h, s, o)
	out := &Size{Routes: len(h.Rules), Bytes: proto.Size(built)}
	switch c.Strategy {
	case StrategyTree:
		out.Routes = c.Tree.Routes
	case StrategyFilter:
		config, err := pluginconfig.Write(&plan.RouteConfig{Name: rc.Name, VirtualHosts: []*plan.VirtualHost{h}}, o.Behaviour())
		if err != nil {
			return nil, err
		}
		out.Routes, out.Bytes = len(outcomes(built)), out.Bytes+len(config)
	}
	return out, nil
}

// PluginConfig is the configuration of the filter for one route configuration, as JSON.
type PluginConfig struct {
	RouteConfig string
	JSON        []byte
}

// PluginConfigs are the configurations of a plan's filters, in order: one for each route configuration with a virtual host
// that the filter decides for.
func PluginConfigs(p *plan.Plan, o Options) (out []PluginConfig, err error) {
	defer catchRefusal(&err)
	for rc := range p.RouteConfigs() {
		s := chooseStrategies(rc, &o)
		if !s.filter {
			continue
		}
		config, err := s.pluginConfig(rc, &o)
		if err != nil {
			return nil, err
		}
		out = append(out, PluginConfig{rc.Name, config})
	}
	return out, nil
}

// strategies are the choices for the virtual hosts of one route configuration, and what was learnt in making them.
type strategies struct {
	choices []Choice
	of      map[*plan.VirtualHost]Strategy
	trees   map[*plan.VirtualHost]*tree // of those that can be one
	// filter: the filter decides for some virtual host. placed: it has a place in the chain, see [builder.httpFilters].
	// faults: some rule has a fault.
	filter, placed, faults bool
	rules                  int // of all virtual hosts
}

func chooseStrategies(rc *plan.RouteConfig, o *Options) *strategies {
	s := &strategies{
		of: map[*plan.VirtualHost]Strategy{}, trees: map[*plan.VirtualHost]*tree{}, filter: o.Matching == MatchingFilter,
		faults: anyRule(rc, func(r *plan.Rule) bool { return r.Fault != nil }),
	}
	for _, h := range rc.VirtualHosts {
		s.rules += len(h.Rules)
	}
	for _, h := range rc.VirtualHosts {
		c := s.choose(rc, h, o)
		s.choices = append(s.choices, c)
		s.of[h] = c.Strategy
		s.filter = s.filter || c.Strategy == StrategyFilter
	}
	s.placed = s.filter || o.Matching == MatchingAuto && (o.Dir != "" || o.Control != nil)
	return s
}

// pluginConfig is the configuration of the filter: the virtual hosts that it decides for.
func (s *strategies) pluginConfig(rc *plan.RouteConfig, o *Options) ([]byte, error) {
	decided := *rc
	decided.VirtualHosts = nil
	for _, h := range rc.VirtualHosts {
		if s.of[h] == StrategyFilter {
			decided.VirtualHosts = append(decided.VirtualHosts, h)
		}
	}
	return pluginconfig.Write(&decided, o.Behaviour())
}
