package verdict

import (
	"fmt"
	"strings"

	"waymark.dev/waymark/diag"
)

// Text returns the verdict as one line: the request, what happens to it, destinations, and rule. It is for people; the
// format may change.
func (v *Verdict) Text(r Request) string {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %s%s -> ", method, r.Authority, r.Path)
	switch v.Kind {
	case Route:
		for i, c := range v.Clusters {
			if i > 0 {
				b.WriteString(", ")
			}
			if len(v.Clusters) > 1 {
				fmt.Fprintf(b, "%d ", c.Weight)
			}
			b.WriteString(c.Name)
		}
	case Redirect, TLSRedirect, PathRedirect:
		fmt.Fprintf(b, "%d %s", v.Status, v.Location)
	case DirectResponse:
		fmt.Fprintf(b, "%d direct response", v.Status)
	default:
		if v.Status != 0 {
			fmt.Fprintf(b, "%d ", v.Status)
		}
		b.WriteString(strings.ReplaceAll(string(v.Kind), "_", " "))
	}
	if v.GRPCStatus != "" {
		fmt.Fprintf(b, " (to gRPC: 200, grpc-status %s)", v.GRPCStatus)
	}
	if v.rule != nil {
		fmt.Fprintf(b, "  (%s)", v.rule.RouteName())
	}
	if len(v.Unknown) > 0 {
		fmt.Fprintf(b, "  [not certain: rules compare %s, which only the proxy knows]", strings.Join(v.Unknown, ", "))
	}
	return diag.Printable(b.String())
}
