package main

import (
	"hash/crc32"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"waymark.dev/waymark/envoy"
)

// library has each name and each version of a resource once, for all Envoys of a process, so that a thousand of them need
// little memory. The content of a version is looked at when it comes for the first time.
type library struct {
	mu       sync.RWMutex
	ids      map[resourceName]int
	names    []resourceName
	versions map[versionKey]int
	known    []version

	expected []int64 // checksums by the number of a name; -1: the Envoy need not have it
	wanted   int
	routes   []string // names of route configurations and plugin configurations, which listeners name
	plugins  []string
}

type resourceName struct {
	kind int // in adsTypes
	name string
}

type versionKey struct {
	id      int
	version string
}

type version struct {
	text string
	sum  int64
}

func newLibrary() *library {
	return &library{ids: map[resourceName]int{}, versions: map[versionKey]int{}, known: []version{{}}} // 0 is none
}

// id is the number of a name.
func (l *library) id(kind int, name []byte) int {
	l.mu.RLock()
	id, ok := l.ids[resourceName{kind, string(name)}]
	l.mu.RUnlock()
	if ok {
		return id
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newID(resourceName{kind, string(name)})
}

func (l *library) newID(n resourceName) int {
	if id, ok := l.ids[n]; ok {
		return id
	}
	l.names = append(l.names, n)
	l.ids[n] = len(l.names) - 1
	return len(l.names) - 1
}

// version is the number of a version.
func (l *library) version(id int, text, any []byte) int {
	l.mu.RLock()
	n, ok := l.versions[versionKey{id, string(text)}]
	l.mu.RUnlock()
	if ok {
		return n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := versionKey{id, string(text)}
	if n, ok := l.versions[key]; ok {
		return n
	}
	_ = eachField(any, func(field protowire.Number, value []byte) {
		if field == 2 { // google.protobuf.Any.value
			l.known = append(l.known, version{key.version, int64(crc32.Checksum(value, castagnoli))})
		}
	})
	l.versions[key] = len(l.known) - 1
	return len(l.known) - 1
}

// expect says what Envoys are to have.
func (l *library) expect(s sums) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.routes, l.plugins, l.wanted = nil, nil, len(s)
	ids := map[int]int64{}
	for key, sum := range s {
		ids[l.newID(resourceName{slices.Index(adsTypes, key.Type), key.Name})] = int64(sum)
		switch key.Type {
		case envoy.RouteType:
			l.routes = append(l.routes, key.Name)
		case envoy.ExtensionType:
			l.plugins = append(l.plugins, key.Name)
		}
	}
	l.expected = make([]int64, len(l.names))
	for id := range l.expected {
		l.expected[id] = -1
		if sum, ok := ids[id]; ok {
			l.expected[id] = sum
		}
	}
}

// lacks reports whether a version is not the one that is expected.
func (l *library) lacks(id, version int) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return id < len(l.expected) && l.expected[id] >= 0 && (version == 0 || l.known[version].sum != l.expected[id])
}

// missing is how many resources an Envoy lacks that has some versions.
func (l *library) missing(have []int) (n int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.wanted == 0 {
		return 1 // nothing is expected yet, so nobody has it
	}
	for id, sum := range l.expected {
		if sum >= 0 && (id >= len(have) || have[id] == 0 || l.known[have[id]].sum != sum) {
			n++
		}
	}
	return n
}

// held are the names of a type that an Envoy has, with their versions.
func (l *library) held(kind int, have []int) map[string]string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := map[string]string{}
	for id, version := range have {
		if version != 0 && l.names[id].kind == kind {
			out[l.names[id].name] = l.known[version].text
		}
	}
	return out
}

// eachField goes through the fields of a message that have a length.
func eachField(b []byte, each func(protowire.Number, []byte)) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			each(field, value)
			b = b[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}
