package validate

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/routing/regex"
)

// validator checks one object. Findings that Istio's validation does not have must have a code that codes.go marks as
// Beyond, since all others make the verdict.
type validator struct {
	Options
	object   *resource.Object
	findings *diag.Findings
}

// Options say for whom a set is validated.
type Options struct {
	// Envoys are those that may get the configuration. What none of them executes is an error, and what some of them do
	// not is a warning.
	Envoys version.Range
	// Strict makes everything an error that is left out.
	Strict bool
}

// Set validates the objects of a set. An object with an error must not be translated. Findings are not sorted.
func Set(r *resource.Set, options Options) diag.Findings {
	var findings diag.Findings
	of := func(o *resource.Object) *validator {
		v := &validator{options, o, &findings}
		v.annotations()
		return v
	}
	for _, gw := range r.Gateways {
		of(gw.Object).gateway(gw.Spec)
	}
	for _, vs := range r.VirtualServices {
		of(vs.Object).virtualService(vs)
	}
	for _, dr := range r.DestinationRules {
		of(dr.Object).destinationRule(dr.Spec)
	}
	for _, se := range r.ServiceEntries {
		of(se.Object).serviceEntry(se)
	}
	for _, we := range r.WorkloadEntries {
		of(we.Object).workloadEntry(we.Spec)
	}
	return findings
}

func (v *validator) refuse(code, field, format string, args ...any) {
	v.findings.Add(diag.Error, code, v.object, field, format, args...)
}

func (v *validator) warn(code, field, format string, args ...any) {
	v.findings.Add(diag.Warning, code, v.object, field, format, args...)
}

// Annotations that validation refuses (VAL-ANY-01, VAL-ANY-02).
const (
	annotationDryRun          = "istio.io/dry-run"
	annotationAlwaysReject    = "internal.istio.io/webhook-always-reject"
	annotationParents         = "internal.istio.io/parents"
	annotationParentNamespace = "internal.istio.io/parent-namespace"
)

// annotations covers VAL-ANY-01, VAL-ANY-02 and VAL-X-07.
func (v *validator) annotations() {
	for name := range v.object.Annotations {
		at := diag.KeyField("metadata.annotations", name)
		switch name {
		case annotationDryRun:
			v.refuse("VAL-ANY-01", at, "only an AuthorizationPolicy can have a dry run")
		case annotationAlwaysReject, annotationParents, annotationParentNamespace:
			v.refuse("VAL-ANY-02", at, "Istio sets this annotation itself")
		}
	}
	_, errs := names.ParseExtensions(v.object.Kind, v.object.Annotations)
	for name, err := range errs {
		v.refuse("VAL-X-07", diag.KeyField("metadata.annotations", name), "%s", err)
	}
}

// duration checks that a duration, if there is one, is at least 1 ms and a whole number of milliseconds.
func (v *validator) duration(code, field string, d *durationpb.Duration) {
	if d == nil {
		return
	}
	switch t := d.AsDuration(); {
	case t < time.Millisecond:
		v.refuse(code, field, "%s is shorter than 1ms", t)
	case t%time.Millisecond != 0:
		v.refuse(code, field, "%s is not a whole number of milliseconds", t)
	}
}

func (v *validator) port(code, field string, number uint32) {
	if number == 0 || number > 65535 {
		v.refuse(code, field, "%d is not a valid port", number)
	}
}

// labels checks that an object can have these labels.
func (v *validator) labels(code, field string, labels map[string]string) {
	for key, value := range labels {
		at := diag.KeyField(field, key)
		if !names.IsLabelKey(key) {
			v.refuse(code, at, "%q is not a valid key of a label", key)
		}
		if !names.IsLabelValue(value) {
			v.refuse(code, at, "%q is not a valid value of a label", value)
		}
	}
}

// selector checks the labels by which workloads are selected.
func (v *validator) selector(code, field string, labels map[string]string) {
	for key, value := range labels {
		at := diag.KeyField(field, key)
		if key == "" {
			v.refuse(code, at, "the key of a label cannot be empty")
		}
		if strings.Contains(key, "*") || strings.Contains(value, "*") {
			v.refuse(code, at, "%q has a star, which selects nothing", key+"="+value)
		}
	}
	if len(labels) == 0 {
		v.warn(code, field, "has no labels, so that it selects every workload of the namespace")
	}
}

