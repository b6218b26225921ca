package proxy

import (
	"hash/maphash"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"

	"waymark.dev/waymark/plan"
)

// balancer chooses an endpoint of a cluster: by the hash of a key where the policy hashes and there is one, at random
// where the policy says so, else in turn.
type balancer struct {
	endpoints []string // one that has weight n stands here n times
	random    bool
	hashes    bool
	next      atomic.Uint32
}

// maxWeight bounds the memory that a weight takes.
const maxWeight = 1000

func newBalancer(c *plan.Cluster) *balancer {
	b := &balancer{
		random: c.LoadBalancing == plan.Random,
		hashes: c.LoadBalancing == plan.RingHash || c.LoadBalancing == plan.Maglev,
	}
	for _, e := range c.AllEndpoints() {
		for range min(max(e.Weight, 1), maxWeight) {
			b.endpoints = append(b.endpoints, net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port))))
		}
	}
	return b
}

// hashSeed is the same for all plans of a process, so that users stay where they are when rules change.
var hashSeed = maphash.MakeSeed()

// pick chooses an endpoint; key is what the rule's hash policies found in the request, or "".
func (b *balancer) pick(key string) (string, bool) {
	switch {
	case len(b.endpoints) == 0:
		return "", false
	case b.hashes && key != "":
		return b.highest(key), true
	case b.random || b.hashes: // a request without a key goes anywhere, as in Envoy
		return b.endpoints[rand.IntN(len(b.endpoints))], true
	}
	return b.endpoints[int(b.next.Add(1)-1)%len(b.endpoints)], true
}

// highest is rendezvous hashing: the endpoint whose hash together with the key is the highest. When one goes, only its
// own users move.
func (b *balancer) highest(key string) string {
	var best string
	var top uint64
	for _, e := range b.endpoints {
		if h := maphash.String(hashSeed, e+"\x00"+key); best == "" || h > top {
			best, top = e, h
		}
	}
	return best
}
