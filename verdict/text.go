package verdict

import (
	"fmt"
	"strings"

	"waymark.dev/waymark/diag"
)

// Text returns the verdict as one line: the request, what happens to it, destinations, and rule; where listeners differ, as
// a line for each. It is for people; the format may change.
func (v *Verdict) Text(r Request) string {
	if v.Kind == Differs {
		lines := make([]string, len(v.Listeners))
		for i, l := range v.Listeners {
			lines[i] = l.Text(r)
		}
		return strings.Join(lines, "\n")
	}
	method := r.Method
	if method == "" {
		method = "GET"
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %s%s", method, r.Authority, r.Path)
	if v.GatewayPort != 0 {
		fmt.Fprintf(b, " on port %d", v.GatewayPort)
		if v.Proxy != "" {
			fmt.Fprintf(b, " (%s)", v.Proxy)
		}
	}
	b.WriteString(" -> " + v.Outcome(r))
	return diag.Printable(b.String())
}

// Outcome is what happens to the request, as in [Verdict.Text].
func (v *Verdict) Outcome(r Request) string {
	if v.Kind == Differs {
		return "it differs by listener"
	}
	b := &strings.Builder{}
	switch v.Kind {
	case Route, TCP:
		if v.Kind == TCP {
			b.WriteString("tcp ")
		}
		for i, c := range v.Clusters {
			if i > 0 {
				b.WriteString(", ")
			}
			if len(v.Clusters) > 1 {
				fmt.Fprintf(b, "%d ", c.Weight)
			}
			b.WriteString(c.Name)
			b.WriteString(rewritten(r, v, c))
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
	if v.Kind == NoListener && r.GatewayPort != 0 {
		fmt.Fprintf(b, " on port %d", r.GatewayPort)
	}
	if v.there != "" {
		b.WriteString("; " + v.there)
	}
	if v.GRPCStatus != "" {
		fmt.Fprintf(b, " (to gRPC: 200, grpc-status %s)", v.GRPCStatus)
	}
	for _, n := range v.Notes() {
		if n.What != "retries" && (n.What != "CORS" || v.CORSEffect != nil) { // nearly every rule has retries
			b.WriteString("; " + n.What + ": " + n.Text)
		}
	}
	if v.rule != nil {
		fmt.Fprintf(b, "  (%s)", v.rule.RouteName())
	}
	if v.tcp != nil {
		fmt.Fprintf(b, "  (%s)", v.tcp.Origin)
	}
	if len(v.alike) > 0 {
		fmt.Fprintf(b, "  [on ports %d, %s alike]", v.listener.Port, strings.Join(v.alike, ", "))
	}
	if len(v.Unknown) > 0 {
		fmt.Fprintf(b, "  [not certain: rules compare %s, which only the proxy knows]", strings.Join(v.Unknown, ", "))
	}
	return diag.Printable(b.String())
}

// rewritten says which path and authority a destination gets, if they are not those of the request.
func rewritten(r Request, v *Verdict, c Cluster) string {
	switch u := c.Upstream; {
	case v.Kind == TCP, u.Authority == r.Authority && (u.Path == r.Path || u.Path == v.NormalizedPath):
		return ""
	case u.Authority == r.Authority:
		return " as " + u.Path
	default:
		return " as " + u.Authority + u.Path
	}
}
