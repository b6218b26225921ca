package routing

// Table is a listener's compiled rules: immutable, safe for concurrent use, built once by [Compile].
type Table struct {
	name   string
	joined bool // repeated headers are compared joined by commas

	hosts        hostIndex
	virtualHosts []virtualHost
}

type virtualHost struct {
	name  string
	rules []rule
}

// rule is the compiled form of [Rule]. Its conditions are ordered as Envoy evaluates them (VS-MATCH-03); the order
// has no influence on the outcome.
type rule struct {
	name     string
	headers  []headerCondition
	query    []queryCondition
	path     pathCondition
	outcomes split
	fault    fault
	never    bool // no request meets it
}

// Name is the name of the route configuration, for logs.
func (t *Table) Name() string { return t.name }

// Rules counts the rules of all virtual hosts.
func (t *Table) Rules() int {
	n := 0
	for i := range t.virtualHosts {
		n += len(t.virtualHosts[i].rules)
	}
	return n
}

// RuleName says where the decision's rule comes from, or "" when no rule matched.
func (t *Table) RuleName(d Decision) string {
	if d.Rule < 0 {
		return ""
	}
	return t.virtualHosts[d.VirtualHost].rules[d.Rule].name
}
