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
	st := stores["Pod"]
	require.NoError(t, st.Replace(nil, "1"))
	_, err := s.Next(t.Context())
	require.NoError(t, err)
	ended := make(chan int)
	go func() {
		n := 0
		for begun := time.Now(); time.Since(begun) < 600*time.Millisecond; n++ {
			pod := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: fmt.Sprint(n), Namespace: "n"}}
			assert.NoError(t, st.Add(pod))
			time.Sleep(2 * time.Millisecond)
		}
		ended <- n
	}()
	states := 0
	for {
		state, err := s.Next(t.Context())
		require.NoError(t, err)
		assert.True(t, state.OnlyEndpoints)
		states++
		select {
		case n := <-ended:
			assert.Greater(t, states, 1, "Most bounds the wait")
			assert.Less(t, states, n/4, "of %d changes", n)
			return
		default:
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
