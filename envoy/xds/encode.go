package xds

import (
	"fmt"
	"slices"
	"weak"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	_ "google.golang.org/grpc/encoding/proto" // the codec of requests
)

// response is an answer that is encoded already: what is the same for all proxies, and the nonce of one. Both are fields of
// one message, and protobuf allows them in any order.
type response struct {
	shared []byte
	nonce  string
	delta  bool
}

// codec sends a response without copying what proxies share.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*response)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	field := deltaNonce
	if !r.delta {
		field = stateNonce
	}
	tail := protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), r.nonce)
	return mem.BufferSlice{mem.SliceBuffer(r.shared), mem.SliceBuffer(tail)}, nil
}

// Fields of DeltaDiscoveryResponse, Resource and DiscoveryResponse (envoy/service/discovery/v3/discovery.proto).
const (
	deltaResources protowire.Number = 2
	deltaType      protowire.Number = 4
	deltaNonce     protowire.Number = 5
	deltaRemoved   protowire.Number = 6

	resourceVersion protowire.Number = 1
	resourceAny     protowire.Number = 2
	resourceName    protowire.Number = 3

	stateVersion   protowire.Number = 1
	stateResources protowire.Number = 2
	stateType      protowire.Number = 4
	stateNonce     protowire.Number = 5
)

// encodeDelta is a DeltaDiscoveryResponse without its nonce.
func encodeDelta(kind int, set []*entry, removed []string) []byte {
	var b []byte
	size := 100
	for _, e := range set {
		size += len(e.packed) + len(e.name) + 50
	}
	b = slices.Grow(b, size)
	for _, e := range set {
		n := sizeOf(resourceVersion, len(e.version)) + sizeOf(resourceAny, len(e.packed)) + sizeOf(resourceName, len(e.name))
		b = protowire.AppendVarint(protowire.AppendTag(b, deltaResources, protowire.BytesType), uint64(n))
		b = protowire.AppendString(protowire.AppendTag(b, resourceVersion, protowire.BytesType), e.version)
		b = protowire.AppendBytes(protowire.AppendTag(b, resourceAny, protowire.BytesType), e.packed)
		b = protowire.AppendString(protowire.AppendTag(b, resourceName, protowire.BytesType), e.name)
	}
	b = protowire.AppendString(protowire.AppendTag(b, deltaType, protowire.BytesType), string(types[kind]))
	for _, name := range removed {
		b = protowire.AppendString(protowire.AppendTag(b, deltaRemoved, protowire.BytesType), name)
	}
	return b
}

// sizeOf is the size of a field with some bytes.
func sizeOf(field protowire.Number, bytes int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(bytes)
}

// encodeState is a DiscoveryResponse without its nonce.
func encodeState(kind int, version string, set []*entry) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, stateVersion, protowire.BytesType), version)
	for _, e := range set {
		b = protowire.AppendBytes(protowire.AppendTag(b, stateResources, protowire.BytesType), e.packed)
	}
	return protowire.AppendString(protowire.AppendTag(b, stateType, protowire.BytesType), string(types[kind]))
}

// change is what a proxy is sent to bring it from one collection to another.
type change struct {
	set     []*entry
	removed []string
}

func (c *change) empty() bool { return len(c.set) == 0 && len(c.removed) == 0 }

// bodyKey is a change to a collection: the one before, and what of it is subscribed to. Weak, since a collection must not
// keep all those before it.
type bodyKey struct {
	from  weak.Pointer[collection]
	names weak.Pointer[nameSet]
	all   bool // subscribed to everything
	whole bool // state of the world
}

// body is an encoded change.
type body struct {
	change
	bytes []byte
}

// bodyTo is the change from one collection to another, encoded once for all proxies that have the same and have subscribed
// to the same.
func bodyTo(from, to *collection, all bool, names *nameSet, whole bool) *body {
	key := bodyKey{weak.Make(from), weak.Make(names), all, whole}
	to.mu.Lock()
	defer to.mu.Unlock()
	if b := to.bodies[key]; b != nil {
		return b
	}
	b := &body{change: changeTo(from, to, all, names)}
	if whole {
		if !b.empty() && allOrNothing(to.kind) {
			b.set = slices.DeleteFunc(slices.Clone(to.order), func(e *entry) bool { return !wanted(to.kind, all, names, e.name) })
		}
		b.bytes = encodeState(to.kind, to.version, b.set)
	} else {
		b.bytes = encodeDelta(to.kind, b.set, b.removed)
	}
	to.bodies[key] = b
	return b
}

// allOrNothing are the types of which an answer in state of the world has all: what is missing is removed.
func allOrNothing(kind int) bool { return kind == clusters || kind == listeners }

func changeTo(from, to *collection, all bool, names *nameSet) change {
	var c change
	for _, e := range to.order {
		if before := from.get(e.name); (before == nil || before.version != e.version) && wanted(to.kind, all, names, e.name) {
			c.set = append(c.set, e)
		}
	}
	if from != nil {
		for _, e := range from.order {
			if to.entries[e.name] == nil && wanted(to.kind, all, names, e.name) {
				c.removed = append(c.removed, e.name)
			}
		}
	}
	return c
}

// decodeResources reads what encodeDelta wrote.
func decodeResources(b []byte) ([]proto.Message, error) {
	var r discoveryv3.DeltaDiscoveryResponse
	if err := proto.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	out := make([]proto.Message, len(r.Resources))
	for i, resource := range r.Resources {
		m, err := resource.Resource.UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", resource.Name, err)
		}
		out[i] = m
	}
	return out, nil
}
