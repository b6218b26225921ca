package names

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ExtensionPrefix begins the annotations by which a resource asks for more than Istio has. Without one, every resource
// means what it means to Istio.
const ExtensionPrefix = "waymark.dev/"

// Extensions are what the annotations of a resource turn on. The zero value is Istio's behaviour.
type Extensions struct {
	// SegmentPrefixes: a prefix of a path ends at a segment border, as in an Ingress.
	SegmentPrefixes bool
}

// Extension is one annotation.
type Extension struct {
	// Name without the prefix, and the kinds of resources that may have it.
	Name  string
	Kinds []string
	// Summary is one line for documentation: the values and what they mean.
	Summary string

	parse func(into *Extensions, value string) error
}

// AllExtensions is the one table of extensions, sorted by name.
var AllExtensions = []Extension{
	{"prefix-match", []string{"VirtualService"}, "`text`, the default: `uri.prefix: /api` takes `/apix` too, as in Istio; `segments`: it takes `/api` and `/api/...` alone",
		func(into *Extensions, value string) (err error) {
			into.SegmentPrefixes, err = choose(value, "text", "segments")
			return err
		}},
}

// choose is a switch with two words; true is the second.
func choose(value, off, on string) (bool, error) {
	if value != off && value != on {
		return false, fmt.Errorf("%q is neither %s nor %s", value, off, on)
	}
	return value == on, nil
}

// ParseExtensions reads the annotations of a resource. Errors are by the name of the annotation.
func ParseExtensions(kind string, annotations map[string]string) (out Extensions, errs map[string]error) {
	for _, annotation := range slices.Sorted(maps.Keys(annotations)) {
		name, ours := strings.CutPrefix(annotation, ExtensionPrefix)
		if !ours {
			continue
		}
		err := parseExtension(&out, kind, name, annotations[annotation])
		if err != nil {
			if errs == nil {
				errs = map[string]error{}
			}
			errs[annotation] = err
		}
	}
	return out, errs
}

func parseExtension(into *Extensions, kind, name, value string) error {
	var known []string
	for _, e := range AllExtensions {
		if !slices.Contains(e.Kinds, kind) {
			continue
		}
		if e.Name == name {
			return e.parse(into, value)
		}
		known = append(known, ExtensionPrefix+e.Name)
	}
	if len(known) == 0 {
		return fmt.Errorf("a %s has no extensions", kind)
	}
	return fmt.Errorf("it is not known; a %s may have %s", kind, strings.Join(known, ", "))
}
