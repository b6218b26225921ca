package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// What a change of the files changes is told in a few words: which hosts, rules and destinations were added, removed or
// changed. A rule is compared by what it does, not by its place: one that is inserted changes none of those after it.

// changes are the names of what differs between two plans.
type changes struct{ added, removed, changed []string }

func (c *changes) text(what string) string {
	var parts []string
	for _, part := range []struct {
		names []string
		verb  string
	}{{c.added, "added"}, {c.removed, "removed"}, {c.changed, "changed"}} {
		if n := len(part.names); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", n, part.verb, named(part.names)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return what + ": " + strings.Join(parts, ", ")
}

// changesBetween describes the differences of two plans; nil is an empty one.
func changesBetween(before, after *plan.Plan) string {
	before = cmp.Or(before, &plan.Plan{})
	var hosts, rules, destinations changes
	old, now := rulesByHost(before), rulesByHost(after)
	for _, host := range slices.Sorted(maps.Keys(now)) {
		if _, had := old[host]; !had {
			hosts.added = append(hosts.added, host)
		}
		compareRules(old[host], now[host], &rules)
	}
	for _, host := range slices.Sorted(maps.Keys(old)) {
		if _, has := now[host]; !has {
			hosts.removed = append(hosts.removed, host)
			compareRules(old[host], nil, &rules)
		}
	}
	compare(clusterContents(before), clusterContents(after), &destinations)
	var parts []string
	for _, part := range []string{hosts.text("hosts"), rules.text("rules"), destinations.text("destinations")} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "no host, rule or destination has changed"
	}
	return strings.Join(parts, "; ")
}

// ruleContent is a rule as it is compared: its name for people, and a hash of what it does.
type ruleContent struct {
	name string
	sum  [sha256.Size]byte
}

// rulesByHost are the rules of each host, with the port where it is served on several.
func rulesByHost(p *plan.Plan) map[string][]ruleContent {
	out := map[string][]ruleContent{}
	sums := map[*plan.Rule]ruleContent{} // a rule may be one of several hosts
	several := 0
	for range p.RouteConfigs() {
		several++
	}
	for rc := range p.RouteConfigs() {
		for _, h := range rc.VirtualHosts {
			host := hostName(h)
			if several > 1 {
				host = fmt.Sprintf("%s:%d", host, rc.Port)
			}
			list := out[host]
			for _, r := range h.Rules {
				if _, known := sums[r]; !known {
					sums[r] = contentOf(r)
				}
				list = append(list, sums[r])
			}
			out[host] = list
		}
	}
	return out
}

func contentOf(r *plan.Rule) ruleContent {
	place := *r
	place.Origin.Path, place.Root, place.Source, place.Outcomes = plan.Path{}, plan.Origin{}, diag.Place{}, nil
	place.StatPrefix = ""
	return ruleContent{r.RouteName(), sumOf(place)}
}

func sumOf(v any) [sha256.Size]byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("the plan cannot be compared: " + err.Error()) // never: it is printed as JSON
	}
	return sha256.Sum256(text)
}

// compareRules leaves out the rules that both lists have, and pairs the others by their names.
func compareRules(before, after []ruleContent, c *changes) {
	same := map[[sha256.Size]byte]int{}
	for _, r := range before {
		same[r.sum]++
	}
	var added []ruleContent
	for _, r := range after {
		if same[r.sum] > 0 {
			same[r.sum]--
			continue
		}
		added = append(added, r)
	}
	removed := map[string]bool{}
	var gone []string
	for _, r := range before {
		if same[r.sum] > 0 {
			same[r.sum]--
			removed[r.name] = true
			gone = append(gone, r.name)
		}
	}
	if len(added)+len(gone) == 0 && !slices.EqualFunc(before, after, func(a, b ruleContent) bool { return a.sum == b.sum }) {
		c.changed = append(c.changed, "the order from "+after[0].name+" on")
		return
	}
	for _, r := range added {
		if removed[r.name] {
			delete(removed, r.name)
			c.changed = append(c.changed, r.name)
		} else {
			c.added = append(c.added, r.name)
		}
	}
	for _, name := range gone {
		if removed[name] {
			c.removed = append(c.removed, name)
		}
	}
}

func clusterContents(p *plan.Plan) map[string][sha256.Size]byte {
	out := map[string][sha256.Size]byte{}
	for _, c := range p.Clusters {
		out[c.Name] = sumOf(c)
	}
	return out
}

// compare tells which keys are new, gone, or have another value.
func compare(before, after map[string][sha256.Size]byte, c *changes) {
	for _, key := range slices.Sorted(maps.Keys(after)) {
		switch sum, had := before[key]; {
		case !had:
			c.added = append(c.added, key)
		case sum != after[key]:
			c.changed = append(c.changed, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, has := after[key]; !has {
			c.removed = append(c.removed, key)
		}
	}
}

// changedFiles names the files that differ between two looks, and how.
func changedFiles(before, after map[string][sha256.Size]byte) string {
	var c changes
	compare(before, after, &c)
	var names []string
	names = append(names, c.changed...)
	for _, name := range c.added {
		names = append(names, name+" (new)")
	}
	for _, name := range c.removed {
		names = append(names, name+" (removed)")
	}
	return named(names)
}
