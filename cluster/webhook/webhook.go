// Package webhook answers the API server of Kubernetes whether an object of Istio may be written: what 'waymark check' calls an
// error is refused, and what it warns of is a warning. It stores nothing and changes no object.
//
// An object is judged alone. No error of Waymark's validation is about two objects, and names that nothing has yet are no
// errors: objects may be written in any order.
//
// The hard case is an object that was written before there was a webhook, and has an error. Labels, finalizers and the like
// can still be changed, and the object be deleted, since only a change of what was judged is refused:
//
//	CREATE, with an error                                    refused
//	UPDATE of the spec or of annotations, with an error      refused
//	UPDATE of anything else, with an error that it had       admitted, with the error as a warning
//	UPDATE of an object that is being deleted                admitted
package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	admission "k8s.io/api/admission/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

// maxBody bounds a request: an API server takes objects of 3 MiB, and sends the old and the new one.
const maxBody = 8 << 20

// Handler answers reviews of the version admission.k8s.io/v1. Objects are judged for Envoys of these versions. A request that
// is not a review is answered with an error, which the API server treats as its failurePolicy says.
func Handler(envoys version.Range) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		review, err := read(w, q)
		if err != nil {
			status := http.StatusBadRequest
			if errors.As(err, new(*http.MaxBytesError)) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, err.Error(), status)
			return
		}
		answer := admission.AdmissionReview{TypeMeta: review.TypeMeta, Response: answer(review.Request, envoys)}
		answer.Response.UID = review.Request.UID
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // the API server is gone
	})
}

// read reads the review in a request.
func read(w http.ResponseWriter, q *http.Request) (*admission.AdmissionReview, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var review admission.AdmissionReview
	if err := json.Unmarshal(text, &review); err != nil {
		return nil, fmt.Errorf("the body is not an AdmissionReview: %w", err)
	}
	if got, want := review.GroupVersionKind(), admission.SchemeGroupVersion.WithKind("AdmissionReview"); got != want || review.Request == nil {
		return nil, fmt.Errorf("the body is not a request of %s: it has the apiVersion %q and the kind %q", want.GroupVersion(), review.APIVersion, review.Kind)
	}
	return &review, nil
}

// answer judges the object of a request.
func answer(q *admission.AdmissionRequest, envoys version.Range) *admission.AdmissionResponse {
	admitted := &admission.AdmissionResponse{Allowed: true}
	if q.SubResource != "" || q.Operation != admission.Create && q.Operation != admission.Update {
		return admitted
	}
	d, err := resource.Decode(q.Object.Raw)
	if err != nil {
		return admitted // an object that Waymark does not read
	}
	judged := gateway.Prepare(resource.Join([]*resource.Decoded{d}), envoys).Findings
	was, is := parse(q.OldObject.Raw), parse(q.Object.Raw)
	if is.Metadata.DeletionTimestamp != nil {
		return admitted
	}
	isJudged := q.Operation == admission.Create || !reflect.DeepEqual(was.Spec, is.Spec) || !reflect.DeepEqual(was.Metadata.Annotations, is.Metadata.Annotations)
	var refused diag.Findings
	for _, f := range judged {
		switch {
		case f.Severity == diag.Error && isJudged:
			refused = append(refused, f)
		case f.Severity != diag.Notice:
			admitted.Warnings = append(admitted.Warnings, cut(text(f)))
		}
	}
	if len(refused) == 0 {
		return admitted
	}
	return &admission.AdmissionResponse{Warnings: admitted.Warnings, Result: refusal(d.Object, refused)}
}

// object has the parts of an object that decide whether an update is judged.
type object struct {
	Metadata struct {
		Annotations       map[string]string
		DeletionTimestamp *string
	}
	Spec any
}

// parse is the object in JSON that was decoded before; the zero value where there is none.
func parse(raw []byte) (o object) {
	_ = json.Unmarshal(raw, &o) // as documented
	return o
}

// refusal is the status with which a client's request is answered.
func refusal(o *resource.Object, findings diag.Findings) *meta.Status {
	out := &meta.Status{
		Status: meta.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: meta.StatusReasonInvalid,
		Details: &meta.StatusDetails{Name: o.Name, Group: "networking.istio.io", Kind: o.Kind},
	}
	var texts []string
	for _, f := range findings {
		texts = append(texts, text(f))
		out.Details.Causes = append(out.Details.Causes, meta.StatusCause{Type: meta.CauseTypeFieldValueInvalid, Field: f.Field, Message: withCode(diag.Printable(f.Message), f.Code)})
	}
	out.Message = o.String() + ": " + strings.Join(texts, "; ")
	return out
}

// text is a finding without its object, which the client knows.
func text(f diag.Finding) string {
	out := f.Message
	if f.Field != "" {
		out = f.Field + ": " + out
	}
	return withCode(diag.Printable(out), f.Code)
}

func withCode(text, code string) string {
	if code == "" {
		return text
	}
	return text + " [" + code + "]"
}

// cut is a text that is not longer than an API server takes for a warning.
func cut(text string) string {
	const longest = 256
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest-len("…")], "") + "…"
}
