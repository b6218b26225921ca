package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"
)

// sourceOf is a source with stores of some kinds that nothing fills but the test.
func sourceOf(names ...string) (*Source, map[string]*store) {
	s := newSource(Options{Quiet: 20 * time.Millisecond, Most: 100 * time.Millisecond})
	stores := map[string]*store{}
	for _, k := range kinds {
		if slices.Contains(names, k.name) {
			stores[k.name] = &store{source: s, kind: k, items: map[string]*item{}}
			s.stores = append(s.stores, stores[k.name])
		}
	}
	return s, stores
}

func virtualService(name string, version, generation int64, created, spec string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	text := fmt.Sprintf(`{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": %q, "namespace": "n", "uid": %q, "resourceVersion": "%d",
		"generation": %d, "creationTimestamp": %q, "managedFields": [{"manager": "m%d"}]}, "spec": %s, "status": {"conditions": [{"type": "T%d"}]}}`,
		name, name, version, generation, created, version, spec, version)
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		panic(err) // the test is wrong
	}
	return o
}

const (
	early  = "2025-01-01T00:00:00Z"
	late   = "2025-06-01T00:00:00Z"
	simple = `{"hosts": ["a.test"]}`
)

func keys(state *State) (out []string) {
	for _, vs := range state.Input.Set.VirtualServices {
		out = append(out, vs.Name)
	}
	return out
}

// Lists are in the order of creation, then of names, whatever the order in which objects came.
func TestOrderOfAnInput(t *testing.T) {
	all := []any{
		virtualService("c", 1, 1, late, simple), virtualService("a", 2, 1, late, simple), virtualService("z", 3, 1, early, simple), virtualService("b", 4, 1, late, simple),
	}
	for range 4 {
		all = append(all[1:], all[0])
		s, stores := sourceOf("VirtualService")
		require.NoError(t, stores["VirtualService"].Replace(all, "1"))
		state, err := s.Next(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"z", "a", "b", "c"}, keys(state))
	}
}

// What is a change, and what keeps its pointer.
func TestChangesOfAStore(t *testing.T) {
	refused := `{"hosts": "a.test"}`
	for what, c := range map[string]struct {
		do    func(*store) error
		names []string // after a change; nil for none
		same  bool     // a is the same object
	}{
		"a status changes":                 {func(s *store) error { return s.Update(virtualService("a", 9, 1, early, simple)) }, nil, true},
		"a spec changes":                   {func(s *store) error { return s.Update(virtualService("a", 9, 2, early, `{"hosts": ["b.test"]}`)) }, []string{"a", "b"}, false},
		"a spec changes and changes back":  {func(s *store) error { return s.Update(virtualService("a", 9, 3, early, simple)) }, []string{"a", "b"}, false},
		"one is made again":                {func(s *store) error { return s.Update(virtualService("a", 9, 1, late, simple)) }, []string{"b", "a"}, false},
		"one is new":                       {func(s *store) error { return s.Add(virtualService("c", 9, 1, late, simple)) }, []string{"a", "b", "c"}, true},
		"one becomes broken":               {func(s *store) error { return s.Update(virtualService("b", 9, 2, early, refused)) }, []string{"a"}, true},
		"one is removed":                   {func(s *store) error { return s.Delete(virtualService("b", 9, 1, early, simple)) }, []string{"a"}, true},
		"one was removed during a gap":     {func(s *store) error { return s.Delete(cache.DeletedFinalStateUnknown{Key: "n/b"}) }, []string{"a"}, true},
		"one that is not there is removed": {func(s *store) error { return s.Delete(virtualService("c", 9, 1, early, simple)) }, nil, true},
		"everything comes again": {func(s *store) error {
			return s.Replace([]any{virtualService("b", 8, 1, early, simple), virtualService("a", 9, 1, early, simple)}, "9")
		}, nil, true},
		"everything comes again, without one": {func(s *store) error { return s.Replace([]any{virtualService("a", 9, 1, early, simple)}, "9") }, []string{"a"}, true},
		"everything comes again, with another": {func(s *store) error {
			return s.Replace([]any{virtualService("a", 9, 1, early, simple), virtualService("c", 9, 1, early, simple)}, "9")
		}, []string{"a", "c"}, true},
	} {
		t.Run(what, func(t *testing.T) {
			s, stores := sourceOf("VirtualService")
			st := stores["VirtualService"]
			require.NoError(t, st.Replace([]any{virtualService("a", 1, 1, early, simple), virtualService("b", 2, 1, early, simple)}, "2"))
			before, err := s.Next(t.Context())
			require.NoError(t, err)
			require.NoError(t, c.do(st))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			state, err := s.Next(ctx)
			if c.names == nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Same(t, before.Input, s.Current())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{"VirtualService"}, state.Changed)
			assert.Equal(t, c.names, keys(state))
			for _, vs := range state.Input.Set.VirtualServices {
				if vs.Name == "a" {
					assert.Equal(t, c.same, vs == before.Input.Set.VirtualServices[0])
				}
			}
			if what == "one becomes broken" {
				require.Len(t, state.Input.Set.Refused, 1)
				assert.Equal(t, `error: VirtualService n/b: spec.hosts: must be a list, and is the text "a.test"`, state.Input.Findings[0].String())
			}
		})
	}
}

