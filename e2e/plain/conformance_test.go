package plain

import (
	"encoding/json"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
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
	c := newComparison()
	for _, f := range vectors.Load(t, files) {
		c.compare(t, files, f.Name, f.Plan, f.Requests)
	}
	c.report(t)
	if os.Getenv("WAYMARK_CASES") == "" {
		assert.Greater(t, c.total, 10000, "all that are packed")
	}
}

// TestSidecarConformance does the same for sidecars. The verdicts of requests that Istio decides at random are not
// packed, and those with a cluster that Istio does not make are skipped: Waymark makes it.
func TestSidecarConformance(t *testing.T) {
	files := vectors.Sidecar(t)
	c := newComparison()
	for _, name := range vectors.Names(t, files) {
		in, o := vectors.LoadSidecar(t, files, name)
		p, _ := translate.Plan(in, o)
		var requests []verdict.Request
		vectors.ReadJSON(t, files, name+".requests.json", &requests)
		c.compare(t, files, name, p, requests)
	}
	c.report(t)
	assert.Greater(t, c.total, 9000, "all that are packed")
}

// comparison counts the fields of verdicts that agree.
type comparison struct {
	compared, disagreed map[string]int
	agreed, total       int
}

func newComparison() *comparison { return &comparison{map[string]int{}, map[string]int{}, 0, 0} }

// compare holds the verdicts of one set against our own.
func (c *comparison) compare(t *testing.T, files fs.FS, name string, p *plan.Plan, requests []verdict.Request) {
	j, err := verdict.New(p, effect.Intake{})
	require.NoError(t, err, name)
	var doc struct{ Verdicts []map[string]any }
	vectors.ReadJSON(t, files, name+".verdicts.json", &doc)
	require.Len(t, requests, len(doc.Verdicts))
	for i, want := range doc.Verdicts {
		if want["error"] != nil || want["noCluster"] != nil {
			continue
		}
		c.total++
		text, err := json.Marshal(j.Decide(requests[i]))
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(text, &got))
		if route, ok := got["route"].(map[string]any); ok && route["virtualService"] == "" { // Istio's has no such key
			delete(route, "virtualService")
		}
		ok := true
		for _, field := range required {
			if want[field] == nil && got[field] == nil {
				continue
			}
			c.compared[field]++
			if !reflect.DeepEqual(want[field], got[field]) {
				c.disagreed[field]++
				ok = false
				t.Errorf("%s[%d] %v: %s: want %v, got %v", name, i, want["name"], field, want[field], got[field])
			}
		}
		if ok {
			c.agreed++
		}
	}
}

// report fails unless all verdicts agree.
func (c *comparison) report(t *testing.T) {
	for _, field := range slices.Sorted(slices.Values(required)) {
		t.Logf("%-16s %6d compared, %d disagree", field, c.compared[field], c.disagreed[field])
	}
	t.Logf("%d of %d verdicts agree on every field", c.agreed, c.total)
	assert.Equal(t, c.total, c.agreed)
	assert.Positive(t, c.total)
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
