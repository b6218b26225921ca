package kubernetes

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// many rules in VirtualServices of one host, a hundred in each: exact paths, prefixes, headers and expressions.
const (
	manyRules = 10_000
	perObject = 100
)

func (f *aFleet) manyOf(object int, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: many-%d}\nspec:\n  hosts: [many.test]\n  gateways: [proxy-0, proxy-1]\n  http:\n", object)
	for i := object * perObject; i < (object+1)*perObject; i++ {
		match := fmt.Sprintf("{uri: {exact: /team-%d/orders}}", i)
		switch i % 4 {
		case 1:
			match = fmt.Sprintf("{uri: {prefix: /team-%d/items/}}", i)
		case 2:
			match = fmt.Sprintf("{uri: {prefix: /shared/}, headers: {x-tenant: {exact: tenant-%d}}}", i)
		case 3:
			match = fmt.Sprintf(`{uri: {regex: "/team-%d/v[0-9]+/.*"}}`, i)
		}
		does := "route: [{destination: {host: stable.test, subset: v2}}]"
		if i%perObject == 0 {
			does = fmt.Sprintf("directResponse: {status: 200, body: {string: %q}}", body)
		}
		fmt.Fprintf(&b, "  - match: [%s]\n    %s\n", match, does)
	}
	return b.String()
}

// sums are the sums of the histograms of a replica, in seconds, by name and step.
func (s *served) sums(t *testing.T) map[string]float64 {
	response, err := http.Get("http://" + s.admin + "/metrics")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }() // it was read
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	require.NoError(t, err)
	out := map[string]float64{}
	for name, family := range families {
		for _, m := range family.Metric {
			if h := m.GetHistogram(); h != nil {
				key := strings.TrimPrefix(name, "waymark_")
				for _, l := range m.Label {
					key += " " + l.GetValue()
				}
				out[key] = h.GetSampleSum()
			}
		}
	}
	return out
}

// One of 10,000 rules is written, and answers: with the filter and with a tree. The times are for people; where they go is what
// the metrics of the control plane tell.
func TestFromWrittenToAnswered(t *testing.T) {
	f := startFleet(t, 2)
	for object := range manyRules / perObject {
		require.NoError(t, f.put(t.Context(), f.manyOf(object, "0")))
	}
	for i, matching := range []string{"filter", "auto"} {
		s := f.serve(t, matching, "--matching", matching)
		m := f.members[i]
		f.join(t, i, "1.40.0", s.xds)
		const object = 50
		path := fmt.Sprintf("/team-%d/orders", object*perObject)
		answers := func(text string) {
			for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
				a, err := m.askOf("many.test", path)
				if err == nil && a.status == http.StatusOK && a.body == text {
					return
				}
				require.Less(t, time.Since(begun), time.Minute, "%+v %v\n%s", a, err, m.envoy.Log())
			}
		}
		answers("0")
		for round := range 3 {
			s.Eventually(t, "in sync", func() bool { return s.status(t).Proxies.InSync == 1 })
			text := fmt.Sprint(i, round, "anew")
			before := s.sums(t)
			require.NoError(t, f.put(t.Context(), f.manyOf(object, text)))
			written := time.Now()
			answers(text)
			took := time.Since(written)
			s.Eventually(t, "in sync", func() bool { return s.status(t).Proxies.InSync == 1 })
			var parts []string
			for name, sum := range s.sums(t) {
				if spent := sum - before[name]; spent > 0.001 {
					parts = append(parts, fmt.Sprintf("%s %.3f s", name, spent))
				}
			}
			t.Logf("%s: answered %s after it was written: %s", m.strategy(t), took.Round(time.Millisecond), strings.Join(parts, ", "))
		}
		require.NoError(t, f.put(t.Context(), f.manyOf(object, "0")))
		require.NoError(t, s.Cmd.Process.Kill())
		require.Error(t, s.Cmd.Wait(), "it was killed")
		require.NoError(t, m.envoy.Stop())
	}
}
