package suite

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// A model of istio-config-validator, as far as a request passes or fails: internal/pkg/unit at its version of July 2026.
// It departs from Istio in what it does not look at, and in what it reads otherwise:
//
//   - of a match it reads uri, authority, method and headers; scheme, port, gateways, sourceLabels, sourceNamespace,
//     queryParams, withoutHeaders and ignoreUriCase are as if they were not there;
//   - a regular expression is put between ^ and $, so that a|b is (^a)|(b$), and a prefix of the first alternative will do;
//   - a condition on presence, {}, is never met, and names of headers are compared with their case;
//   - hosts are compared as texts: *.example.com is not a host of www.example.com, nor example.com of example.com:8080;
//   - rules are in the order of the files: a catch-all of the first VirtualService hides the second, whereas Istio puts
//     catch-alls at the end of all, and orders VirtualServices by age;
//   - a delegate's rules are tried without the conditions of the rule that delegates, and a delegate need not be there;
//   - the path is decoded, and compared without its query;
//   - parts of a rule are compared as they are written, not by what they do.

// ruleOfTool is the http rule that the tool finds; nil where it finds none.
type ruleOfTool struct {
	vs    *resource.VirtualService
	index int // in http
	match int // -1 of a rule without a match
	*istio.HTTPRoute
}

func (r *ruleOfTool) origin() plan.Origin {
	return plan.Origin{Kind: "VirtualService", Namespace: r.vs.Namespace, Name: r.vs.Name, Path: plan.Path{List: "http", Index: r.index, Match: r.match}}
}

// find returns the rule that the tool takes for a request. ok is false where the tool stops with an error.
func (c *validatorCase) find(q Request, all []*resource.VirtualService, withHosts bool) (found *ruleOfTool, ok bool) {
	for _, vs := range all {
		if withHosts && !slices.Contains(vs.Spec.GetHosts(), q.Authority) {
			continue
		}
		for i, h := range vs.Spec.GetHttp() {
			if len(h.GetMatch()) == 0 {
				return &ruleOfTool{vs, i, -1, h}, true
			}
			for j, m := range h.GetMatch() {
				matches, ok := c.matches(q, m)
				if !ok {
					return nil, false
				}
				if matches {
					return &ruleOfTool{vs, i, j, h}, true
				}
			}
		}
	}
	return &ruleOfTool{HTTPRoute: &istio.HTTPRoute{}}, true
}

// matches reports whether the tool's matcher has a request meet a match. ok is false for an expression that it cannot
// compile.
func (c *validatorCase) matches(q Request, m *istio.HTTPMatchRequest) (is, ok bool) {
	for _, name := range sortedKeys(m.GetHeaders()) {
		value, there := c.input[name]
		if !there {
			return false, true
		}
		if is, ok := meets(m.GetHeaders()[name], value); !is || !ok {
			return false, ok
		}
	}
	path := ""
	if u, err := url.Parse(q.Path); err == nil {
		path = u.Path
	}
	for _, condition := range []struct {
		on    *istio.StringMatch
		value string
	}{{m.GetUri(), path}, {m.GetAuthority(), q.Authority}, {m.GetMethod(), q.Method}} {
		if condition.on == nil {
			continue
		}
		if is, ok := meets(condition.on, condition.value); !is || !ok {
			return false, ok
		}
	}
	return true, true
}

// meets is the tool's comparison of a value.
func meets(m *istio.StringMatch, value string) (is, ok bool) {
	switch {
	case m.GetExact() != "":
		return m.GetExact() == value, true
	case m.GetPrefix() != "":
		return strings.HasPrefix(value, m.GetPrefix()), true
	case m.GetRegex() != "":
		expression, err := regexp.Compile("^" + m.GetRegex() + "$")
		if err != nil {
			return false, false
		}
		return expression.MatchString(value), true
	}
	return false, true
}

// passes reports whether the tool passes a request, and the rule that it takes.
func (c *validatorCase) passes(s *Rules, q Request) (bool, *ruleOfTool) {
	found, ok := c.find(q, s.VirtualServices, true)
	if !ok {
		return false, nil
	}
	if d := found.Delegate; d != nil {
		if c.delegate != nil && proto.Equal(d, c.delegate) != c.wantMatch {
			return false, found
		}
		if c.route != nil {
			i := slices.IndexFunc(s.VirtualServices, func(vs *resource.VirtualService) bool {
				return vs.Name == d.GetName() && (d.GetNamespace() == "" || vs.Namespace == d.GetNamespace())
			})
			if i < 0 {
				return false, found
			}
			if found, ok = c.find(q, s.VirtualServices[i:i+1], false); !ok {
				return false, nil
			}
		}
	}
	differs := func(isExpected, isEqual bool) bool { return isExpected && isEqual != c.wantMatch }
	return !(differs(c.route != nil, slices.EqualFunc(found.Route, c.route, func(a, b *istio.HTTPRouteDestination) bool { return proto.Equal(a, b) })) ||
		differs(c.rewrite != nil, proto.Equal(found.Rewrite, c.rewrite)) ||
		differs(c.fault != nil, proto.Equal(found.Fault, c.fault)) ||
		differs(c.headers != nil, proto.Equal(found.Headers, c.headers)) ||
		differs(c.redirect != nil, proto.Equal(found.Redirect, c.redirect))), found
}

