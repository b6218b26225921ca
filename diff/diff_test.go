package diff_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/diff"
	"waymark.dev/waymark/verdict"
)

const rules = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: default}
spec:
  hosts: ['*']
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /a}}]
    route: [{destination: {host: s}}]
  - route: [{destination: {host: t}}]
`

// TestChanges says of changes of these rules which pairs differ: domain, rule before, rule now, and whether a destination is
// lost.
func TestChanges(t *testing.T) {
	for sentence, c := range map[string]struct {
		old, now string // replaced in the rules
		want     []string
	}{
		"nothing changes":                    {"host: s}", "host: s}", nil},
		"another name and other white space": {"host: s}", "host:  s.default.svc.cluster.local}", nil},
		"another destination":                {"host: s}", "host: u}", []string{"* http[0].match[0] http[0].match[0]"}},
		"a rewrite by an expression that few paths meet": {"{host: s}}]", "{host: s}}]\n    rewrite: {uriRegexRewrite: {match: '^/a/x[0-9]{9}', rewrite: /b}}", []string{
			"* http[0].match[0] http[0].match[0]",
		}},
		"a rewrite by an expression that no path meets": {"{host: s}}]", "{host: s}}]\n    rewrite: {uriRegexRewrite: {match: '^/b', rewrite: /c}}", nil},
		"a redirect to https is turned on": {"hosts: ['*']}]", "hosts: ['*'], tls: {httpsRedirect: true}}]", []string{
			"* http[0].match[0] none", "* http[1] none",
		}},
		"the Gateway serves fewer hosts": {"hosts: ['*']}]", "hosts: ['*.test']}]", []string{
			"* http[0].match[0] none lost", "* http[1] none lost",
		}},
		"the VirtualService serves fewer": {"hosts: ['*']\n  gateways", "hosts: [any.test]\n  gateways", []string{
			"* http[0].match[0] none lost", "* http[1] none lost",
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			changed := strings.Replace(rules, c.old, c.now, 1)
			old, now := judges(t, rules, changed)
			report := diff.Compare(old, now, diff.Options{})
			var got []string
			lost := false
			for _, h := range report.Hosts {
				for _, change := range h.Changes {
					checkWitness(t, old, now, change)
					words := []string{h.Domain, short(change.Old), short(change.New)}
					if change.Loss {
						words, lost = append(words, "lost"), true
						assert.Equal(t, verdict.Route, change.Old.Decision.Kind)
					}
					got = append(got, strings.Join(words, " "))
					assert.NotEqual(t, does(change.Old.Decision), does(change.New.Decision), change.Text)
				}
			}
			assert.ElementsMatch(t, c.want, got)
			assert.Equal(t, len(c.want) == 0, report.Same)
			assert.Equal(t, lost, report.Loss)
			assert.Empty(t, report.Unknown)
		})
	}
}

func short(s diff.Side) string { return strings.TrimPrefix(name(s), "default/v.") }

func TestWhatIsNotComparedIsNotTheSame(t *testing.T) {
	old, now := judges(t, rules, rules)
	report := diff.Compare(old, now, diff.Options{})
	assert.True(t, report.Same)
	report.NotCompared("an error")
	assert.False(t, report.Same)
	assert.Contains(t, report.Markdown(), "not known: an error")
}
