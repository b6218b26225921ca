package suite_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/suite"
)

const covered = `
  - match: [{uri: {prefix: /one}, headers: {x-a: {exact: "1"}}, withoutHeaders: {x-b: {}}}]
    route: [{destination: {host: one}}]
  - match: [{uri: {prefix: /one}, method: {exact: GET}, queryParams: {q: {exact: "1"}}}]
    route: [{destination: {host: one}, weight: 1}, {destination: {host: two}, weight: 1}, {destination: {host: three}, weight: 0}]
  - route: [{destination: {host: last}}]
`

// What counts as covered: a rule that took a request, a condition that was met and was not, a destination that was expected.
func TestCoverage(t *testing.T) {
	t.Parallel()
	const first = "{name: a, request: {authority: a.test, path: /one, headers: {x-a: '1'}}, expect: {destination: one}}"
	const second = "{name: b, request: {authority: a.test, path: '/one?q=1'}, expect: {shares: [{host: one, weight: 1}, {host: two, weight: 1}]}}"
	const last = "{name: c, request: {authority: a.test, path: /}, expect: {destination: last}}"
	for what, c := range map[string]struct {
		tests                           string
		rules, conditions, destinations suite.Share
	}{
		"one rule": {first, suite.Share{Covered: 1, All: 3, Percent: 333}, suite.Share{Covered: 0, All: 6, Percent: 0}, suite.Share{Covered: 1, All: 4, Percent: 250}},
		"a rule behind it was tried, so that conditions of the first were seen both ways": {first + ", " + second,
			suite.Share{Covered: 2, All: 3, Percent: 666}, suite.Share{Covered: 1, All: 6, Percent: 166}, suite.Share{Covered: 3, All: 4, Percent: 750}},
		"all rules": {first + ", " + second + ", " + last,
			suite.Share{Covered: 3, All: 3, Percent: 1000}, suite.Share{Covered: 4, All: 6, Percent: 666}, suite.Share{Covered: 4, All: 4, Percent: 1000}},
		"a test that fails reaches rules and conditions, and no destination": {"{name: a, request: {authority: a.test, path: /}, expect: {destination: other}}",
			suite.Share{Covered: 1, All: 3, Percent: 333}, suite.Share{Covered: 0, All: 6, Percent: 0}, suite.Share{Covered: 0, All: 4, Percent: 0}},
		"a test that expects no destination reaches none": {"{name: a, request: {authority: a.test, path: /}, expect: {timeout: 0s}}",
			suite.Share{Covered: 1, All: 3, Percent: 333}, suite.Share{Covered: 0, All: 6, Percent: 0}, suite.Share{Covered: 0, All: 4, Percent: 0}},
		"a destination that must not be is not reached": {"{name: a, request: {authority: a.test, path: /}, expect: {not: {destination: one}}}",
			suite.Share{Covered: 1, All: 3, Percent: 333}, suite.Share{Covered: 0, All: 6, Percent: 0}, suite.Share{Covered: 0, All: 4, Percent: 0}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got := run(t, vs(covered), "tests: ["+c.tests+"]").Coverage
			assert.Equal(t, []suite.Share{c.rules, c.conditions, c.destinations}, []suite.Share{got.Rules, got.Conditions, got.Destinations})
		})
	}
	t.Run("a dead rule is not counted", func(t *testing.T) {
		t.Parallel()
		report := rulesOf(t, vs(covered)).Run(read(t, "tests: ["+last+"]"), []suite.Dead{{Rule: "one/a.http[0].match[0]"}})
		got := report.Coverage
		assert.Equal(t, []int{1, 2, 3, 3}, []int{got.Rules.Covered, got.Rules.All, got.Conditions.All, got.Destinations.All})
		require.Len(t, got.Dead, 1)
		assert.Equal(t, "one/a.http[0].match[0]", got.Dead[0].Rule)
		require.Len(t, got.Uncovered, 1)
		assert.Equal(t, "one/a.http[1].match[0]", got.Uncovered[0].Rule)
	})
	t.Run("what is not covered of rules that took a request", func(t *testing.T) {
		t.Parallel()
		got := run(t, vs(covered), "tests: ["+first+", "+second+"]").Coverage
		var conditions, destinations []string
		for _, u := range got.UncoveredConditions {
			conditions = append(conditions, u.Rule+" "+u.Condition)
		}
		for _, u := range got.UncoveredDestinations {
			destinations = append(destinations, u.Rule+" "+u.Destination)
		}
		assert.Equal(t, []string{
			"one/a.http[0].match[0] uri", "one/a.http[0].match[0] withoutHeaders.x-b",
			"one/a.http[1].match[0] uri", "one/a.http[1].match[0] method", "one/a.http[1].match[0] queryParams.q",
		}, conditions)
		assert.Empty(t, destinations)
	})
}

// A percentage is rounded down: only all is 100.
func TestPercentagesAreRoundedDown(t *testing.T) {
	t.Parallel()
	for p, want := range map[suite.Percent]string{999: "99.9", 1000: "100", 0: "0", 5: "0.5", 666: "66.6", 500: "50"} {
		text, err := json.Marshal(p)
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	c := suite.Coverage{Rules: suite.Share{Covered: 9999, All: 10000, Percent: 999}, Conditions: suite.Share{Percent: 1000}, Destinations: suite.Share{Percent: 900}}
	assert.Equal(t, []string{"rules 99.9 %", "destinations 90 %"}, c.Under(100))
	assert.Empty(t, c.Under(90))
}
