package chart

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/repository"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

// namespaces admit only Pods that follow the standard that is called restricted.
const namespaces = `
apiVersion: v1
kind: Namespace
metadata: {name: waymark-system, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {pod-security.kubernetes.io/enforce: restricted}}
`

// A real API server takes all that the chart renders, and Pods like those that its controllers would make.
func TestApplied(t *testing.T) {
	s := apiserver.Start(t)
	s.Apply(t, namespaces)
	client, err := kubernetes.NewForConfig(s.Admin())
	require.NoError(t, err)
	pods := 0
	admits := func(t *testing.T, namespace string, template *core.PodTemplateSpec) {
		t.Helper()
		pods++
		pod := &core.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		pod.GenerateName = "like-"
		_, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, meta.CreateOptions{FieldValidation: meta.FieldValidationStrict})
		require.NoError(t, err)
	}
	for name, file := range sets(t) {
		t.Run(name, func(t *testing.T) {
			manifests, err := render(t, read(t, file))
			require.NoError(t, err)
			assert.NotEmpty(t, s.Apply(t, manifests))
			all := objects(t, manifests)
			for _, d := range of[*apps.Deployment](all) {
				admits(t, d.Namespace, &d.Spec.Template)
			}
			for _, d := range of[*apps.DaemonSet](all) {
				admits(t, d.Namespace, &d.Spec.Template)
			}
			s.Delete(t, manifests)
		})
	}
	workload, err := os.ReadFile(filepath.Join(repository.Root, "examples", "kubernetes", "workload.yaml"))
	require.NoError(t, err)
	s.Apply(t, string(workload))
	admits(t, "shop", &of[*apps.Deployment](objects(t, string(workload)))[0].Spec.Template)
	assert.Equal(t, 8, pods)
}
