package gateway

import (
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// Load reads the resources in files and folders ("-" is standard input), and prepares them with [Prepare].
func Load(paths []string, o resource.Options, envoys version.Range) *resource.Input {
	return Prepare(resource.Read(paths, o), envoys)
}

// Prepare validates resources, and returns an input with those that an API server would have after it was given them in
// their order: without those that have an error, and without those that a later one of the same kind, namespace and name
// replaces. So the rest can be translated, and all errors are reported at once. Its findings include those of reading,
// and are sorted by place. read is not changed. What all of the Envoys would refuse is an error, what some would a warning.
//
// An object that is refused because a placeholder such as ${HOST} was not replaced has one warning that says so, in
// place of the errors about values that have it.
func Prepare(read *resource.Input, envoys version.Range) *resource.Input {
	out := *read
	out.Findings = withoutRepetitions(slices.Concat(read.Findings, validate.Set(read.Set, validate.Options{Envoys: envoys, Strict: read.Strict})))
	refused := refusedBy(out.Findings)
	out.Findings = withoutPlaceholders(out.Findings, refused, read.Strict)
	out.Set = read.Set.Without(refused).Latest(&out.Findings)
	out.Findings.Sort()
	return &out
}

// Keep returns an input in which the objects that are refused, and those of files that cannot be read completely, are as
// they were in a set before: a mistake in a change takes nothing away that was served. It adds a warning for each. read
// is not changed.
func Keep(read *resource.Input, before *resource.Set) *resource.Input {
	if before == nil {
		return read
	}
	out := *read
	out.Findings = slices.Clone(read.Findings)
	out.Set = read.Set.Keep(before, brokenFiles(read), &out.Findings)
	out.Findings.Sort()
	return &out
}

// brokenFiles are the files of which a document cannot be used, and it is not known which object it was to be: it is not
// YAML, or its kind or name is missing or misspelt. A warning about a whole file has no line; it is not broken.
func brokenFiles(read *resource.Input) []string {
	known := map[diag.Subject]bool{}
	for _, o := range read.Set.Refused {
		known[o.Object] = o.Name != "" && o.Namespace != "" && resource.Reads(o.Kind)
	}
	out := slices.Clone(read.Broken)
	for _, f := range read.Findings {
		if f.Severity == diag.Error && !known[f.About] || f.Severity == diag.Warning && f.About == nil && f.Place.Line > 0 {
			out = append(out, f.Place.File)
		}
	}
	return out
}

// withoutRepetitions removes what the schema refuses and Istio's validation refuses as well, with a message of its own about
// the same field or its parent.
func withoutRepetitions(findings diag.Findings) diag.Findings {
	type at struct {
		about diag.Subject
		field string
	}
	known := map[at]bool{}
	for _, f := range findings {
		if f.Severity == diag.Error && f.Code != resource.SchemaCode {
			known[at{f.About, f.Field}] = true
		}
	}
	return slices.DeleteFunc(findings, func(f diag.Finding) bool {
		parent := f.Field[:max(0, strings.LastIndexAny(f.Field, ".["))]
		return f.Code == resource.SchemaCode && (known[at{f.About, f.Field}] || known[at{f.About, parent}])
	})
}

// withoutPlaceholders replaces the findings of refused objects that are about a value with a placeholder, or with an
// expression of a template, by one finding each. Any other finding of such an object stays: it is true whatever the
// placeholder stands for.
func withoutPlaceholders(findings diag.Findings, refused []*resource.Object, strict bool) diag.Findings {
	waiting := map[diag.Subject]string{} // the first placeholder for which an object is refused
	for _, f := range findings {
		if o, ok := f.About.(*resource.Object); ok && f.Severity == diag.Error && waiting[o] == "" {
			waiting[o] = o.PlaceholderIn(f.Field)
		}
	}
	kept := slices.DeleteFunc(findings, func(f diag.Finding) bool {
		o, ok := f.About.(*resource.Object)
		return ok && waiting[o] != "" && o.PlaceholderIn(f.Field) != ""
	})
	for _, o := range refused {
		if at := waiting[o]; at != "" {
			kept.Add(diag.Warning.Strict(strict), resource.PlaceholderCode, o, "", "%s", resource.Unfilled(at, o.Place("").File))
		}
	}
	return kept
}

// refusedBy returns the objects that have an error.
func refusedBy(findings diag.Findings) []*resource.Object {
	var out []*resource.Object
	seen := map[*resource.Object]bool{}
	for _, f := range findings {
		if o, ok := f.About.(*resource.Object); ok && f.Severity == diag.Error && !seen[o] {
			seen[o] = true
			out = append(out, o)
		}
	}
	return out
}
