package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/gateway"
)

// A pattern that falls back to the slower engine is a notice, and no finding: Istio says nothing of it.
func TestCheckTellsOfSlowExpressions(t *testing.T) {
	rule := func(pattern string) *gateway.Report {
		return gateway.Check([]string{"-"}, strings.NewReader(ruled("a", "- {match: [{uri: {regex: '"+pattern+"'}}], route: [{destination: {host: a.test}}]}\n")))
	}
	slow := rule("/(a|b)*a(a|b){14}/x")
	assert.Empty(t, slow.Findings())
	if assert.Len(t, slow.Other, 1) {
		assert.Equal(t, gateway.Notice, slow.Other[0].Severity)
		assert.Contains(t, slow.Other[0].String(), `spec.http[0].match[0].uri.regex: "/(a|b)*a(a|b){14}/x" has no automaton of a bearable size`)
	}
	assert.Empty(t, rule("/api/v[0-9]+/.*").Other)
	assert.Empty(t, rule("/[a-z]{1,40}/(one|two|three)/[0-9]{4}-[0-9]{2}").Other)
}
