package proxy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/plan"
)

func endpoints(n int, more ...plan.Endpoint) []plan.Locality {
	var out []plan.Endpoint
	for i := range n {
		out = append(out, plan.Endpoint{Address: fmt.Sprintf("10.0.0.%d", i+1), Port: 80})
	}
	return []plan.Locality{{Endpoints: append(out, more...)}}
}

// DR-HASH-02, DR-HASH-06
func TestUsersStayOnTheirHostWhenAnotherGoes(t *testing.T) {
	five := newBalancer(&plan.Cluster{LoadBalancing: plan.RingHash, Localities: endpoints(5)})
	four := newBalancer(&plan.Cluster{LoadBalancing: plan.RingHash, Localities: endpoints(4)})
	count := map[string]int{}
	for i := range 1000 {
		user := fmt.Sprintf("user-%d", i)
		before, _ := five.pick(user)
		again, _ := five.pick(user)
		assert.Equal(t, before, again, user)
		count[before]++
		if after, _ := four.pick(user); before != "10.0.0.5:80" {
			assert.Equal(t, before, after, user)
		}
	}
	assert.Len(t, count, 5)
	for host, n := range count {
		assert.Greater(t, n, 100, "%s gets its share", host)
	}
}

func TestEndpointsAreTakenInTurn(t *testing.T) {
	b := newBalancer(&plan.Cluster{Localities: endpoints(1, plan.Endpoint{Address: "10.0.0.9", Port: 80, Weight: 2})})
	count := map[string]int{}
	for range 300 {
		e, ok := b.pick("ignored where the policy does not hash")
		assert.True(t, ok)
		count[e]++
	}
	assert.Equal(t, map[string]int{"10.0.0.1:80": 100, "10.0.0.9:80": 200}, count)
	_, ok := newBalancer(&plan.Cluster{}).pick("")
	assert.False(t, ok, "a cluster without endpoints")
}
