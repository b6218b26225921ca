package cluster

import (
	"bytes"
	"crypto/sha256"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"waymark.dev/waymark/istio/resource"
)

// store has the objects of one watch, decoded. The client library's reflector fills it: with everything at the start and after
// a gap, and with each change in between. Only the reflector's goroutine writes.
type store struct {
	source *Source
	kind   *kind
	items  map[string]*item // by namespace/name; guarded by the source's lock
	synced bool             // it was filled once; as above
}

// item is one object. It does not change.
type item struct {
	*resource.Decoded
	content         [sha256.Size]byte
	uid             types.UID
	resourceVersion string
	status          map[string]any
}

// Transformer lets the reflector keep, of what it collects before a [store.Replace], only what the store will keep.
func (s *store) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return s.kind.of(object) }
}

// item decodes an object, or takes what was decoded before if its content is the same.
func (s *store) item(object any) (key string, made *item, err error) {
	k, err := s.kind.of(object)
	if err != nil {
		return "", nil, err
	}
	key = k.Namespace + "/" + k.Name
	made = &item{content: sha256.Sum256(k.content), uid: k.UID, resourceVersion: k.ResourceVersion, status: k.status}
	if before := s.items[key]; before != nil && bytes.Equal(before.content[:], made.content[:]) {
		made.Decoded = before.Decoded
		return key, made, nil
	}
	made.Decoded, err = resource.Decode(k.content)
	return key, made, err
}

// Add takes a new object.
func (s *store) Add(object any) error {
	key, made, err := s.item(object)
	if err != nil {
		return err
	}
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	before := s.items[key]
	s.items[key] = made
	if before == nil || before.Decoded != made.Decoded {
		s.source.changed(s.kind)
	}
	return nil
}

// Update takes a changed object.
func (s *store) Update(object any) error { return s.Add(object) }

// Delete removes an object.
func (s *store) Delete(object any) error {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		return err
	}
	if s.kind.clusterScoped {
		key = "/" + key
	}
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	if s.items[key] != nil {
		delete(s.items, key)
		s.source.changed(s.kind)
	}
	return nil
}

// Replace takes all objects that there are.
func (s *store) Replace(all []any, _ string) error {
	items := make(map[string]*item, len(all))
	differs := false
	for _, object := range all {
		key, made, err := s.item(object)
		if err != nil {
			return err
		}
		before := s.items[key]
		differs = differs || before == nil || before.Decoded != made.Decoded
		items[key] = made
	}
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	differs = differs || len(items) != len(s.items)
	s.items = items
	if !s.synced {
		s.synced, differs = true, true
	}
	if differs {
		s.source.changed(s.kind)
	}
	return nil
}

// Resync is not used.
func (s *store) Resync() error { return nil }
