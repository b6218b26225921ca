package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"waymark.dev/waymark/e2e/internal/repository"
)

// InstallIstio installs the CustomResourceDefinitions of Istio's kinds, as they are in the module istio.io/api, and waits
// until the server has them.
func (s *Server) InstallIstio(t testing.TB) {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/api")
	list.Dir = filepath.Join(repository.Root, "e2e")
	dir, err := list.Output()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "kubernetes", "customresourcedefinitions.gen.yaml"))
	require.NoError(t, err)
	made := s.Apply(t, string(text))
	client, err := dynamic.NewForConfig(s.Admin())
	require.NoError(t, err)
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, o := range made {
		require.Eventually(t, func() bool {
			now, err := definitions.Get(t.Context(), o.GetName(), meta.GetOptions{})
			require.NoError(t, err)
			conditions, _, _ := unstructured.NestedSlice(now.Object, "status", "conditions")
			for _, c := range conditions {
				if condition, ok := c.(map[string]any); ok && condition["type"] == "Established" && condition["status"] == "True" {
					return true
				}
			}
			return false
		}, 30*time.Second, 50*time.Millisecond, o.GetName())
	}
}

// Apply gives the server the objects of some YAML, as kubectl apply --server-side does, and returns them as they are then.
// An object without a namespace is in "default".
func (s *Server) Apply(t testing.TB, text string) []*unstructured.Unstructured {
	t.Helper()
	var made []*unstructured.Unstructured
	s.each(t, text, func(o *unstructured.Unstructured, client dynamic.ResourceInterface) {
		body, err := json.Marshal(o)
		require.NoError(t, err)
		force := true
		now, err := client.Patch(t.Context(), o.GetName(), types.ApplyPatchType, body, meta.PatchOptions{FieldManager: "test", Force: &force})
		require.NoError(t, err, "%s %s", o.GetKind(), o.GetName())
		made = append(made, now)
	})
	return made
}

// Delete removes the objects of some YAML.
func (s *Server) Delete(t testing.TB, text string) {
	t.Helper()
	s.each(t, text, func(o *unstructured.Unstructured, client dynamic.ResourceInterface) {
		require.NoError(t, client.Delete(t.Context(), o.GetName(), meta.DeleteOptions{}), "%s %s", o.GetKind(), o.GetName())
	})
}

// each calls do for each object of some YAML, with a client for its kind and namespace.
func (s *Server) each(t testing.TB, text string, do func(*unstructured.Unstructured, dynamic.ResourceInterface)) {
	t.Helper()
	client, err := dynamic.NewForConfig(s.Admin())
	require.NoError(t, err)
	kinds, err := discovery.NewDiscoveryClientForConfig(s.Admin())
	require.NoError(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := documents.Decode(&o.Object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if o.Object == nil {
			continue // a comment
		}
		kind := o.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		require.NoError(t, err)
		if mapping.Scope.Name() == "root" {
			do(o, client.Resource(mapping.Resource))
			continue
		}
		if o.GetNamespace() == "" {
			o.SetNamespace("default")
		}
		do(o, client.Resource(mapping.Resource).Namespace(o.GetNamespace()))
	}
}
