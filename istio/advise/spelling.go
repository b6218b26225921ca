package advise

import (
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

// deniedPath is a path that a policy keeps from some clients: exact, /admin, or a prefix, /admin*.
type deniedPath struct {
	pattern string
	hosts   []string // for which; none are all
	policy  *resource.AuthorizationPolicy
}

// deniedPaths are the paths that policies deny. A policy that allows paths is left out: another spelling of such a path is
// refused. So are suffixes, which name no path.
func deniedPaths(policies []*resource.AuthorizationPolicy) (out []deniedPath) {
	for _, p := range policies {
		for _, rule := range p.Spec.GetRules() {
			for _, to := range rule.GetTo() {
				o := to.GetOperation()
				paths := o.GetNotPaths() // whatever else is allowed
				if p.Spec.GetAction() == security.AuthorizationPolicy_DENY {
					paths = o.GetPaths()
				} else if p.Spec.GetAction() != security.AuthorizationPolicy_ALLOW {
					continue
				}
				for _, path := range paths {
					if strings.HasPrefix(path, "/") && !strings.Contains(path, "{") {
						out = append(out, deniedPath{path, o.GetHosts(), p})
					}
				}
			}
		}
	}
	return out
}

// has reports whether the policy denies a path, as Istio compares them: byte by byte.
func (d deniedPath) has(path string) bool {
	if prefix, ok := strings.CutSuffix(d.pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return path == d.pattern
}

// isFor reports whether the policy is about a host of a VirtualService. Hosts of a delegate are not known.
func (d deniedPath) isFor(hosts []string) bool {
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
func checkSpellings(findings *diag.Findings, vs *resource.VirtualService, field string, r *istio.HTTPRoute, denied []deniedPath) {
	if len(denied) == 0 || len(r.GetRoute()) == 0 && r.GetDelegate() == nil {
		return
	}
	for i, m := range r.GetMatch() {
		takes := matcher(m)
		if takes == nil || takes(elsewhere) {
			continue
		}
		for _, d := range denied {
			path := strings.TrimSuffix(d.pattern, "*")
			if !d.isFor(vs.Spec.GetHosts()) || !takes(path) {
				continue
			}
			at := slices.IndexFunc(spellings(path), func(s string) bool {
				return takes(s) && !slices.ContainsFunc(denied, func(other deniedPath) bool { return other.has(s) })
			})
			if at >= 0 {
				findings.Add(diag.Warning, CodeOtherSpelling, vs.Object, field+".match["+strconv.Itoa(i)+"].uri",
					"takes %s as well as %s, which %s denies in that spelling alone", spellings(path)[at], path, d.policy.Object)
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
