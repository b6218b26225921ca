package gateway_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// finding is a resource and what Istio's validation says of it: "CODE severity", sorted; a near miss has none.
type finding struct {
	doc    string
	want   []string
	envoys version.Range // none: all
	strict bool
}

func found(doc string, want ...string) finding { return finding{doc: doc, want: want} }

// foundFor is found for one version of Envoy.
func foundFor(minor int, doc string, want ...string) finding {
	return finding{doc: doc, want: want, envoys: version.Only(minor)}
}

func near(doc string) finding { return finding{doc: doc} }

// document is a resource in namespace default. Its spec is written in YAML's flow style.
func document(kind, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata: {name: a}\nspec: " + spec + "\n"
}

func virtualServiceOf(spec string) string { return document("VirtualService", spec) }

// ruleOf is a VirtualService for a Gateway with these http rules.
func ruleOf(rules string) string {
	return virtualServiceOf("{hosts: [a.com], gateways: [gw], http: [" + rules + "]}")
}

// to is the action of rules whose action does not matter.
const to = "route: [{destination: {host: b}}]"

// annotated puts an annotation, or a label, on an object.
func annotated(doc, metadata string) string {
	return strings.Replace(doc, "{name: a}", "{name: a, "+metadata+"}", 1)
}

var anyFindings = map[string]finding{
	"nothing can be tried with istio.io/dry-run": found(annotated(ruleOf("{"+to+"}"), `annotations: {istio.io/dry-run: "true"}`), "VAL-ANY-01 error"),
	"always-reject is for Istio's own tests":     found(annotated(ruleOf("{"+to+"}"), `annotations: {internal.istio.io/webhook-always-reject: "true"}`), "VAL-ANY-02 error"),
	"parents are Istio's own":                    found(annotated(ruleOf("{"+to+"}"), "annotations: {internal.istio.io/parents: x}"), "VAL-ANY-02 error"),
	"the namespace of parents is Istio's own":    found(annotated(ruleOf("{"+to+"}"), "annotations: {internal.istio.io/parent-namespace: x}"), "VAL-ANY-02 error"),
	"an extension must be known":                 found(annotated(ruleOf("{"+to+"}"), "annotations: {waymark.dev/prefix: segments}"), "VAL-X-07 error"),
	"an extension has a value of its own":        found(annotated(ruleOf("{"+to+"}"), "annotations: {waymark.dev/prefix-match: segment}"), "VAL-X-07 error"),
	"an extension that is known is no finding":   near(annotated(ruleOf("{"+to+"}"), "annotations: {waymark.dev/prefix-match: segments}")),
	"other annotations are free":                 near(annotated(ruleOf("{"+to+"}"), "annotations: {istio.io/rev: x}")),
	"an annotation of Waymark's must be known":   found(annotated(ruleOf("{"+to+"}"), "annotations: {waymark.dev/unknown: x}"), "VAL-X-07 error"),
	"a field must be known":                      found(ruleOf("{rout: [], "+to+"}"), "VAL-ANY-03 error"),
	"a field stands once":                        found(ruleOf("{timeout: 1s, timeout: 2s, "+to+"}"), "VAL-ANY-06 warning"),
	"a field that was removed is ignored":        found(ruleOf("{websocketUpgrade: true, "+to+"}"), "VAL-ANY-03 warning"),
	"a field beside the spec must be known":      found(ruleOf("{"+to+"}")+"more: 1\n", "VAL-ANY-03 error"),
	"null is no object":                          found(document("Gateway", "{servers: [null]}"), "VAL-ANY-03 error", "VAL-G-03 error", "VAL-G-05 error"),
	"null is no value of a map":                  found(whenOf("{queryParams: {q: null}}"), "VAL-ANY-03 error"),
	"null is no field":                           near(doOf("fault: null")),
	"a resource has a name":                      found(strings.Replace(ruleOf("{"+to+"}"), "{name: a}", "{}", 1), "VAL-ANY-03 error"),
	"an unknown field does not hide the rest":    found(ruleOf("{rout: [], timeout: 0s, "+to+"}"), "VAL-ANY-03 error", "VAL-H-40 error"),
	"a duration has a unit":                      found(ruleOf(`{timeout: "5", `+to+"}"), "VAL-ANY-04 error"),
	"a number is no text":                        found(ruleOf("{route: [{destination: {host: b}, weight: much}]}"), "VAL-ANY-04 error"),
	"a field has the name that the schema has":   found(ruleOf("{direct_response: {status: 200}}"), "VAL-ANY-03 error"),
	"one member of a oneof":                      found(whenOf("{uri: {exact: /a, prefix: /b}}"), "VAL-ANY-05 error"),
	"a weight is no text":                        found(ruleOf("{route: [{destination: {host: b}, weight: '50'}]}"), "VAL-ANY-05 error"),
	"a port of a Service is a number":            found("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: http}]}\n", "VAL-ANY-05 warning"),
	"a field of a Service must be known":         found("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, number: 1}]}\n", "VAL-ANY-03 warning"),
	"a placeholder is replaced before":           found(strings.Replace(ruleOf("{"+to+"}"), "a.com", "'${HOST}'", 1), "VAL-ANY-08 warning"),
	"a placeholder hides no other mistake":       found(ruleOf("{directResponse: {statuss: 200, body: {string: '$(date)'}}}"), "VAL-ANY-03 error", "VAL-H-31 error"),
	"only what has a placeholder is replaced":    found(strings.Replace(ruleOf("{retries: {attempts: -1}, "+to+"}"), "a.com", "'${HOST}'", 1), "VAL-ANY-08 warning", "VAL-H-32 error"),
	"the parent of a field has a placeholder":    found(ruleOf("{match: '${M}', "+to+"}"), "VAL-ANY-08 warning"),
	"a template is filled in before":             found(ruleOf("{timeout: '{{ .Values.timeout }}', "+to+"}"), "VAL-ANY-08 warning"),
	"a text may be what a template has":          near(ruleOf("{name: '{{ x }}', directResponse: {status: 200, body: {string: '{% if x %} {{ .Values.x }} {{ user }}'}}}")),
	"a name is in lower case":                    found(strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: Shop_1", 1), "VAL-ANY-03 warning"),
	"a name has no slash":                        found(strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: a/b", 1), "VAL-ANY-03 warning"),
	"a name has at most 253 characters":          found(strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: "+strings.Repeat("a", 254), 1), "VAL-ANY-03 warning"),
	"a name of 253 characters":                   near(strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: "+strings.Repeat("a", 253), 1)),
	"a name may have dots":                       near(strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: a.b", 1)),
	"a namespace has no dots":                    found(strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: a, namespace: a.b", 1), "VAL-ANY-03 warning"),
	"a namespace is not a path":                  found(strings.Replace(document("DestinationRule", "{host: a}"), "name: a", "name: a, namespace: ../a", 1), "VAL-ANY-03 warning"),
	"a name has no other letters":                found(strings.Replace(document("ServiceEntry", "{hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}"), "name: a", "name: ü", 1), "VAL-ANY-03 warning"),
	"a name has no space":                        found(strings.Replace(document("WorkloadEntry", "{address: 10.0.0.1}"), "name: a", "name: a b", 1), "VAL-ANY-03 warning"),
	"the later object of a name counts":          found(ruleOf("{"+to+"}")+"---\n"+ruleOf("{"+to+"}"), "VAL-ANY-07 warning"),
}

// allFindings are the cases of all files.
func allFindings(t *testing.T) map[string]finding {
	all := map[string]finding{}
	for _, cases := range []map[string]finding{
		anyFindings, virtualServiceFindings, reachFindings, l4Findings, httpFindings, actionFindings, gatewayFindings, destinationRuleFindings, serviceEntryFindings,
		workloadEntryFindings, envoyFindings,
	} {
		for what, c := range cases {
			require.NotContains(t, all, what)
			all[what] = c
		}
	}
	return all
}

func TestValidation(t *testing.T) {
	for what, c := range allFindings(t) {
		t.Run(what, func(t *testing.T) {
			envoys := version.All
			if c.envoys != (version.Range{}) {
				envoys = c.envoys
			}
			report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.doc), Strict: c.strict}, envoys)
			isIstio := !strings.HasPrefix(c.doc, "apiVersion: v1\n")
			require.Equal(t, isIstio, len(report.Other) == 0)
			require.Equal(t, isIstio, len(report.Resources) == 1+strings.Count(c.doc, "---\n"))
			got := []string{}
			for _, f := range diag.Merge(report.Findings(), report.Other) {
				got = append(got, f.Code+" "+string(f.Severity))
				assert.NotZero(t, f.Place.Line, "%s has a place", f)
				assert.NotContains(t, f.Message, "\n")
			}
			slices.Sort(got)
			assert.ElementsMatch(t, c.want, got, "%v", report.Findings())
		})
	}
}

// TestEveryCodeHasACase holds the list of codes against the cases: each with each severity that it can have.
func TestEveryCodeHasACase(t *testing.T) {
	reported := map[string]bool{}
	for _, c := range allFindings(t) {
		for _, w := range c.want {
			reported[w] = true
		}
	}
	listed := map[string]bool{}
	for _, code := range validate.Codes() {
		assert.NotEmpty(t, code.Summary, code.ID)
		for _, s := range code.Severities {
			require.False(t, listed[code.ID+" "+string(s)], "%s is listed twice", code.ID)
			listed[code.ID+" "+string(s)] = true
		}
	}
	assert.Equal(t, slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(reported)))
}

func TestVerdicts(t *testing.T) {
	for what, c := range map[string]struct {
		doc  string
		want gateway.Verdict
	}{
		"nothing is wrong":             {ruleOf("{" + to + "}"), gateway.VerdictOK},
		"a warning":                    {ruleOf("{" + to + "}, {" + to + "}"), gateway.VerdictWarning},
		"an error":                     {ruleOf("{timeout: 0s, " + to + "}"), gateway.VerdictError},
		"an error outweighs a warning": {ruleOf("{" + to + "}, {timeout: 0s, " + to + "}"), gateway.VerdictError},
		"Istio's validation knows no unknown fields": {ruleOf("{more: 1, " + to + "}"), gateway.VerdictOK},
	} {
		t.Run(what, func(t *testing.T) {
			report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.doc)}, version.All)
			require.Len(t, report.Resources, 1)
			assert.Equal(t, c.want, report.Resources[0].Verdict())
		})
	}
}

