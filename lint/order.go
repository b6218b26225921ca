package lint

import (
	"fmt"
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/verdict"
)

// compareVirtualServices finds the VirtualServices of one host whose order decides: some request is taken by a rule of the
// first one, and without it a rule of the second one would take the request and do something else. That a catch-all comes
// after all other rules is Istio's order of catch-alls (VS-ORD-02), and does not count.
func (c *checker) compareVirtualServices(u *unit) {
	byName := map[string][]int{}
	var order []string
	for i, r := range u.Host.Rules {
		name := r.VirtualService()
		if name == "" {
			continue
		}
		if byName[name] == nil {
			order = append(order, name)
		}
		byName[name] = append(byName[name], i)
	}
	for _, first := range order {
		isFirst := make([]bool, len(u.Host.Rules))
		for _, i := range byName[first] {
			isFirst[i] = true
		}
		for _, second := range order {
			if first == second {
				continue
			}
			if a, b, request, found := u.contest(byName[first], byName[second], isFirst); found {
				c.contests(u, a, b, request)
			}
		}
	}
}

// contest searches two rules of two VirtualServices between which the order decides. isFirst says by index which rules are
// those of the first one.
func (u *unit) contest(firsts, seconds []int, isFirst []bool) (a, b int, request verdict.Request, found bool) {
	for _, a := range firsts {
		for _, b := range seconds {
			if a > b || u.Host.Rules[a].Match.IsCatchAll() != u.Host.Rules[b].Match.IsCatchAll() {
				continue
			}
			if r := u.DifferingWithout(a, b, isFirst); r.Found {
				return a, b, r.Request, true
			}
		}
	}
	return 0, 0, request, false
}

// contests adds a place to the finding about two VirtualServices.
func (c *checker) contests(u *unit, a, b int, request verdict.Request) {
	first, second := u.Host.Rules[a], u.Host.Rules[b]
	where := stand{u, a}.where()
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		if f.Code == OrderDecides && f.VirtualServices[0] == first.VirtualService() && f.VirtualServices[1] == second.VirtualService() {
			f.Where = appendNew(f.Where, where)
			return
		}
	}
	by := ""
	if c.DecidedBy != nil {
		by = c.DecidedBy(first.VirtualService(), second.VirtualService())
	}
	c.report.Findings = append(c.report.Findings, Finding{
		Code: OrderDecides, Severity: diag.Warning, About: first.Origin, Source: first.Source,
		Details: Details{
			VirtualServices: []string{first.VirtualService(), second.VirtualService()}, Where: appendNew(nil, where),
			Rules: []string{first.String(), second.String()}, Witness: &request, DecidedBy: by,
		},
	})
}

func appendNew(all, more []Where) []Where {
	for _, w := range more {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

// decidedBy are the reasons for an order in words.
var decidedBy = map[string]string{
	"age": "it is older", "name": "its name comes first in the alphabet, and both are of the same age", "visibility": "of its exportTo",
}

// joinOrder writes the messages about order, when all places are known.
func (c *checker) joinOrder() {
	for i := range c.report.Findings {
		f := &c.report.Findings[i]
		if f.Code != OrderDecides {
			continue
		}
		why := ""
		if text := decidedBy[f.DecidedBy]; text != "" {
			why = fmt.Sprintf(", since %s", text)
			if f.DecidedBy == "visibility" {
				why = ", because " + text
			}
		}
		f.Message = fmt.Sprintf("%s and %s both match requests on %s, and do different things with them; %s comes first%s",
			f.Rules[0], f.Rules[1], listed(f.Where), f.VirtualServices[0], why)
	}
}
