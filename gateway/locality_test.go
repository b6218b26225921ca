package gateway_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/translate"
)

// DR-LOC-01: which localities come first, and what share each has.
func TestLocalities(t *testing.T) {
	const endpoints = "{address: 10.0.0.1, locality: r1/z1/s1}, {address: 10.0.0.2, locality: r1/z1/s2}, {address: 10.0.0.3, locality: r1/z2/s1, labels: {group: a}}, " +
		"{address: 10.0.0.4, locality: r2/z1/s1, weight: 3, labels: {group: b, rack: x}}, {address: 10.0.0.5, locality: r3/z1/s1, labels: {group: b, rack: 'y'}}"
	type place struct {
		locality         string
		priority, weight uint32
	}
	flat := []place{{"r1/z1/s1", 0, 0}, {"r1/z1/s2", 0, 0}, {"r1/z2/s1", 0, 0}, {"r2/z1/s1", 0, 0}, {"r3/z1/s1", 0, 0}}
	for sentence, c := range map[string]struct {
		policy, locality string
		labels           map[string]string
		want             []place
		weighted         bool
	}{
		"without outlierDetection nothing is preferred":   {policy: "loadBalancer: {simple: RANDOM}", locality: "r1/z1/s1", want: flat},
		"switched off, nothing is":                        {policy: "outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: false}}", locality: "r1/z1/s1", want: flat},
		"a proxy that does not know where it is: all one": {policy: "outlierDetection: {}", want: flat},
		"the nearer, the sooner": {policy: "outlierDetection: {}", locality: "r1/z1/s1",
			want: []place{{"r1/z1/s1", 0, 0}, {"r1/z1/s2", 1, 0}, {"r1/z2/s1", 2, 0}, {"r2/z1/s1", 3, 0}, {"r3/z1/s1", 3, 0}}},
		"priorities begin at 0 and have no gaps": {policy: "outlierDetection: {}", locality: "r1/z3/s1",
			want: []place{{"r1/z1/s1", 0, 0}, {"r1/z1/s2", 0, 0}, {"r1/z2/s1", 0, 0}, {"r2/z1/s1", 1, 0}, {"r3/z1/s1", 1, 0}}},
		"failover names the region that comes next": {policy: "outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r3}]}}", locality: "r1/z1/s1", weighted: true,
			want: []place{{"r1/z1/s1", 0, 1}, {"r1/z1/s2", 1, 1}, {"r1/z2/s1", 2, 1}, {"r2/z1/s1", 4, 3}, {"r3/z1/s1", 3, 1}}},
		"shares, and none for the rest": {policy: "loadBalancer: {localityLbSetting: {distribute: [{from: r9/*, to: {r9/*: 100}}, {from: r1/z1/*, to: {r1/*: 70, r2/z1/s1: 30}}]}}", locality: "r1/z1/s1", weighted: true,
			want: []place{{"r1/z1/s1", 0, 24}, {"r1/z1/s2", 0, 24}, {"r1/z2/s1", 0, 24}, {"r2/z1/s1", 0, 30}}},
		"failoverPriority goes by labels, the first the most important": {
			policy: "outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [group, rack]}}", labels: map[string]string{"istio": "ingressgateway", "group": "b", "rack": "y"}, weighted: true,
			want: []place{{"r3/z1/s1", 0, 1}, {"r2/z1/s1", 1, 3}, {"r1/z1/s1", 2, 1}, {"r1/z1/s2", 2, 1}, {"r1/z2/s1", 2, 1}}},
		"failoverPriority with a value does not ask the proxy": {
			policy: "outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: ['group=a']}}", locality: "r1/z1/s1", weighted: true,
			want: []place{{"r1/z2/s1", 0, 1}, {"r1/z1/s1", 1, 1}, {"r1/z1/s2", 1, 1}, {"r2/z1/s1", 1, 3}, {"r3/z1/s1", 1, 1}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := clustersOf(t, "trafficPolicy: {"+c.policy+"}", endpoints, translate.Options{Locality: c.locality, Labels: c.labels})[":80"]
			var places []place
			for _, l := range got.Localities {
				places = append(places, place{l.Region + "/" + l.Zone + "/" + l.SubZone, l.Priority, l.Weight})
			}
			assert.True(t, slices.Equal(c.want, places), "want %v, got %v", c.want, places)
			assert.Equal(t, c.weighted, got.LocalityWeighted)
		})
	}
}
