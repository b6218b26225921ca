package names

import "slices"

// Visibility ranks how a resource reaches a namespace. Within a rank, age decides. So a newer private VirtualService is
// tried before an older public one (VS-SEL-04).
type Visibility int

// The ranks. Hidden is not visible at all; of the others the first is looked at first.
const (
	Hidden   Visibility = iota
	Private             // exported to its own namespace only, which is the proxy's
	Exported            // exported to a list of namespaces that has the proxy's
	Public
)

// VisibilityTo says how a resource in namespace own, with the given exportTo, reaches a namespace. No exportTo is
// public; "*" makes every other entry meaningless (VS-SEL-03).
func VisibilityTo(namespace, own string, exportTo []string) Visibility {
	if len(exportTo) == 0 || slices.Contains(exportTo, "*") {
		return Public
	}
	best := Hidden
	for _, e := range exportTo {
		switch {
		case e == "~":
			return Hidden
		case (e == "." || e == own) && own == namespace:
			return Private
		case e == namespace && e != own:
			best = Exported
		}
	}
	return best
}
