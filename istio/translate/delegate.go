package translate

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// boundVirtualService is a VirtualService with hosts, its delegates merged into its rules.
type boundVirtualService struct {
	*resource.VirtualService
	rules []httpRule
}

// httpRule is a rule with the place where it was written.
type httpRule struct {
	*istio.HTTPRoute
	origin *resource.VirtualService // the root, or its delegate
	index  int                      // in the origin's http[]
	root   plan.Origin              // the root's rule that delegates to origin; the zero value for a rule of a root

	extensions names.Extensions // of the origin
}

// originOf is the origin of the rule and one of its matches, by index; -1 is the rule without a match.
func (h httpRule) originOf(match int) plan.Origin {
	return originOf(h.origin, plan.Path{List: "http", Index: h.index, Match: match})
}

// drop is the record that a match of the rule, by index, is left out of the plan; -1 is a rule without match. by is
// what takes its place, if anything.
func (h httpRule) drop(match int, code plan.DropCode, by plan.Origin) plan.Dropped {
	return plan.Dropped{Origin: h.originOf(match), Root: h.root, Source: h.origin.Place(h.field(h.place(match))), Code: code, By: by}
}

// place is where a match of the rule, by index, is written, below the rule. In a delegate it is the whole rule: its matches
// were merged with those of the rule that delegates.
func (h httpRule) place(match int) string {
	if match < 0 || h.root.Kind != "" {
		return ""
	}
	return ".match[" + strconv.Itoa(match) + "]"
}

// originOf is the origin for a VirtualService, or for a rule of it.
func originOf(vs *resource.VirtualService, path plan.Path) plan.Origin {
	return plan.Origin{Kind: "VirtualService", Namespace: vs.Namespace, Name: vs.Name, Path: path}
}

// extensionsOf are what the annotations of a VirtualService turn on. Validation refuses bad ones.
func extensionsOf(vs *resource.VirtualService) names.Extensions {
	out, _ := names.ParseExtensions(vs.Kind, vs.Annotations)
	return out
}

func (h httpRule) field(rest string) string { return "spec.http[" + strconv.Itoa(h.index) + "]" + rest }

// mergeDelegates replaces every rule that delegates by the merged rules of its delegate, and leaves the delegates
// themselves out: a VirtualService without hosts is never applied on its own (VS-DEL-01). A rule whose delegate is
// missing, or is not exported to the rule's namespace, is dropped with a warning (VS-DEL-03).
func mergeDelegates(all []*resource.VirtualService, refused []resource.Refused, out *output) []*boundVirtualService {
	delegates := newDelegateIndex(all, refused)
	var roots []*boundVirtualService
	made := &bound{what: "rules of delegates", most: maxRules, out: out}
	for _, vs := range all {
		if len(vs.Spec.Hosts) == 0 {
			continue
		}
		root := &boundVirtualService{VirtualService: vs, rules: make([]httpRule, 0, len(vs.Spec.Http))}
		extensions := extensionsOf(vs)
		for i, rule := range vs.Spec.Http {
			if rule.GetDelegate() == nil {
				root.rules = append(root.rules, httpRule{HTTPRoute: rule, origin: vs, index: i, extensions: extensions})
			} else {
				root.rules = append(root.rules, delegated(vs, i, delegates, made, out)...)
			}
		}
		roots = append(roots, root)
	}
	return roots
}

// Written lists the rules of all VirtualServices with hosts, those of their delegates merged, whether a proxy uses them or
// not. The rules have their names and places, not what they match and do.
func Written(r *resource.Set, domain string) []*plan.Rule {
	var out []*plan.Rule
	for _, vs := range mergeDelegates(resolveNames(r.VirtualServices, domain), r.Refused, &output{}) {
		for _, h := range vs.rules {
			for i := range max(1, len(h.Match)) {
				if len(h.Match) == 0 {
					i = -1
				}
				origin := h.originOf(i)
				out = append(out, &plan.Rule{Origin: origin, Root: h.root, Name: h.Name, Source: h.origin.Place(origin.Field())})
			}
		}
	}
	return out
}

