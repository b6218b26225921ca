package cluster

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// What is written into a status, and what others wrote stays.
func TestMergedStatus(t *testing.T) {
	const (
		at   = `"2025-01-01T00:00:00Z"`
		now  = `"2026-01-01T00:00:00Z"`
		own  = `{"type": "waymark.dev/Accepted", "status": "True", "reason": "Valid", "lastTransitionTime": ` + at + `, "observedGeneration": 3}`
		same = `{"conditions": [` + own + `], "observedGeneration": 3}`
	)
	valid := Status{Generation: 3, Conditions: []Condition{{Type: Accepted, Status: "True", Reason: "Valid"}}}
	invalid := Status{Generation: 3, Conditions: []Condition{{Type: Accepted, Status: "False", Reason: "Invalid", Message: "no"}}, Findings: diag.Findings{
		{Severity: diag.Error, Code: "VAL-H-40", Field: "spec.http[0].timeout", Message: "0s is shorter than 1ms"}, {Severity: diag.Warning, Message: "hm"},
	}}
	ofInvalid := `{"type": "waymark.dev/Accepted", "status": "False", "reason": "Invalid", "message": "no", "lastTransitionTime": ` + now + `, "observedGeneration": 3}`
	messages := `{"level": "ERROR", "type": {"code": "VAL-H-40", "name": "spec.http[0].timeout: 0s is shorter than 1ms"}, "documentationUrl": "https://waymark.dev/docs/findings#val-h-40"},
		{"level": "WARNING", "type": {"name": "hm"}, "documentationUrl": "https://waymark.dev/docs/findings#"}`
	for what, c := range map[string]struct {
		has    string
		wanted Status
		patch  string // "" for none
	}{
		"a first status":                       {`null`, valid, `{"conditions": [{"type": "waymark.dev/Accepted", "status": "True", "reason": "Valid", "lastTransitionTime": ` + now + `, "observedGeneration": 3}], "observedGeneration": 3}`},
		"the same":                             {same, valid, ""},
		"the same, among others, in any order": {`{"conditions": [{"type": "A"}, ` + own + `, {"type": "B"}], "observedGeneration": 3, "addresses": ["x"]}`, valid, ""},
		"another message, the time of the change stays": {`{"conditions": [` + own + `], "observedGeneration": 3}`,
			Status{Generation: 3, Conditions: []Condition{{Type: Accepted, Status: "True", Reason: "Valid", Message: "new"}}},
			`{"conditions": [{"type": "waymark.dev/Accepted", "status": "True", "reason": "Valid", "message": "new", "lastTransitionTime": ` + at + `, "observedGeneration": 3}], "observedGeneration": 3}`},
		"another generation": {same, Status{Generation: 4, Conditions: valid.Conditions},
			`{"conditions": [{"type": "waymark.dev/Accepted", "status": "True", "reason": "Valid", "lastTransitionTime": ` + at + `, "observedGeneration": 4}], "observedGeneration": 4}`},
		"it becomes invalid": {`{"conditions": [{"type": "A"}, ` + own + `], "validationMessages": [{"documentationUrl": "https://istio.io/x"}], "observedGeneration": 3}`, invalid,
			`{"conditions": [{"type": "A"}, ` + ofInvalid + `], "validationMessages": [{"documentationUrl": "https://istio.io/x"}, ` + messages + `], "observedGeneration": 3}`},
		"it stays invalid": {`{"conditions": [` + ofInvalid + `], "validationMessages": [` + messages + `, {"documentationUrl": "https://istio.io/x"}], "observedGeneration": 3}`, invalid, ""},
		"it becomes valid": {`{"conditions": [` + ofInvalid + `], "validationMessages": [` + messages + `], "observedGeneration": 3}`, valid,
			`{"conditions": [{"type": "waymark.dev/Accepted", "status": "True", "reason": "Valid", "lastTransitionTime": ` + now + `, "observedGeneration": 3}], "validationMessages": null, "observedGeneration": 3}`},
		"a condition is not written any more": {`{"conditions": [` + own + `, {"type": "waymark.dev/Programmed"}], "observedGeneration": 3}`, valid, same},
		"what is not a status stays":          {`{"conditions": ["x", ` + own + `], "validationMessages": ["y"], "observedGeneration": 3}`, valid, ""},
	} {
		var has map[string]any
		require.NoError(t, json.Unmarshal([]byte(c.has), &has), what)
		for _, condition := range list(has["conditions"]) { // as the library decodes integers
			if of, ok := condition.(map[string]any); ok && of["observedGeneration"] != nil {
				of["observedGeneration"] = int64(of["observedGeneration"].(float64))
			}
		}
		if has["observedGeneration"] != nil {
			has["observedGeneration"] = int64(has["observedGeneration"].(float64))
		}
		patch, differs := merge(has, c.wanted, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		assert.Equal(t, c.patch != "", differs, what)
		if differs {
			text, err := json.Marshal(patch)
			require.NoError(t, err)
			assert.JSONEq(t, c.patch, string(text), what)
		}
	}
}

// What Judge says of objects.
func TestJudged(t *testing.T) {
	object := func(name string, generation int64) *resource.Object {
		return &resource.Object{Kind: "VirtualService", Namespace: "n", Name: name, Generation: generation}
	}
	good, bad, kept := object("good", 1), object("bad", 7), object("bad", 6)
	in := &resource.Input{Objects: []*resource.Object{good, bad}}
	in.Findings.Add(diag.Notice, "", good, "", "nothing")
	in.Findings.Add(diag.Warning, "", kept, "", "goes on being served as it was before")
	in.Findings.Add(diag.Warning, "", bad, "spec.a", "hm")
	in.Findings.Add(diag.Error, "VAL-H-40", bad, "spec.http[0].timeout", "too short\n")
	in.Findings.Add(diag.Warning, "", bad, "spec.b", "hm")
	got := Judge(in)
	assert.Equal(t, map[Ref]Status{
		{"VirtualService", "n", "good"}: {Generation: 1, Conditions: []Condition{{Type: Accepted, Status: "True", Reason: "Valid"}}},
		{"VirtualService", "n", "bad"}: {Generation: 7, Findings: in.Findings[1:], Conditions: []Condition{{Type: Accepted, Status: "False", Reason: "Invalid",
			Message: `spec.http[0].timeout: too short\n; goes on being served as it was before; spec.a: hm; and 1 more finding`}}},
	}, got)
}
