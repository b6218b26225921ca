package gateway

import (
	"io"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// Load reads the resources in files and folders ("-" is stdin), and prepares them with [Prepare].
func Load(paths []string, stdin io.Reader) *resource.Input {
	return Prepare(resource.Read(paths, stdin))
}

// Prepare validates resources, and returns an input without those that have an error, so that the rest can be
// translated and all errors are reported at once. Its findings include those of reading, and are sorted by place. read
// is not changed.
func Prepare(read *resource.Input) *resource.Input {
	out := *read
	out.Findings = diag.Merge(read.Findings, validate.Set(read.Set))
	out.Set = read.Set.Without(refusedBy(out.Findings))
	return &out
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
