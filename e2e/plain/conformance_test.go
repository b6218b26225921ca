package plain

import (
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/verdict"
)

// required are the fields of a verdict that must agree wherever Istio's verdict has them.
var required = []string{
	"kind", "status", "domain", "route", "normalizedPath", "clusters", "timeout", "retryPolicy", "mirrors", "fault",
	"cors", "corsEffect", "location", "body", "hashPolicy", "routeConfig",
}

// TestConformance holds every verdict against that of Istio's own translation, natively: the packed ones, or those of
// another folder.
func TestConformance(t *testing.T) {
	files := vectors.Open(t)
	compared, disagreed := map[string]int{}, map[string]int{}
	agreed, total := 0, 0
	for _, c := range vectors.Load(t, files) {
		j, err := verdict.New(c.Plan, effect.Intake{})
		require.NoError(t, err)
		var doc struct{ Verdicts []map[string]any }
		vectors.ReadJSON(t, files, c.Name+".verdicts.json", &doc)
		for i, want := range doc.Verdicts {
			if want["error"] != nil {
				continue
			}
			total++
			text, err := json.Marshal(j.Decide(c.Requests[i]))
			require.NoError(t, err)
			var got map[string]any
			require.NoError(t, json.Unmarshal(text, &got))
			ok := true
			for _, field := range required {
				if want[field] == nil && got[field] == nil {
					continue
				}
				compared[field]++
				if !reflect.DeepEqual(want[field], got[field]) {
					disagreed[field]++
					ok = false
					t.Errorf("%s[%d] %v: %s: want %v, got %v", c.Name, i, want["name"], field, want[field], got[field])
				}
			}
			if ok {
				agreed++
			}
		}
	}
	sort.Strings(required)
	for _, field := range required {
		t.Logf("%-16s %6d compared, %d disagree", field, compared[field], disagreed[field])
	}
	t.Logf("%d of %d verdicts agree on every field", agreed, total)
	assert.Equal(t, total, agreed)
	assert.Positive(t, total)
	if os.Getenv("WAYMARK_CASES") == "" {
		assert.Greater(t, total, 10000, "all that are packed")
	}
}

// TestRepeatedHeadersJoined checks that the reading of Envoys before 1.39 changes the vectors that are known to depend
// on it, and no others.
func TestRepeatedHeadersJoined(t *testing.T) {
	known := vectors.Joined(t)
	for _, c := range vectors.Load(t, vectors.Open(t)) {
		each, err := verdict.New(c.Plan, effect.Intake{})
		require.NoError(t, err)
		joined, err := verdict.New(c.Plan, effect.Intake{Minor: 38})
		require.NoError(t, err)
		var differ []int
		for i, r := range c.Requests {
			if !reflect.DeepEqual(vectors.ExpectationOf(t, each.Decide(r)), vectors.ExpectationOf(t, joined.Decide(r))) {
				differ = append(differ, i)
			}
		}
		for _, i := range differ {
			assert.Contains(t, known[c.Name], i, "%s[%d] depends on the version, and is not known to", c.Name, i)
		}
	}
}