// note says that the tool judges a request otherwise than Istio's rules do, and why; "" where it agrees.
func (c *validatorCase) note(a *answer, q Request, passed bool) string {
	byTool, found := c.passes(a.rules, q)
	if byTool == passed {
		return ""
	}
	verb := "fails"
	if byTool {
		verb = "passes"
	}
	return string(ConfigValidator) + " " + verb + " it: " + c.why(a, q, found)
}

// why is the reason why the tool judges a request otherwise.
func (c *validatorCase) why(a *answer, q Request, found *ruleOfTool) string {
	compared := c.route != nil || c.redirect != nil || c.rewrite != nil || c.fault != nil || c.headers != nil || c.delegate != nil
	ours := a.written()
	switch {
	case !compared:
		return "it ignores the keys destination and isMatch of its first version, and compares nothing"
	case found == nil:
		return "it cannot compile a regular expression"
	case found.vs == nil && ours == nil:
		return "it compares with an empty rule where no rule matches"
	case found.vs == nil:
		return "it finds no rule, since " + missed(q, a, ours)
	case found.Delegate != nil && ours == nil:
		return "it compares the delegate of " + found.origin().String() + " as it is written; the delegate is not there or is refused, so Istio drops the rule"
	case ours == nil && !a.rules.has(found.vs):
		return "it takes " + found.origin().String() + ", and no rule of that VirtualService is in force: Istio refuses it, or nothing serves it"
	case ours != nil && isOf(found, ours):
		return "it compares the rule as it is written, not what it does"
	case ours != nil && isBefore(ours, found):
		return "it passes over " + ours.String() + ", since " + missed(q, a, ours)
	default:
		return "it takes " + found.origin().String() + ", since " + mistaken(found)
	}
}

// isBefore reports whether a rule stands before the tool's in the same VirtualService.
func isBefore(r *plan.Rule, found *ruleOfTool) bool {
	o := r.Origin
	if r.Root.Kind != "" {
		o = r.Root
	}
	return o.Key() == found.vs.Key() && o.Path.Index < found.index
}

// has reports whether the plan has a rule of a VirtualService.
func (s *Rules) has(vs *resource.VirtualService) bool {
	for r := range s.Plan.Rules() {
		if r.Origin.Key() == vs.Key() {
			return true
		}
	}
	return false
}

// isOf reports whether the tool's rule is the http entry of a rule, or of the one that delegates to it.
func isOf(found *ruleOfTool, r *plan.Rule) bool {
	o := found.origin()
	for _, of := range []plan.Origin{r.Origin, r.Root} {
		if of.Key() == o.Key() && of.Path.List == o.Path.List && of.Path.Index == o.Path.Index {
			return true
		}
	}
	return false
}

// missed is the reason why the tool does not find a rule that Istio has for a request.
func missed(q Request, a *answer, ours *plan.Rule) string {
	switch {
	case strings.HasPrefix(a.verdict.Domain, "*"):
		return "it compares " + a.verdict.Domain + " with the host as a text"
	case a.verdict.Domain != q.Authority:
		return "it compares hosts with their case and with the port"
	case ours.Match.Path.IgnoreCase:
		return "it does not read ignoreUriCase"
	case slices.ContainsFunc(ours.Match.Headers, func(m plan.HeaderMatch) bool { return m.Kind == plan.Present && !m.Invert }):
		return "a condition on the presence of a header is never met there"
	default:
		return "it compares names of headers with their case, and the path after decoding it"
	}
}

// mistaken is the reason why the tool takes a rule that Istio does not take.
func mistaken(found *ruleOfTool) string {
	if found.match >= 0 {
		m := found.Match[found.match]
		var unread []string
		for name, isSet := range map[string]bool{
			"scheme": m.GetScheme() != nil, "port": m.GetPort() != 0, "gateways": len(m.GetGateways()) > 0, "sourceLabels": len(m.GetSourceLabels()) > 0,
			"sourceNamespace": m.GetSourceNamespace() != "", "queryParams": len(m.GetQueryParams()) > 0, "withoutHeaders": len(m.GetWithoutHeaders()) > 0,
		} {
			if isSet {
				unread = append(unread, name)
			}
		}
		if len(unread) > 0 {
			slices.Sort(unread)
			return "it does not read " + strings.Join(unread, ", ")
		}
		conditions := []*istio.StringMatch{m.GetUri(), m.GetAuthority(), m.GetMethod()}
		for _, name := range sortedKeys(m.GetHeaders()) {
			conditions = append(conditions, m.GetHeaders()[name])
		}
		if slices.ContainsFunc(conditions, func(s *istio.StringMatch) bool { return strings.Contains(s.GetRegex(), "|") }) {
			return "it anchors the first and the last alternative of a regular expression alone"
		}
	}
	return "it tries rules in the order of the files, and a delegate's without the conditions of the rule that delegates"
}