// TestOnlyIstiosResourcesAreChecked: what Waymark does not read is skipped with a notice, and is no finding.
func TestOnlyIstiosResourcesAreChecked(t *testing.T) {
	doc := document("Sidecar", "{}") + "---\n" + document("ProxyConfig", "{}") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\n" + ruleOf("{"+to+"}")
	report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(doc)}, version.All)
	assert.Empty(t, report.Findings())
	require.Len(t, report.Resources, 1)
	assert.Equal(t, "VirtualService", report.Resources[0].Kind)
	require.Len(t, report.Other, 2)
	assert.Equal(t, "notice: left aside: 1 ProxyConfig", report.Other[0].String())
	assert.Equal(t, "-:1:1: warning: Sidecar default/a: is not applied: services that it hides are visible", report.Other[1].String())
}

// TestWhatIstioRefusesIsNotTranslated, of each kind; warnings hold nothing up.
func TestWhatIstioRefusesIsNotTranslated(t *testing.T) {
	count := func(r *resource.Set) []int {
		return []int{len(r.Gateways), len(r.VirtualServices), len(r.DestinationRules), len(r.ServiceEntries)}
	}
	read := func(docs ...string) []int {
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(strings.Join(docs, "---\n"))}, version.All)
		return count(in.Set)
	}
	good := []string{
		gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']"), ruleOf("{" + to + "}, {" + to + "}"),
		destinationRuleOf("{loadBalancer: {simple: ROUND_ROBIN}}"), serviceEntryOf("hosts: [a.com]"),
	}
	bad := []string{
		gatewayOf("port: {number: 0, name: a, protocol: HTTP}, hosts: ['*']"), ruleOf("{timeout: 0s, " + to + "}"), destinationRuleOf("{}"), serviceEntryOf("hosts: ['*']"),
	}
	assert.Equal(t, []int{1, 1, 1, 1}, read(good...))
	assert.Equal(t, []int{0, 0, 0, 0}, read(bad...))
	assert.Equal(t, []int{1, 1, 1, 1}, read(append(bad, good...)...), "each object counts for itself, even where two have one name")
}
