package proxy

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"

	"waymark.dev/waymark/plan"
)

// balancer chooses an endpoint of a cluster: in turn, or at random where the policy says so. Policies that need more, such
// as hashing, are Envoy's; here they choose in turn.
type balancer struct {
	endpoints []string // one that has weight n stands here n times
	random    bool
	next      atomic.Uint32
}

// maxWeight bounds the memory that a weight takes.
const maxWeight = 1000

func newBalancer(c *plan.Cluster) *balancer {
	b := &balancer{random: c.LoadBalancing == plan.Random}
	for _, e := range c.Endpoints {
		for range min(max(e.Weight, 1), maxWeight) {
			b.endpoints = append(b.endpoints, net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port))))
		}
	}
	return b
}

func (b *balancer) pick() (string, bool) {
	if len(b.endpoints) == 0 {
		return "", false
	}
	if b.random {
		return b.endpoints[rand.IntN(len(b.endpoints))], true
	}
	return b.endpoints[int(b.next.Add(1)-1)%len(b.endpoints)], true
}
