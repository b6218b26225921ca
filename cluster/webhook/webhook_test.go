package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admission "k8s.io/api/admission/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"waymark.dev/waymark/envoy/version"
)

func post(body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler(version.All).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/validate", strings.NewReader(body)))
	return w
}

// ask is the answer to a request about two objects in JSON.
func ask(t *testing.T, operation, subresource, was, is string) *admission.AdmissionResponse {
	w := post(fmt.Sprintf(`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u-1", "operation": %q, "subResource": %q, "oldObject": %s, "object": %s}}`,
		operation, subresource, was, is))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var review admission.AdmissionReview
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &review))
	assert.Equal(t, "admission.k8s.io/v1, Kind=AdmissionReview", review.GroupVersionKind().String())
	assert.Equal(t, "u-1", string(review.Response.UID))
	return review.Response
}

func virtualService(metadata, spec string) string {
	return `{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "shop", "namespace": "n"` + metadata + `}, "spec": ` + spec + `}`
}

// What is refused, and what is admitted with which warnings.
func TestAnswers(t *testing.T) {
	const (
		good     = `{"hosts": ["a.test"], "http": [{"directResponse": {"status": 200}}]}`
		bad      = `{"hosts": ["a.test"], "http": [{"timeout": "0s", "directResponse": {"status": 200}}]}`
		repeated = `{"hosts": ["a.test"], "http": [{"directResponse": {"status": 200}}, {"directResponse": {"status": 200}}]}`
		both     = `{"hosts": ["a.test"], "http": [{"directResponse": {"status": 2}}, {"directResponse": {"status": 200}}]}`
		unknown  = `{"hosts": ["a.test"], "http": [{"directResponse": {"status": 200}}], "htp": []}`
		none     = "null"
		warning  = "spec.http[1]: is not reached: rule 0 has no match either, and takes every request [VAL-W-01]"
	)
	for what, c := range map[string]struct {
		operation, subresource, was, is string
		refused                         string // "" for admitted
		warnings                        []string
	}{
		"a good one":                       {"CREATE", "", none, virtualService("", good), "", nil},
		"one with an error":                {"CREATE", "", none, virtualService("", bad), "VirtualService n/shop: spec.http[0].timeout: 0s is shorter than 1ms [VAL-H-40]", nil},
		"one with a warning":               {"CREATE", "", none, virtualService("", repeated), "", []string{warning}},
		"one with both":                    {"CREATE", "", none, virtualService("", both), "VirtualService n/shop: spec.http[0].directResponse.status: 2 is", []string{warning}},
		"one with an unknown field":        {"CREATE", "", none, virtualService("", unknown), `VirtualService n/shop: spec.htp: unknown field "htp"; did you mean "http"? [VAL-ANY-03]`, nil},
		"a good one becomes bad":           {"UPDATE", "", virtualService("", good), virtualService("", bad), "VirtualService n/shop: spec.http[0].timeout: 0s is shorter than 1ms [VAL-H-40]", nil},
		"a bad one becomes good":           {"UPDATE", "", virtualService("", bad), virtualService("", good), "", nil},
		"a label of a bad one":             {"UPDATE", "", virtualService("", bad), virtualService(`, "labels": {"a": "b"}`, bad), "", []string{"spec.http[0].timeout: 0s is shorter than 1ms [VAL-H-40]"}},
		"an annotation of a bad one":       {"UPDATE", "", virtualService("", bad), virtualService(`, "annotations": {"a": "b"}`, bad), "VirtualService n/shop: spec.http[0].timeout", nil},
		"a bad annotation":                 {"UPDATE", "", virtualService("", good), virtualService(`, "annotations": {"internal.istio.io/parents": "x"}`, good), "Istio sets this annotation itself", nil},
		"a finalizer of a bad one is done": {"UPDATE", "", virtualService("", good), virtualService(`, "deletionTimestamp": "2025-01-01T00:00:00Z"`, bad), "", nil},
		"a status of a bad one":            {"UPDATE", "status", virtualService("", bad), virtualService("", bad), "", nil},
		"a bad one is deleted":             {"DELETE", "", virtualService("", bad), none, "", nil},
		"an object of another kind":        {"CREATE", "", none, `{"apiVersion": "v1", "kind": "ConfigMap"}`, "", nil},
	} {
		got := ask(t, c.operation, c.subresource, c.was, c.is)
		assert.Equal(t, c.refused == "", got.Allowed, what)
		assert.Equal(t, c.warnings, got.Warnings, what)
		if c.refused != "" {
			assert.Contains(t, got.Result.Message, c.refused, what)
			assert.Equal(t, int32(http.StatusUnprocessableEntity), got.Result.Code, what)
			assert.Equal(t, meta.StatusReasonInvalid, got.Result.Reason, what)
			require.NotEmpty(t, got.Result.Details.Causes, what)
			assert.NotEmpty(t, got.Result.Details.Causes[0].Message, what)
		}
	}
	long := ask(t, "CREATE", "", none, virtualService("", `{"hosts": ["a.test"], "gateways": ["`+strings.Repeat("ä.", 300)+`"], "http": [{"directResponse": {"status": 200}}]}`))
	require.NotEmpty(t, long.Warnings)
	for _, w := range long.Warnings {
		assert.LessOrEqual(t, len(w), 256)
	}
}

// What is not a review is an error.
func TestWhatIsNotAReview(t *testing.T) {
	for body, want := range map[string]int{
		"": http.StatusBadRequest, "{}": http.StatusBadRequest, "[]": http.StatusBadRequest,
		`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}`:                     http.StatusBadRequest,
		`{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}}`: http.StatusBadRequest,
		strings.Repeat(" ", maxBody+1): http.StatusRequestEntityTooLarge,
	} {
		assert.Equal(t, want, post(body).Code, "%.100s", body)
	}
}