// There is no state before everything is known, even if a kind has no objects.
func TestNothingIsServedBeforeEverythingIsKnown(t *testing.T) {
	s, stores := sourceOf("VirtualService", "Pod")
	require.NoError(t, stores["VirtualService"].Replace([]any{virtualService("a", 1, 1, early, simple)}, "1"))
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	_, err := s.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, stores["Pod"].Replace(nil, "1"))
	state, err := s.Next(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"Pod", "VirtualService"}, state.Changed)
	assert.False(t, state.OnlyEndpoints)
}

// Changes that follow each other closely are one state, but not for longer than Most.
func TestChangesAreCollected(t *testing.T) {
	s, stores := sourceOf("Pod")
	require.NoError(t, stores["Pod"].Replace(nil, "1"))
	state, _ := s.take(time.Now())
	require.NotNil(t, state, "the first state does not wait")
	begin := time.Now()
	at := func(milliseconds int) time.Time { return begin.Add(time.Duration(milliseconds) * time.Millisecond) }
	for _, c := range []struct {
		first, last, now int
		after            int // 0: there is a state
	}{
		{0, 0, 1, 19}, {0, 0, 19, 1}, {0, 0, 20, 0}, // Quiet is 20 ms
		{0, 15, 20, 15}, {0, 15, 35, 0},
		{0, 95, 96, 4}, {0, 95, 100, 0}, {0, 300, 301, 0}, // Most is 100 ms
	} {
		require.NoError(t, stores["Pod"].Replace([]any{&core.Pod{ObjectMeta: meta.ObjectMeta{Name: fmt.Sprint(c), Namespace: "n"}}}, "2"))
		s.first, s.last = at(c.first), at(c.last)
		state, after := s.take(at(c.now))
		assert.Equal(t, c.after == 0, state != nil, c)
		assert.Equal(t, time.Duration(c.after)*time.Millisecond, after, c)
	}
}

// A state says which kinds have changed, and whether that is only about endpoints.
func TestKindsOfChanges(t *testing.T) {
	s, stores := sourceOf("Pod", "EndpointSlice", "Service", "VirtualService")
	for _, st := range stores {
		require.NoError(t, st.Replace(nil, "1"))
	}
	state, err := s.Next(t.Context())
	require.NoError(t, err)
	assert.False(t, state.OnlyEndpoints, "everything is new")
	object := meta.ObjectMeta{Name: "a", Namespace: "n"}
	objects := map[string]any{
		"Pod": &core.Pod{ObjectMeta: object}, "EndpointSlice": &discovery.EndpointSlice{ObjectMeta: object}, "Service": &core.Service{ObjectMeta: object},
		"VirtualService": virtualService("a", 1, 1, early, simple),
	}
	for _, c := range []struct {
		changed       []string
		onlyEndpoints bool
	}{
		{[]string{"Pod"}, true}, {[]string{"EndpointSlice"}, true}, {[]string{"EndpointSlice", "Pod"}, true}, {[]string{"Service"}, false},
		{[]string{"VirtualService"}, false}, {[]string{"Pod", "VirtualService"}, false}, {[]string{"EndpointSlice", "Service"}, false},
	} {
		for _, do := range []func(*store, any) error{(*store).Add, (*store).Delete} {
			for _, name := range c.changed {
				require.NoError(t, do(stores[name], objects[name]))
			}
			state, err := s.Next(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.changed, state.Changed)
			assert.Equal(t, c.onlyEndpoints, state.OnlyEndpoints, "%v", c.changed)
		}
	}
}

