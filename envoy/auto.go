package envoy

import (
	"fmt"
	"strings"

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
	// StrategyTree lets Envoy find the route by its path, in a tree; see [pathTree] for when that means the same.
	StrategyTree Strategy = "tree"
)

// Choice is the strategy for a virtual host, and its reason.
type Choice struct {
	RouteConfig string   `json:"routeConfig"`
	VirtualHost string   `json:"virtualHost"`
	Rules       int      `json:"rules"`
	Strategy    Strategy `json:"way"`
	Why         string   `json:"why"`
	// Cost of each strategy that means the same, in units of what matching one path prefix costs in a list.
	Cost map[Strategy]float64 `json:"cost,omitempty"`
}

// Costs are what matching costs Envoy, in units of one path prefix in a list. Only their proportions matter.
type Costs struct {
	// Of one rule in a list that does not match: by an exact path or a prefix, a prefix that ends at a segment, an
	// expression, a header, a query parameter.
	Path, Separated, Regex, Header, Query float64
	// Of a look-up in a tree, however large; of a decision of the filter, however many rules; and of the fault filter that
	// obeys its headers, where a rule has a fault.
	Tree, Filter, Faults float64
}

// measured are the costs that runs of 'make bench-envoy' came to, rounded, at the numbers of rules where list and filter
// cost the same: with more rules a list costs more for each of them, since its routes leave the processor's caches, but
// then the filter is cheaper anyway. See docs/performance.md.
var measured = Costs{Path: 1, Separated: 1, Regex: 1.7, Header: 1.15, Query: 1.2, Tree: 30, Filter: 160, Faults: 15}

// choose takes the cheapest strategy for a virtual host. A list is read to its half on the average: requests hit its rules all
// over.
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
	c.Cost = map[Strategy]float64{StrategyList: costs.list(h)}
	listAlone := listAlone(h, o)
	if listAlone == "" {
		c.Cost[StrategyFilter] = costs.Filter
		if s.faults {
			c.Cost[StrategyFilter] += costs.Faults
		}
	}
	tree, whyNot := pathTree(h)
	if whyNot == "" {
		s.trees[h] = tree
		c.Cost[StrategyTree] = costs.Tree
	}
	c.Strategy = StrategyList
	for _, candidate := range []Strategy{StrategyTree, StrategyFilter} {
		if cost, ok := c.Cost[candidate]; ok && cost < c.Cost[c.Strategy] {
			c.Strategy = candidate
		}
	}
	switch {
	case c.Strategy == StrategyTree:
		c.Why = "all rules match on the path alone, and a longer path always comes first: the longest one that fits is the first that matches"
	case c.Strategy == StrategyList && whyNot == "":
		c.Why = fmt.Sprintf("%d rules are tried faster than a tree is searched", len(h.Rules))
	case c.Strategy == StrategyList && listAlone != "":
		c.Why = listAlone
	case c.Strategy == StrategyList:
		c.Why = fmt.Sprintf("trying %d rules costs less than asking the filter; no tree: %s", len(h.Rules), whyNot)
	default:
		c.Why = fmt.Sprintf("trying %d rules costs more than asking the filter; no tree: %s", len(h.Rules), whyNot)
	}
	return c
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

// list is what trying the rules one by one costs on the average.
func (c *Costs) list(h *plan.VirtualHost) float64 {
	var all float64
	for _, r := range h.Rules {
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

// Choices are the strategies for all virtual hosts of a plan, in order.
func Choices(p *plan.Plan, o Options) []Choice {
	var out []Choice
	for rc := range p.RouteConfigs() {
		out = append(out, chooseStrategies(rc, &o).choices...)
	}
	return out
}

// PluginConfig is the configuration of the filter for one route configuration, as JSON.
type PluginConfig struct {
	RouteConfig string
	JSON        []byte
}

// PluginConfigs are the configurations of a plan's filters, in order: one for each route configuration with a virtual host
// that the filter decides for.
func PluginConfigs(p *plan.Plan, o Options) ([]PluginConfig, error) {
	var out []PluginConfig
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
	trees   map[*plan.VirtualHost]*paths // of those that can be one
	// filter: the filter decides for some virtual host. faults: some rule has a fault.
	filter, faults bool
}

func chooseStrategies(rc *plan.RouteConfig, o *Options) *strategies {
	s := &strategies{
		of: map[*plan.VirtualHost]Strategy{}, trees: map[*plan.VirtualHost]*paths{}, filter: o.Matching == MatchingFilter,
		faults: anyRule(rc, func(r *plan.Rule) bool { return r.Fault != nil }),
	}
	for _, h := range rc.VirtualHosts {
		c := s.choose(rc, h, o)
		s.choices = append(s.choices, c)
		s.of[h] = c.Strategy
		s.filter = s.filter || c.Strategy == StrategyFilter
	}
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
