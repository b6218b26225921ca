package names

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// intersect keeps what comparing all pairs keeps, in the same order.
func TestIntersect(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same hosts in every run
	found := 0
	for range 4000 {
		server, virtualService := randomHosts(random), randomHosts(random)
		var want []string
		for _, s := range server {
			for _, v := range virtualService {
				switch {
				case IsCoveredBy(s, v) && !slices.Contains(want, s):
					want = append(want, s)
				case !IsCoveredBy(s, v) && IsCoveredBy(v, s) && !slices.Contains(want, v):
					want = append(want, v)
				}
			}
		}
		found += len(want)
		assert.Equal(t, want, NewHostList(server).Intersect(virtualService), "%v %v", server, virtualService)
	}
	assert.Greater(t, found, 1000)
}

// randomHosts are up to six hosts of few labels, so that many match each other.
func randomHosts(random *rand.Rand) []string {
	labels := []string{"a", "b", "ab", "*", "*a"}
	hosts := make([]string, random.IntN(7))
	for i := range hosts {
		parts := make([]string, 1+random.IntN(3))
		for j := range parts {
			parts[j] = labels[random.IntN(len(labels))]
			if j > 0 {
				parts[j] = strings.TrimPrefix(parts[j], "*")
			}
		}
		hosts[i] = strings.Join(parts, ".")
	}
	return hosts
}

// matchingHosts finds what comparing all pairs finds.
func TestMatchingHosts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same hosts in every run
	found := 0
	for range 2000 {
		hosts := randomHosts(random)
		want := make([]int, len(hosts))
		for i, h := range hosts {
			want[i] = -1
			for j, other := range hosts[:i] {
				if HostsMatch(h, other) {
					want[i] = j
					found++
					break
				}
			}
		}
		assert.Equal(t, want, MatchingHosts(hosts), fmt.Sprint(hosts))
	}
	assert.Greater(t, found, 1000)
}
