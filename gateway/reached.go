package gateway

import (
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// Reached is whether requests reach a rule.
type Reached struct {
	Dead bool
	// Witness is a request that reaches it, in words, if it is known to be reached.
	Witness string
}

// RuleFinding is a finding about a rule, or an entry of a VirtualService, by its origin.
type RuleFinding struct {
	Origin   plan.Origin
	Severity diag.Severity
	Code     string
	Message  string
	Details  any
}

// AddRules adds findings about rules to their resources. Notices stay with the resources, too.
func (r *Report) AddRules(all []RuleFinding) {
	objects := make(map[string]*resource.Object, len(r.Set.VirtualServices))
	for _, vs := range r.Set.VirtualServices {
		objects["VirtualService "+vs.Key()] = vs.Object
	}
	index := r.index()
	changed := map[int]bool{}
	for _, a := range all {
		f := diag.Finding{
			Severity: a.Severity, Code: a.Code, Object: a.Origin.Kind + " " + a.Origin.Key(), Field: a.Origin.Field(), Message: a.Message, Details: a.Details,
		}
		if o := objects[f.Object]; o != nil {
			f.About, f.Place = o, o.Place(f.Field)
		}
		if i, ok := index[f.Object]; ok {
			r.Resources[i].Findings = append(r.Resources[i].Findings, f)
			changed[i] = true
		} else {
			r.Other = append(r.Other, f)
		}
	}
	for i := range changed {
		r.Resources[i].Findings.Sort()
	}
}

// Correct holds the warnings of Istio's analysis about rules that are not reached against what is known: one about a dead
// rule that has a finding of its own is left out, and one about a rule that is reached says so. Verdicts stay as they are.
func (r *Report) Correct(known map[plan.Origin]Reached) {
	byObject := map[string][]plan.Origin{}
	for origin := range known {
		byObject[origin.Key()] = append(byObject[origin.Key()], origin)
	}
	for i := range r.Resources {
		c := &r.Resources[i]
		if c.Kind != "VirtualService" {
			continue
		}
		at := map[string]Reached{} // by field
		matches := map[string][]Reached{}
		for _, origin := range byObject[c.Namespace+"/"+c.Name] {
			reached := known[origin]
			at[origin.Field()] = reached
			entry := origin
			entry.Path.Match = -1
			matches[entry.Field()] = append(matches[entry.Field()], reached)
		}
		c.Findings = slices.DeleteFunc(c.Findings, func(f diag.Finding) bool {
			if !strings.HasPrefix(f.Code, "VAL-W-") || !strings.HasPrefix(f.Field, "spec.http") {
				return false
			}
			own, ok := at[f.Field]
			isDead := ok && own.Dead || !ok && len(matches[f.Field]) > 0 && !slices.ContainsFunc(matches[f.Field], func(m Reached) bool { return !m.Dead })
			if isDead {
				c.unlisted = append(c.unlisted, f)
			}
			return isDead
		})
		for k := range c.Findings {
			f := &c.Findings[k]
			own, ok := at[f.Field]
			if entry, _, isMatch := strings.Cut(f.Field, ".match["); !ok && isMatch { // a rule that delegates
				own = at[entry]
			}
			if strings.HasPrefix(f.Code, "VAL-W-") && own.Witness != "" {
				f.Message += "; Istio will warn here, wrongly: this request comes: " + own.Witness
			}
		}
	}
}
