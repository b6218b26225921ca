package bruteforce

import (
	"fmt"
	"sort"
	"strings"

	"waymark.dev/waymark/plan"
)

// Outcome is what a rule does with a request, as far as generated rules go; "" is no rule.
func Outcome(r *plan.Rule, request Request) string {
	if r == nil {
		return ""
	}
	path, _, _ := strings.Cut(request.Verdict().Path, "?")
	switch {
	case r.Redirect != nil:
		if r.Redirect.Path != "" {
			path = r.Redirect.Path
		}
		return fmt.Sprint("redirect ", r.Redirect.Status, r.Redirect.Host, path)
	case r.DirectResponse != nil:
		return fmt.Sprint("response ", r.DirectResponse.Status, string(r.DirectResponse.Body))
	}
	if to := r.Route.PrefixRewrite; to != "" {
		switch r.Match.Path.Kind {
		case plan.Prefix:
			path = to + path[len(r.Match.Path.Value):]
		default:
			path = to
		}
	}
	var shares []string
	total := uint32(0)
	for _, d := range r.Route.Destinations {
		total += max(d.Weight, 1)
	}
	for _, d := range r.Route.Destinations {
		shares = append(shares, fmt.Sprintf("%s %d", d.Cluster, max(d.Weight, 1)*1000/total))
	}
	sort.Strings(shares)
	return fmt.Sprint("route ", shares, r.Route.Timeout, path)
}
