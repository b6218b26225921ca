package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/plan"
)

// writePlan prints for people what a plan has: per listener and host, how many rules there are, how they are matched, and
// why. The form may change; [writePlanJSON] has everything.
func writePlan(w io.Writer, p *plan.Plan, o envoy.Options) error {
	choices, err := envoy.SizedChoices(p, o)
	if err != nil {
		return err
	}
	priced := o.Matching == envoy.MatchingAuto && len(choices) > 0
	var b strings.Builder
	for _, l := range p.Listeners {
		for _, c := range l.Chains {
			fmt.Fprintf(&b, "%s: %s\n", listenerName(l), chainName(c))
			if c.Routes == nil {
				writeForwarding(&b, c.TCP)
				continue
			}
			n := len(c.Routes.VirtualHosts)
			writeHosts(&b, c, choices[:n], &o)
			choices = choices[n:]
		}
	}
	if len(p.Listeners) == 0 {
		b.WriteString("no listeners\n")
	}
	writeDropped(&b, "", "in no listener", p.Dropped)
	if priced {
		b.WriteString("A cost is that of a request, in comparisons with a path prefix in a list (some 0.05 µs each), and of copies of routes; sizes are those of the binary form.\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// listenerName is where a listener listens.
func listenerName(l *plan.Listener) string { return fmt.Sprintf("%s:%d", l.Bind, l.Port) }

// chainName is what a filter chain speaks, and for whom.
func chainName(c *plan.FilterChain) string {
	speaks := "TCP"
	switch {
	case c.Passthrough:
		speaks = "TLS that is passed through"
	case c.Routes != nil && c.TLS != nil:
		speaks = "HTTPS"
	case c.Routes != nil:
		speaks = "HTTP"
	case c.TLS != nil:
		speaks = "TLS"
	}
	if len(c.ServerNames) > 0 {
		speaks += " for " + shortList(c.ServerNames)
	}
	if c.Routes != nil {
		speaks += ", route configuration " + c.Routes.Name
	}
	return speaks
}

func writeForwarding(w io.Writer, t *plan.TCPProxy) {
	clusters := make([]string, len(t.Destinations))
	for i, d := range t.Destinations {
		clusters[i] = d.Cluster
	}
	fmt.Fprintf(w, "  to %s (%s)\n", shortList(clusters), t.Origin)
}

func writeHosts(w io.Writer, chain *plan.FilterChain, choices []envoy.Choice, o *envoy.Options) {
	rc := chain.Routes
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	priced := o.Matching == envoy.MatchingAuto && len(choices) > 0
	heading, cost := "", ""
	if priced {
		heading = "COST\t"
	}
	_, _ = fmt.Fprintln(table, "  HOST\tRULES\tMATCHING\tROUTES\tSIZE\t"+heading+"WHY") // the writer below is a [strings.Builder], as in all of these
	for i, h := range rc.VirtualHosts {
		c := &choices[i]
		why := c.Why
		if h.RequireTLS && chain.TLS == nil && o.TrustedHops == 0 {
			why = "httpsRedirect: every request is redirected before a rule is tried"
		}
		if priced {
			cost = costs(c) + "\t"
		}
		_, _ = fmt.Fprintf(table, "  %s\t%5d\t%s\t%6d\t%s\t%s%s\n", shortList(h.Domains), len(h.Rules), c.Strategy, c.Size.Routes, kilobytes(c.Size.Bytes), cost, why)
	}
	_ = table.Flush()
	writeDropped(w, "  ", "not here", rc.Dropped)
}

// costs are what a request costs in each way that is possible.
func costs(c *envoy.Choice) string {
	var parts []string
	for _, s := range []envoy.Strategy{envoy.StrategyList, envoy.StrategyTree, envoy.StrategyFilter} {
		if cost, ok := c.Cost[s]; ok {
			parts = append(parts, fmt.Sprintf("%s %.0f", s, cost))
		}
	}
	return strings.Join(parts, ", ")
}

// kilobytes is a number of bytes for people.
func kilobytes(n int) string { return fmt.Sprintf("%.1f kB", float64(n)/1000) }

// writeDropped lists what was left out, each with the reason.
func writeDropped(w io.Writer, indent, where string, all []plan.Dropped) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "%s%s:\n", indent, where)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range all {
		place := diag.Place{File: d.Source.File, Line: d.Source.Line}
		_, _ = fmt.Fprintf(table, "%s  %s\t%s\t%s\n", indent, diag.Printable(d.String()), diag.Printable(place.String()), diag.Printable(d.Why())) // as above
	}
	_ = table.Flush()
}

// shortList names the first of some names, and how many more there are.
func shortList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return fmt.Sprintf("%s +%d", names[0], len(names)-1)
}
