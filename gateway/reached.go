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

// AddRule adds a finding about a rule, or an entry of a VirtualService, by its origin. A notice stays with its resource.
func (r *Report) AddRule(origin plan.Origin, severity diag.Severity, code, message string, details any) {
	var about diag.Subject
	var place diag.Place
	if o := r.object(origin); o != nil {
		about, place = o, o.Place(origin.Field())
	}
	f := diag.Finding{
		Severity: severity, Code: code, Place: place, Object: origin.Kind + " " + origin.Key(), Field: origin.Field(),
		Message: message, About: about, Details: details,
	}
	for i := range r.Resources {
		if c := &r.Resources[i]; c.Kind == origin.Kind && c.Namespace == origin.Namespace && c.Name == origin.Name {
			c.Findings = append(c.Findings, f)
			c.Findings.Sort()
			return
		}
	}
	r.Other = append(r.Other, f)
}

// object is the VirtualService of an origin.
func (r *Report) object(origin plan.Origin) *resource.Object {
	for _, vs := range r.Set.VirtualServices {
		if vs.Namespace == origin.Namespace && vs.Name == origin.Name {
			return vs.Object
		}
	}
	return nil
}

// Correct holds the warnings of Istio's analysis about rules that are not reached against what is known: one about a dead
// rule that has a finding of its own is left out, and one about a rule that is reached says so. Verdicts stay as they are.
func (r *Report) Correct(known map[plan.Origin]Reached) {
	for i := range r.Resources {
		c := &r.Resources[i]
		if c.Kind != "VirtualService" {
			continue
		}
		at := map[string]Reached{} // by field
		matches := map[string][]Reached{}
		for origin, reached := range known {
			if origin.Namespace != c.Namespace || origin.Name != c.Name {
				continue
			}
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
			if own := at[f.Field]; strings.HasPrefix(f.Code, "VAL-W-") && own.Witness != "" {
				f.Message += "; Istio will warn here, wrongly: this request comes: " + own.Witness
			}
		}
	}
}
