package plan

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"

	"waymark.dev/waymark/diag"
)

// idEncoding writes ids with lower-case letters and digits.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// idLength is the number of characters, of 5 bits each, after the first letter of an id. With 60 bits, the probability
// that two of a million outcomes have the same id is one in two million; [Plan.CheckIDs] reports that.
const idLength = 12

// Seal computes the rule's outcomes and their ids. The rule must not change afterwards.
//
// An id is a hash of everything that the outcome's Envoy route has: match, action, chosen destination, header
// operations, and the rule's origin and name, which are the route's name in logs. It does not depend on weights, faults
// and the place in a file, which are not in the route, so changing a weight changes only the plugin configuration.
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

// outcome makes the outcome for one destination, by index, with the hash of the rule without its other destinations; -1
// for a rule without a route.
func (r *Rule) outcome(destination int, weight uint32) Outcome {
	text, err := json.Marshal(hashed(r, destination))
	if err != nil {
		panic("plan: a rule that cannot be written as JSON: " + err.Error()) // every field is a plain value
	}
	sum := sha256.Sum256(text)
	return Outcome{ID: "k" + idEncoding.EncodeToString(sum[:])[:idLength], Destination: destination, Weight: weight, sum: sum}
}

// VirtualService is namespace/name of the VirtualService that has the hosts for the rule: for a rule of a delegate, the
// root. It is "" for a rule that Istio generates itself.
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

// String identifies the rule: default/reviews.http[0].match[1], or default/root+default/delegate.http[0] for a rule of
// a delegate. For a rule that Istio generates itself, it is the name.
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

// Place is where the rule was written; it is the same for every field.
func (r *Rule) Place(string) diag.Place { return r.Source }

// RouteName is the name of the rule's routes in Envoy's logs and statistics: [Rule.String], with a colon and the rule's
// name if it has one. Characters that are not printable, such as line ends, are escaped.
func (r *Rule) RouteName() string {
	if r.Name == "" || r.VirtualService() == "" {
		return diag.Printable(r.String())
	}
	return diag.Printable(r.String() + ":" + r.Name)
}