// exportTo checks the namespaces to which an object is exported. hide allows "~", which hides the object from all
// namespaces, as only a ServiceEntry can. own allows only the object's own namespace, as for a DestinationRule with a
// workloadSelector.
func (v *validator) exportTo(code string, list []string, hide, own bool) {
	seen := map[string]bool{}
	for i, e := range list {
		at := "spec.exportTo[" + strconv.Itoa(i) + "]"
		namespace := e
		if e == "." {
			namespace = v.object.Namespace
		}
		switch {
		case seen[namespace]:
			v.refuse(code, at, "%q occurs twice", e)
			continue
		case namespace == "~" && !hide:
			v.refuse(code, at, `"~" can be used only in a ServiceEntry`)
			continue
		case namespace != "*" && namespace != "~" && !names.IsLabel(namespace):
			v.refuse(code, at, "%q is neither *, nor ., nor a namespace", e)
			continue
		}
		seen[namespace] = true
	}
	const field = "spec.exportTo"
	if own && len(seen) > 0 && (len(seen) > 1 || !seen[v.object.Namespace]) {
		v.refuse(code, field, "with a workloadSelector only the object's own namespace is allowed")
	}
	for _, alone := range []string{"*", "~"} {
		if seen[alone] && len(list) > 1 {
			v.refuse(code, field, "%q cannot be used with other entries", alone)
		}
	}
}

// gatewayNames checks the names of Gateways, with a code for names with a slash and one for those without. As in Istio,
// checking ends at the first name without a slash.
func (v *validator) gatewayNames(slashed, plain, field string, list []string) {
	for i, name := range list {
		at := field + "[" + strconv.Itoa(i) + "]"
		namespace, base, ok := strings.Cut(name, "/")
		if !ok {
			if strings.Contains(name, ".") {
				v.warn("VAL-VS-04", at, "write %q as NAMESPACE/NAME", name)
			}
			if !names.IsFQDN(name) {
				v.refuse(plain, at, "%q is not a valid name of a Gateway", name)
			}
			return
		}
		if !names.IsLabel(namespace) || !names.IsLabel(base) {
			v.refuse(slashed, at, "%q is not NAMESPACE/NAME", name)
		}
	}
}

// maxRegex is the longest regular expression that Istio allows, in bytes.
const maxRegex = 1024

// smallProgram is a number of instructions up to which an expression always has an automaton.
const smallProgram = 10

// regex checks a regular expression: with code where Istio refuses it, else VAL-X-03 and VAL-X-06.
func (v *validator) regex(code, field, pattern string) {
	switch {
	case pattern == "":
		v.refuse(code, field, "a regular expression cannot be empty")
	case len(pattern) > maxRegex:
		v.refuse(code, field, "a regular expression has at most %d bytes, this one %d", maxRegex, len(pattern))
	default:
		newest, oldest := refusal(pattern, v.Envoys.To), refusal(pattern, v.Envoys.From)
		instructions, err := regex.Check(pattern, regex.UTF8)
		if err != nil {
			v.refuse(code, field, "%q: %s", pattern, err)
			return
		}
		switch {
		case newest != nil && oldest != nil:
			v.refuse("VAL-X-03", field, "%q: Envoy 1.%d refuses it, and with it the whole configuration: %s", pattern, v.Envoys.From, oldest)
		case newest != nil:
			v.warn("VAL-X-03", field, "%q: Envoy 1.39 and later refuse it: %s", pattern, newest)
		case instructions > smallProgram && regex.IsSlow(pattern, regex.Latin1) && regex.Steps(pattern, regex.Latin1) > regex.MaxSlow:
			v.warn("VAL-X-06", field, "%q has so many states that a long value could cost the filter too much; Envoy's own list of routes is used for the whole virtual host, as with --matching native", pattern)
		}
	}
}

// refusal returns the error with which Envoy 1.minor refuses a pattern, or nil.
func refusal(pattern string, minor int) error {
	_, err := regex.Compile(pattern, pluginconfig.Encoding(version.Of(minor)))
	return err
}

// isSocket reports whether a path is that of a Unix domain socket: absolute, or an abstract name such as @name.
func isSocket(path string) bool {
	return strings.HasPrefix(path, "@") || strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/")
}

// unixPrefix begins an address that is the path of a Unix domain socket.
const unixPrefix = "unix://"
