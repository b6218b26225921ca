package gateway

import (
	"io"

	"waymark.dev/waymark/diag"
)

// Load reads the resources in files and folders ("-" is stdin), validates them, and takes out those that Istio would
// refuse, so that the rest can be translated and everything that is wrong comes to light at once.
func Load(paths []string, stdin io.Reader) *Input {
	in := Read(paths, stdin)
	findings := Validate(in.Set)
	in.Findings = diag.Merge(in.Findings, findings)
	in.Set = in.Set.Without(refusedBy(in.Findings))
	return in
}

// refusedBy are the objects with an error.
func refusedBy(findings diag.Findings) []*Object {
	var out []*Object
	seen := map[*Object]bool{}
	for _, f := range findings {
		if o, ok := f.About.(*Object); ok && f.Severity == diag.Error && !seen[o] {
			seen[o] = true
			out = append(out, o)
		}
	}
	return out
}
