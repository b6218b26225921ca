package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"sync"
	"weak"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/envoy"
)

// The types in the order in which a view has them.
var types = [...]envoy.Type{
	envoy.SecretType, envoy.EndpointType, envoy.ClusterType, envoy.RouteType, envoy.HostType, envoy.ExtensionType, envoy.ListenerType,
}

const (
	secrets = iota
	endpoints
	clusters
	routes
	hosts
	plugins
	listeners
)

// indexOf is the place of a type in a view, or -1 for one that is not served.
func indexOf(t string) int { return slices.Index(types[:], envoy.Type(t)) }

// entry is a resource as it is sent. It is never changed.
type entry struct {
	name string
	// version is a hash of the content: equal resources have equal versions, in every process.
	version string
	message proto.Message
	packed  []byte // a google.protobuf.Any
}

func newEntry(r envoy.Resource) (*entry, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
	if err != nil {
		return nil, err
	}
	packed, err := proto.Marshal(&anypb.Any{TypeUrl: string(r.Type), Value: value})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(value)
	return &entry{name: r.Name, version: hex.EncodeToString(sum[:versionSize]), message: r.Message, packed: packed}, nil
}

// versionSize is how much of a hash is a version: enough that no two resources of one name ever share one by chance.
const versionSize = 10

// collection is all resources of one type at one moment. It is never changed, and one with the same content is the same
// pointer (see [pool]), so that a thousand proxies that have the same share one.
type collection struct {
	kind    int
	entries map[string]*entry
	order   []*entry
	version string

	mu     sync.Mutex
	bodies map[bodyKey]*body // encoded changes to this collection
}

func (c *collection) get(name string) *entry {
	if c == nil {
		return nil
	}
	return c.entries[name]
}

func (c *collection) all() []*entry {
	if c == nil {
		return nil
	}
	return c.order
}

// resources are those of the collection, for [envoy.Sequence].
func (c *collection) resources() []envoy.Resource {
	if c == nil {
		return nil
	}
	out := make([]envoy.Resource, len(c.order))
	for i, e := range c.order {
		out[i] = envoy.Resource{Key: envoy.Key{Type: types[c.kind], Name: e.name}, Message: e.message}
	}
	return out
}

// view is all that a proxy may have, by type. Two views are equal where they are the same.
type view [len(types)]*collection

// routing are the routes and virtual hosts, which belong together.
func (v *view) routing() [2]*collection { return [2]*collection{v[routes], v[hosts]} }

// pool has each collection and each set of names once, as long as somebody uses it.
type pool struct {
	mu          sync.Mutex
	collections map[string]weak.Pointer[collection]
	names       map[string]weak.Pointer[nameSet]
}

func newPool() *pool {
	return &pool{collections: map[string]weak.Pointer[collection]{}, names: map[string]weak.Pointer[nameSet]{}}
}

// collect makes the collection of some entries, whose names differ.
func (p *pool) collect(kind int, order []*entry) *collection {
	sum := sha256.New()
	ordered := slices.SortedFunc(slices.Values(order), func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	for _, e := range ordered {
		write(sum, e.name, e.version)
	}
	version := hex.EncodeToString(sum.Sum(nil)[:versionSize])
	p.mu.Lock()
	defer p.mu.Unlock()
	key := types[kind].Short() + version
	if c := p.collections[key].Value(); c != nil {
		return c
	}
	c := &collection{kind: kind, entries: make(map[string]*entry, len(order)), order: order, version: version, bodies: map[bodyKey]*body{}}
	for _, e := range order {
		c.entries[e.name] = e
	}
	p.collections[key] = weak.Make(c)
	return c
}

// sweep forgets what nobody uses.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, c := range p.collections {
		if c.Value() == nil {
			delete(p.collections, k)
		}
	}
	for k, n := range p.names {
		if n.Value() == nil {
			delete(p.names, k)
		}
	}
}

// write adds texts to a hash, each with its end.
func write(h hash.Hash, texts ...string) {
	for _, t := range texts {
		_, _ = h.Write([]byte(t)) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
}

// nameSet is a set of names that a proxy has subscribed to. It is never changed, and equal sets are the same pointer.
type nameSet struct {
	sorted []string
}

func (n *nameSet) has(name string) bool {
	if n == nil {
		return false
	}
	_, found := slices.BinarySearch(n.sorted, name)
	return found
}

func (n *nameSet) list() []string {
	if n == nil {
		return nil
	}
	return n.sorted
}

// set makes the set of names after a change.
func (p *pool) set(before *nameSet, add, remove []string) *nameSet {
	var names []string
	if before != nil {
		names = slices.Clone(before.sorted)
	}
	names = append(names, add...)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(remove) > 0 {
		gone := slices.Sorted(slices.Values(remove))
		names = slices.DeleteFunc(names, func(n string) bool { _, found := slices.BinarySearch(gone, n); return found })
	}
	if len(names) == 0 {
		return nil
	}
	sum := sha256.New()
	write(sum, names...)
	key := string(sum.Sum(nil))
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.names[key].Value(); n != nil {
		return n
	}
	n := &nameSet{sorted: slices.Clip(names)}
	p.names[key] = weak.Make(n)
	return n
}
