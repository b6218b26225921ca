package advise

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// DeniedPath is a path that a policy keeps from some clients: exact, /admin, or a prefix, /admin*.
type DeniedPath struct {
	Policy *resource.Object
	// Field is where the policy has the path.
	Field string
	// Path is the path, without the star of a prefix.
	Path string

	isPrefix bool
	hosts    []string // for which; none are all
}

// DeniedPaths are the paths that policies deny. A policy that allows paths is left out: another spelling of such a path is
// refused. So are suffixes, which name no path.
func DeniedPaths(set *resource.Set) (out []DeniedPath) {
	for _, p := range set.AuthorizationPolicies {
		for i, rule := range p.Spec.GetRules() {
			for j, to := range rule.GetTo() {
				o := to.GetOperation()
				field, paths := "notPaths", o.GetNotPaths() // whatever else is allowed
				if p.Spec.GetAction() == security.AuthorizationPolicy_DENY {
					field, paths = "paths", o.GetPaths()
				} else if p.Spec.GetAction() != security.AuthorizationPolicy_ALLOW {
					continue
				}
				for k, pattern := range paths {
					path, isPrefix := strings.CutSuffix(pattern, "*")
					if len(path) > 1 && path[0] == '/' && !strings.Contains(path, "{") {
						at := fmt.Sprintf("spec.rules[%d].to[%d].operation.%s[%d]", i, j, field, k)
						out = append(out, DeniedPath{p.Object, at, path, isPrefix, o.GetHosts()})
					}
				}
			}
		}
	}
	return out
}

// Denies reports whether the policy denies a path, after normalisation, as Istio compares them: byte by byte.
func (d DeniedPath) Denies(path string) bool {
	return path == d.Path || d.isPrefix && strings.HasPrefix(path, d.Path)
}

// IsFor reports whether the policy is about one of some hosts, or these are not known, as those of a delegate.
func (d DeniedPath) IsFor(hosts ...string) bool {
	return len(d.hosts) == 0 || len(hosts) == 0 || slices.ContainsFunc(d.hosts, func(own string) bool {
		return slices.ContainsFunc(hosts, func(h string) bool { return names.HostsMatch(strings.ToLower(own), h) })
	})
}

// elsewhere is a path that has nothing to do with any rule. What takes it does not name a path.
const elsewhere = "/a-path-of-no-rule/0"

// checkSpellings warns of a match that takes a path which a policy denies, and other spellings of it which the policy does
// not deny, since the match ignores case or has an expression that allows for them. A match that takes every path does not
// count: it knows no spellings.
//
//	AuthorizationPolicy   DENY, paths: ["/admin*"]
//	VirtualService        uri: {prefix: /admin}, ignoreUriCase: true     takes /ADMIN, which is not denied
func checkSpellings(findings *diag.Findings, vs *resource.VirtualService, field string, r *istio.HTTPRoute, denied []DeniedPath) {
	if len(denied) == 0 || len(r.GetRoute()) == 0 && r.GetDelegate() == nil {
		return
	}
	for i, m := range r.GetMatch() {
		takes := matcher(m)
		if takes == nil || takes(elsewhere) {
			continue
		}
		for _, d := range denied {
			path := d.Path
			if !d.IsFor(vs.Spec.GetHosts()...) || !takes(path) {
				continue
			}
			at := slices.IndexFunc(spellings(path), func(s string) bool {
				return takes(s) && !slices.ContainsFunc(denied, func(other DeniedPath) bool { return other.Denies(s) })
			})
			if at >= 0 {
				findings.Add(diag.Warning, CodeOtherSpelling, vs.Object, field+".match["+strconv.Itoa(i)+"].uri",
					"takes %s as well as %s, which %s denies in that spelling alone", spellings(path)[at], path, d.Policy)
				break
			}
		}
	}
}

// spellings are paths that some servers read as a given one.
func spellings(path string) []string {
	rest := path[1:]
	return []string{strings.ToUpper(path), "/" + path, "/%2F" + rest, "/%2f" + rest, path + ";a=b"}
}

// matcher is the condition of a match on the path; nil if it has none, or one that is not valid.
func matcher(m *istio.HTTPMatchRequest) func(path string) bool {
	fold := func(s string) string { return s }
	if m.GetIgnoreUriCase() {
		fold = strings.ToLower
	}
	switch uri := m.GetUri().GetMatchType().(type) {
	case *istio.StringMatch_Exact:
		exact := fold(uri.Exact)
		return func(path string) bool { return fold(path) == exact }
	case *istio.StringMatch_Prefix:
		prefix := fold(uri.Prefix)
		return func(path string) bool { return strings.HasPrefix(fold(path), prefix) }
	case *istio.StringMatch_Regex:
		re, err := regexp.Compile("^(?:" + uri.Regex + ")$")
		if err != nil {
			return nil // validation reports it
		}
		return re.MatchString
	default:
		return nil
	}
}