// Of a Pod and a Secret, only what rules need is kept, before anything else happens with them.
func TestWhatIsKept(t *testing.T) {
	always := core.ContainerRestartPolicyAlways
	pod := &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: "p", Namespace: "n", Annotations: map[string]string{"a": "secret"}, ManagedFields: []meta.ManagedFieldsEntry{{Manager: "secret"}}},
		Spec: core.PodSpec{NodeName: "secret", Containers: []core.Container{
			{Name: "c", Image: "secret", Env: []core.EnvVar{{Name: "A", Value: "secret"}}, Ports: []core.ContainerPort{{Name: "http", ContainerPort: 80}}},
			{Name: "secret"},
		}, InitContainers: []core.Container{{Name: "i", RestartPolicy: &always, Ports: []core.ContainerPort{{Name: "grpc", ContainerPort: 81}}}}},
		Status: core.PodStatus{PodIP: "192.0.2.1", Phase: core.PodRunning, Message: "secret", Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue, Message: "secret"}}},
	}
	secret := &core.Secret{ObjectMeta: meta.ObjectMeta{Name: "s", Namespace: "n"}, Data: map[string][]byte{"password": []byte("secret"), "ca.crt": []byte("public")}}
	for _, k := range kinds {
		switch k.name {
		case "Pod":
			kept, err := k.of(pod)
			require.NoError(t, err)
			assert.NotContains(t, string(kept.content), "secret")
			assert.JSONEq(t, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"},
				"spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}], "resources": {}}],
					"initContainers": [{"name": "i", "restartPolicy": "Always", "ports": [{"name": "grpc", "containerPort": 81}], "resources": {}}]},
				"status": {"phase": "Running", "podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]}}`, withoutNulls(string(kept.content)))
		case "Secret":
			kept, err := k.of(secret)
			require.NoError(t, err)
			assert.JSONEq(t, `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"ca.crt": "cHVibGlj"}}`, withoutNulls(string(kept.content)))
		}
	}
}

// withoutNulls has no fields that the library writes for what is not there.
func withoutNulls(text string) string {
	for _, null := range []string{`,"creationTimestamp":null`, `,"lastProbeTime":null`, `,"lastTransitionTime":null`} {
		text = strings.ReplaceAll(text, null, "")
	}
	return text
}

// A change of one object among many costs a small part of what all of them cost at first, whether it is one that rules can see
// or a status; and what comes again after a gap is not decoded again.
func TestOneChangeAmongMany(t *testing.T) {
	const many, rounds = 3000, 20
	spec := `{"hosts": ["a.test"], "http": [` + strings.Repeat(`{"match": [{"uri": {"prefix": "/a"}, "headers": {"x": {"exact": "y"}}}], "route": [{"destination": {"host": "web"}}]},`, 9) + `{"directResponse": {"status": 200}}]}`
	var all []any
	for i := range many {
		all = append(all, virtualService(fmt.Sprintf("v%04d", i), 1, 1, early, spec))
	}
	s, stores := sourceOf("VirtualService")
	s.options.Quiet, s.options.Most = 0, 0
	st := stores["VirtualService"]
	begun := time.Now()
	require.NoError(t, st.Replace(all, "1"))
	before, err := s.Next(t.Context())
	require.NoError(t, err)
	first := time.Since(begun)

	begun = time.Now()
	for i := range rounds {
		require.NoError(t, st.Update(virtualService("v0007", int64(i+2), int64(i+2), early, spec)))
		state, err := s.Next(t.Context())
		require.NoError(t, err)
		require.Len(t, state.Input.Set.VirtualServices, many)
		require.Same(t, before.Input.Set.VirtualServices[8], state.Input.Set.VirtualServices[8])
	}
	one := time.Since(begun) / rounds
	current := s.Current()
	require.NoError(t, st.Replace(all, "1"))
	state, err := s.Next(t.Context())
	require.NoError(t, err)
	for i, vs := range state.Input.Set.VirtualServices {
		require.Equal(t, i == 7, vs != current.Set.VirtualServices[i], "only v0007 has another generation")
	}
	t.Logf("%d objects: %s at first, %s for one change, which is %s for each object", many, first, one, one/many)
	assert.Less(t, one, first/20)
}
