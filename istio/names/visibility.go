package names

import "slices"

// Visibility is how a resource is visible to a namespace. Its values are ranks: a private VirtualService is tried
// before a public one even if it is newer; within a rank, age decides (VS-SEL-04).
type Visibility int

// The ranks: Hidden is not visible; the others are in the order in which resources are tried.
const (
	Hidden   Visibility = iota
	Private             // in the proxy's namespace, and exported to it by name or "."
	Exported            // in another namespace, and exported to the proxy's by name
	Public              // exported to all namespaces
)

// VisibilityTo returns how a resource in namespace own, with the given exportTo, is visible to a namespace. No exportTo
// means public, and so does "*" beside any other entries (VS-SEL-03).
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
