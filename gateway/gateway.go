package gateway

import (
	"io"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// Load reads the resources in files and folders ("-" is stdin), and prepares them.
func Load(paths []string, stdin io.Reader) *resource.Input {
	return Prepare(resource.Read(paths, stdin))
}

// Prepare validates what was read, and takes out what Istio would refuse, so that the rest can be translated and
// everything that is wrong comes to light at once. Its findings, those of reading included, are sorted.
func Prepare(read *resource.Input) *resource.Input {
	out := *read
	out.Findings = diag.Merge(read.Findings, validate.Set(read.Set))
	out.Set = read.Set.Without(refusedBy(out.Findings))
	return &out
}

// refusedBy are the objects with an error.
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
