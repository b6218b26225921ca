package names

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ExtensionPrefix begins the annotations with which a resource turns on behaviour that Istio does not have. A resource
// without such an annotation means the same as in Istio.
const ExtensionPrefix = "waymark.dev/"

// Extensions are the settings that the annotations of a resource make. The zero value is Istio's behaviour.
type Extensions struct {
	// SegmentPrefixes means that a path prefix ends at a segment border, as in an Ingress.
	SegmentPrefixes bool
}

// Extension is one annotation.
type Extension struct {
	// Name is the annotation without the prefix; Kinds are the kinds of resources that may have it.
	Name  string
	Kinds []string
	// Summary is one line for docs/compatibility.md: the values and their meaning.
	Summary string

	parse func(into *Extensions, value string) error
}

// AllExtensions lists the extensions, sorted by name.
var AllExtensions = []Extension{
	{"prefix-match", []string{"VirtualService"}, "`text`, the default: `uri.prefix: /api` takes `/apix` too, as in Istio; `segments`: it takes `/api` and `/api/...` alone",
		func(into *Extensions, value string) (err error) {
			into.SegmentPrefixes, err = choose(value, "text", "segments")
			return err
		}},
}

// choose parses a value that is one of two words; the result is true for the second.
func choose(value, off, on string) (bool, error) {
	if value != off && value != on {
		return false, fmt.Errorf("%q is neither %s nor %s", value, off, on)
	}
	return value == on, nil
}

// ParseExtensions reads the extensions from the annotations of a resource. errs has the error of each annotation that
// is unknown or has a bad value, by the name of the annotation; nil where there is none.
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