// delegated returns the rules that replace the root's rule i: those of its delegate, each merged with rule i.
func delegated(root *resource.VirtualService, i int, delegates *delegateIndex, made *bound, out *output) []httpRule {
	rule := root.Spec.Http[i]
	origin := originOf(root, plan.EntryPath("http", i))
	field := "spec.http[" + strconv.Itoa(i) + "].delegate"
	key := delegateKey(root, rule)
	d, ok := delegates.byKey[key]
	if !ok || names.VisibilityTo(root.Namespace, d.Namespace, d.Spec.ExportTo) == names.Hidden {
		why, meant := "it is not exported to namespace "+root.Namespace, ""
		if !ok {
			why, meant = delegates.missing(key)
		}
		out.findings.Add(diag.Warning, CodeNoDelegate, root.Object, field, "delegate %s: %s; the rule is dropped%s", key, why, meant)
		out.drop(root.Object, origin, plan.DropNoDelegate, plan.Origin{})
		return nil
	}
	var rules []httpRule
	extensions := extensionsOf(d)
	for j, sub := range d.Spec.Http {
		if sub.GetDelegate() != nil {
			out.dropDelegated(d, j, plan.DropNestedDelegate, origin)
			continue // one level only (VS-DEL-02)
		}
		if !made.add(max(1, len(rule.Match))*max(1, len(sub.GetMatch())), root.Object, field) {
			break
		}
		if merged := mergeRule(rule, sub); merged != nil {
			rules = append(rules, httpRule{merged, d, j, origin, extensions})
			continue
		}
		out.dropDelegated(d, j, plan.DropDelegateConflict, origin)
		out.findings.Add(diag.Warning, "", root.Object, field,
			"rule http[%d] of delegate %s is dropped: one of its matches contradicts every match of this rule", j, key)
	}
	return rules
}

// dropDelegated records that rule j of a delegate is left out; root is the rule that delegates.
func (o *output) dropDelegated(d *resource.VirtualService, j int, code plan.DropCode, root plan.Origin) {
	o.drop(d.Object, originOf(d, plan.EntryPath("http", j)), code, root)
	o.dropped[len(o.dropped)-1].Root = root
}

// delegateKey is the namespace/name that a rule of a VirtualService delegates to.
func delegateKey(root *resource.VirtualService, rule *istio.HTTPRoute) string {
	return cmp.Or(rule.GetDelegate().GetNamespace(), root.Namespace) + "/" + rule.GetDelegate().GetName()
}

// delegateIndex finds delegates, and what may be wrong with the name of one that is not there.
type delegateIndex struct {
	byKey  map[string]*resource.VirtualService
	unfit  map[string]string // why a VirtualService is no delegate, by its key
	byName map[string]string // the namespace of a delegate, by its name
	keys   []string
	spent  int // how often the nearest name was looked for
}

func newDelegateIndex(all []*resource.VirtualService, refused []resource.Refused) *delegateIndex {
	x := &delegateIndex{byKey: map[string]*resource.VirtualService{}, unfit: map[string]string{}, byName: map[string]string{}}
	for _, r := range refused {
		if r.Kind == "VirtualService" {
			x.unfit[r.Key()] = "it is refused"
		}
	}
	for _, vs := range all {
		if len(vs.Spec.Hosts) > 0 {
			x.unfit[vs.Key()] = "that VirtualService has hosts, and only one without hosts can be a delegate"
			continue
		}
		x.byKey[vs.Key()], x.byName[vs.Name] = vs, vs.Namespace
		x.keys = append(x.keys, vs.Key())
	}
	return x
}

// missing says why there is no delegate with a key, and what may have been meant.
func (x *delegateIndex) missing(key string) (why, meant string) {
	if why := x.unfit[key]; why != "" {
		return why, ""
	}
	why = "there is no VirtualService without hosts of that name"
	_, name, _ := strings.Cut(key, "/")
	if namespace := x.byName[name]; namespace != "" {
		return why, "; did you mean the one in namespace " + namespace + "?"
	}
	if x.spent++; x.spent <= mostNearNames {
		meant = resource.DidYouMean(key, x.keys)
	}
	return why, meant
}

// mergeRule merges a rule of a delegate into the rule that delegates, or returns nil where their matches conflict. A
// field that the delegate leaves unset is inherited as a whole, except route and redirect, which never are (VS-DEL-09).
func mergeRule(root, sub *istio.HTTPRoute) *istio.HTTPRoute {
	match, ok := mergeMatches(root.Match, sub.Match)
	if !ok {
		return nil
	}
	out := proto.Clone(sub).(*istio.HTTPRoute)
	out.Name = join(root.Name, sub.Name)
	out.Match = match
	inherit(&out.Rewrite, root.Rewrite)
	inherit(&out.DirectResponse, root.DirectResponse)
	inherit(&out.Timeout, root.Timeout)
	inherit(&out.Retries, root.Retries)
	inherit(&out.Fault, root.Fault)
	inherit(&out.Mirror, root.Mirror)
	inherit(&out.MirrorPercent, root.MirrorPercent) //nolint:staticcheck // deprecated, and still in force
	inherit(&out.MirrorPercentage, root.MirrorPercentage)
	inherit(&out.CorsPolicy, root.CorsPolicy)
	inherit(&out.Headers, root.Headers)
	if out.Mirrors == nil {
		out.Mirrors = root.Mirrors
	}
	return out
}

func inherit[T any](field **T, root *T) {
	if *field == nil {
		*field = root
	}
}

func join(root, sub string) string {
	switch {
	case root == "":
		return sub
	case sub == "":
		return root
	default:
		return root + "-" + sub
	}
}

