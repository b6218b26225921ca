package plan

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"

	"waymark.dev/waymark/diag"
)

// idEncoding spells ids in lower-case letters and digits.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idLength is how many characters of 5 bits an id has besides its first letter. 60 bits: two of a million outcomes
// share an id with a chance of one in two million, and [Plan.CheckIDs] would say so.
const idLength = 12

// Seal computes the rule's outcomes and their ids. The rule must not change afterwards.
//
// An id is a hash of everything that the outcome's Envoy route holds: match, action, chosen destination, header
// operations and the rule's reference, which is the route's name in logs. It does not depend on weights, faults and the
// file, which are not in the route; so changing a weight changes the plugin configuration alone.
func (r *Rule) Seal() {
	r.Outcomes = nil
	if r.Route == nil {
		r.Outcomes = []Outcome{r.outcome(-1, 1)}
		return
	}
	if !r.Route.Weighted {
		r.Outcomes = []Outcome{r.outcome(0, 1)}
		return
	}
	for i, d := range r.Route.Destinations {
		if d.Weight > 0 {
			r.Outcomes = append(r.Outcomes, r.outcome(i, d.Weight))
		}
	}
}

// outcome hashes the rule with all but the chosen destination removed.
func (r *Rule) outcome(destination int, weight uint32) Outcome {
	text, err := json.Marshal(hashed(r, destination))
	if err != nil {
		panic("plan: a rule that cannot be JSON: " + err.Error()) // every field is a plain value
	}
	sum := sha256.Sum256(text)
	return Outcome{ID: "k" + idEncoding.EncodeToString(sum[:])[:idLength], Destination: destination, Weight: weight, sum: sum}
}

// VirtualService is namespace/name of the VirtualService whose hosts the rule is for, of the root for a delegate's rule. ""
// is a rule that Istio makes itself.
func (r *Rule) VirtualService() string {
	switch {
	case r.Origin.Path.List != "http":
		return ""
	case r.Root.Kind != "":
		return r.Root.Key()
	default:
		return r.Origin.Key()
	}
}

// String says which rule this is: default/reviews.http[0].match[1], or default/root+default/delegate.http[0] for a rule of
// a delegate. A rule of Istio's own is its name.
func (r *Rule) String() string {
	switch {
	case r.VirtualService() == "":
		return r.Name
	case r.Root.Kind != "":
		return r.Root.Key() + "+" + r.Origin.String()
	default:
		return r.Origin.String()
	}
}

// Place is where the rule was written, whatever the field is.
func (r *Rule) Place(string) diag.Place { return r.Source }

// RouteName is the name of the rule in Envoy's logs and statistics: its reference, and the user's own name for it. A name
// that would end a line of a log is escaped.
func (r *Rule) RouteName() string {
	if r.Name == "" || r.VirtualService() == "" {
		return diag.Printable(r.String())
	}
	return diag.Printable(r.String() + ":" + r.Name)
}
