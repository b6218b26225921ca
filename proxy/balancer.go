package proxy

import (
	"hash/maphash"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"

	"waymark.dev/waymark/plan"
)

// balancer chooses an endpoint of a cluster. With a policy that hashes, it chooses by the hash of the key, or at random
// if there is no key; with the policy RANDOM, at random; with any other, in turn.
type balancer struct {
	endpoints []string // host:port; an endpoint of weight n is here n times
	random    bool
	hashes    bool
	// http2 means that the endpoints speak HTTP/2, likeClient that they speak the protocol of the client's request.
	http2, likeClient bool
	clients           *clients
	next              atomic.Uint32
}

// maxWeight bounds the weight of an endpoint, and so the memory of balancer.endpoints.
const maxWeight = 1000

func newBalancer(c *plan.Cluster) *balancer {
	b := &balancer{
		http2:      c.HTTP2,
		likeClient: c.ClientProtocol,
		random:     c.LoadBalancing == plan.Random,
		hashes:     c.LoadBalancing == plan.RingHash || c.LoadBalancing == plan.Maglev,
	}
	for _, e := range c.AllEndpoints() {
		for range min(max(e.Weight, 1), maxWeight) {
			b.endpoints = append(b.endpoints, net.JoinHostPort(e.Address, strconv.Itoa(int(e.Port))))
		}
	}
	return b
}

// hashSeed is the same for all plans of a process, so that keys keep their endpoints when rules change.
var hashSeed = maphash.MakeSeed()

// pick chooses an endpoint; false means that the cluster has none. key is the result of the rule's hash policies for
// the request, or "".
func (b *balancer) pick(key string) (string, bool) {
	switch {
	case len(b.endpoints) == 0:
		return "", false
	case b.hashes && key != "":
		return b.highest(key), true
	case b.random || b.hashes: // a request without a key goes to any endpoint, as in Envoy
		return b.endpoints[rand.IntN(len(b.endpoints))], true
	}
	return b.endpoints[int(b.next.Add(1)-1)%len(b.endpoints)], true
}

// highest chooses by rendezvous hashing: the endpoint whose hash together with the key is the highest. When an endpoint
// is removed, only its own keys get another one.
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