// mergeMatches pairs each match of the delegate's rule with each match of the root's, in the order of the delegate's.
// ok is false when a match of the delegate conflicts with all of the root's: then the whole rule is dropped
// (VS-DEL-05).
func mergeMatches(root, sub []*istio.HTTPMatchRequest) (merged []*istio.HTTPMatchRequest, ok bool) {
	if len(root) == 0 {
		return sub, true
	}
	if len(sub) == 0 {
		return root, true
	}
	var out []*istio.HTTPMatchRequest
	for _, s := range sub {
		found := false
		for _, r := range root {
			if !matchesConflict(r, s) {
				found = true
				out = append(out, mergeMatch(r, s))
			}
		}
		if !found {
			return nil, false
		}
	}
	return out, true
}

// mergeMatch takes the delegate's fields where they are set. Maps are united; where both have a key, the delegate's
// value counts (VS-DEL-08).
func mergeMatch(root, sub *istio.HTTPMatchRequest) *istio.HTTPMatchRequest {
	out := proto.Clone(sub).(*istio.HTTPMatchRequest)
	out.Name = join(root.Name, sub.Name)
	inherit(&out.Uri, root.Uri)
	inherit(&out.Scheme, root.Scheme)
	inherit(&out.Method, root.Method)
	inherit(&out.Authority, root.Authority)
	out.Headers = union(root.Headers, sub.Headers)
	out.WithoutHeaders = union(root.WithoutHeaders, sub.WithoutHeaders)
	out.QueryParams = union(root.QueryParams, sub.QueryParams)
	out.SourceLabels = union(root.SourceLabels, sub.SourceLabels)
	if out.Port == 0 {
		out.Port = root.Port
	}
	if len(out.Gateways) == 0 {
		out.Gateways = root.Gateways
	}
	if out.StatPrefix == "" {
		out.StatPrefix = root.StatPrefix
	}
	if out.SourceNamespace == "" {
		out.SourceNamespace = root.SourceNamespace
	}
	return out
}

func union[V any](root, sub map[string]V) map[string]V {
	if len(root) == 0 {
		return sub
	}
	out := maps.Clone(root)
	maps.Copy(out, sub)
	return out
}

// matchesConflict reports whether no request can meet both matches, as far as Istio can tell (VS-DEL-06, VS-DEL-07).
// Istio also reports conflicts where there are none: two equal regexes conflict.
func matchesConflict(root, sub *istio.HTTPMatchRequest) bool {
	if root.IgnoreUriCase != sub.IgnoreUriCase {
		return true
	}
	if stringsConflict(root.Uri, sub.Uri) || stringsConflict(root.Scheme, sub.Scheme) ||
		stringsConflict(root.Method, sub.Method) || stringsConflict(root.Authority, sub.Authority) {
		return true
	}
	if mapsConflict(root.Headers, sub.Headers) || mapsConflict(root.WithoutHeaders, sub.WithoutHeaders) ||
		mapsConflict(root.QueryParams, sub.QueryParams) {
		return true
	}
	if root.Port != 0 && sub.Port != 0 && root.Port != sub.Port {
		return true
	}
	if root.SourceNamespace != "" && root.SourceNamespace != sub.SourceNamespace {
		return true
	}
	for key, value := range root.SourceLabels {
		if v, ok := sub.SourceLabels[key]; ok && v != value {
			return true
		}
	}
	if len(root.Gateways) > 0 && len(sub.Gateways) > 0 {
		if len(root.Gateways) < len(sub.Gateways) {
			return true // Istio compares the lengths, so a name that is listed twice counts twice
		}
		for _, g := range sub.Gateways {
			if !slices.Contains(root.Gateways, g) {
				return true
			}
		}
	}
	return false
}

func mapsConflict(root, sub map[string]*istio.StringMatch) bool {
	for key, value := range root {
		if v, ok := sub[key]; ok && stringsConflict(value, v) {
			return true
		}
	}
	return false
}

// stringsConflict reports whether two conditions on one value conflict. They do not if one is absent, if both are the
// same exact text, or if the root's prefix is a prefix of the delegate's text. In all other cases they do.
func stringsConflict(root, sub *istio.StringMatch) bool {
	if root == nil || sub == nil {
		return false
	}
	if root.GetRegex() != "" || sub.GetRegex() != "" {
		return true
	}
	switch r := root.MatchType.(type) {
	case *istio.StringMatch_Exact:
		s, ok := sub.MatchType.(*istio.StringMatch_Exact)
		return !ok || r.Exact == "" || r.Exact != s.Exact
	case *istio.StringMatch_Prefix:
		text := sub.GetExact()
		if text == "" {
			text = sub.GetPrefix()
		}
		return r.Prefix == "" || text == "" || !strings.HasPrefix(text, r.Prefix)
	default:
		return true
	}
}
