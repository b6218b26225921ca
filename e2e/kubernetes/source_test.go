package kubernetes

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"waymark.dev/waymark/cluster"
	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

const shop = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.test]
  http: [{match: [{uri: {prefix: /a}}], timeout: 1500ms, directResponse: {status: 200}}]
`

// everyKind has an object of each kind that is watched.
const everyKind = shop + `---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: other, labels: {team: a}}
spec: {hosts: [other.test], http: [{directResponse: {status: 201}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: rule}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: entry}
spec: {hosts: [out.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, workloadSelector: {labels: {app: out}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: workload}
spec: {address: 192.0.2.7, labels: {app: out}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {networking.istio.io/exportTo: "*"}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints: [{addresses: [192.0.2.8], conditions: {ready: true}, targetRef: {kind: Pod, name: web, namespace: default}}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, version: v1}, annotations: {a: b}}
spec: {containers: [{name: c, image: i, env: [{name: PASSWORD, value: hunter2}], ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: second, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
data: {tls.crt: YQ==, tls.key: Yg==}
---
apiVersion: v1
kind: Secret
metadata: {name: generic}
type: Opaque
data: {cacert: Yw==, password: ZA==}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
type: example.test/other
data: {tls.crt: YQ==}
`

// What a cluster has arrives, with what is needed of it and nothing else, and later changes do, each with its kind.
func TestObjectsOfAClusterArrive(t *testing.T) {
	s := istio(t)
	s.Apply(t, everyKind)
	w := watch(t, s.Admin(), cluster.Options{})
	state := w.next(t)
	first := state.Input.Set
	assert.Equal(t, len(cluster.Kinds()), len(state.Changed), "everything is new: %v", state.Changed)
	assert.False(t, state.OnlyEndpoints)
	assert.Same(t, state.Input, w.Current())
	assert.Empty(t, state.Input.Findings)
	assert.Empty(t, first.Refused)
	require.Len(t, first.VirtualServices, 2)
	require.Len(t, first.Gateways, 1)
	require.Len(t, first.DestinationRules, 1)
	require.Len(t, first.ServiceEntries, 1)
	require.Len(t, first.WorkloadEntries, 1)
	require.Len(t, state.Input.Objects, 6)
	vs := byName(first.VirtualServices, "shop")
	assert.Equal(t, "/a", vs.Spec.Http[0].Match[0].Uri.GetPrefix())
	assert.Equal(t, 1500*time.Millisecond, vs.Spec.Http[0].Timeout.AsDuration())
	assert.Equal(t, int64(1), vs.Generation)
	assert.WithinDuration(t, time.Now(), vs.Created, time.Minute)
	assert.Equal(t, map[string]string{"team": "a"}, byName(first.VirtualServices, "other").Labels)
	web := byName(first.Services, "web")
	assert.Equal(t, "*", web.Annotations["networking.istio.io/exportTo"])
	assert.NotEmpty(t, web.Spec.ClusterIP)
	require.NotNil(t, byName(first.Services, "kubernetes"), "the server's own")
	slice := byName(first.EndpointSlices, "web-1")
	assert.Equal(t, "web", slice.Endpoints[0].TargetRef.Name)
	assert.Equal(t, int32(8080), *slice.Ports[0].Port)
	pod := byName(first.Pods, "web")
	assert.Equal(t, "v1", pod.Labels["version"])
	assert.Equal(t, int32(8080), pod.Spec.Containers[0].Ports[0].ContainerPort)
	assert.Equal(t, []core.PodCondition{{Type: core.PodReady, Status: core.ConditionFalse}}, pod.Status.Conditions, "it was never ready")
	assert.Empty(t, pod.Annotations)
	assert.Empty(t, pod.Spec.Containers[0].Env)
	require.Len(t, first.Secrets, 2)
	assert.Equal(t, map[string][]byte{"tls.crt": []byte("a"), "tls.key": []byte("b")}, byName(first.Secrets, "cert").Data)
	assert.Equal(t, map[string][]byte{"cacert": []byte("c")}, byName(first.Secrets, "generic").Data)
	assert.True(t, slices.ContainsFunc(first.Namespaces, func(o *resource.Object) bool { return o.Name == "default" }))

	// What rules cannot see is no change; what they can see changes one object.
	istioClient, err := dynamic.NewForConfig(s.Admin())
	require.NoError(t, err)
	services := istioClient.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}).Namespace("default")
	patch := func(name, body string, parts ...string) {
		_, err := services.Patch(t.Context(), name, types.MergePatchType, []byte(body), meta.PatchOptions{}, parts...)
		require.NoError(t, err)
	}
	patch("shop", `{"status": {"conditions": [{"type": "Other", "status": "True"}]}}`, "status")
	patch("shop", `{"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}}`)
	patch("other", `{"spec": {"http": [{"directResponse": {"status": 202}}]}}`)
	state = w.next(t)
	assert.Equal(t, []string{"VirtualService"}, state.Changed)
	assert.False(t, state.OnlyEndpoints)
	assert.Same(t, vs, byName(state.Input.Set.VirtualServices, "shop"))
	assert.Equal(t, uint32(202), byName(state.Input.Set.VirtualServices, "other").Spec.Http[0].DirectResponse.Status)
	assert.Equal(t, int64(2), byName(state.Input.Set.VirtualServices, "other").Generation)
	assert.Same(t, first.Gateways[0], state.Input.Set.Gateways[0])
	assert.Equal(t, uint32(201), byName(first.VirtualServices, "other").Spec.Http[0].DirectResponse.Status, "a state does not change")

	// A heartbeat of a Pod is none either, and a Pod that becomes ready is only a change of endpoints.
	client, err := kubernetes.NewForConfig(s.Admin())
	require.NoError(t, err)
	beat := func(name string, ready core.ConditionStatus) {
		p, err := client.CoreV1().Pods("default").Get(t.Context(), name, meta.GetOptions{})
		require.NoError(t, err)
		p.Status.Conditions = []core.PodCondition{{Type: core.PodReady, Status: ready, LastProbeTime: meta.Now()}}
		_, err = client.CoreV1().Pods("default").UpdateStatus(t.Context(), p, meta.UpdateOptions{})
		require.NoError(t, err)
	}
	beat("web", core.ConditionFalse)
	beat("second", core.ConditionTrue)
	state = w.next(t)
	assert.Equal(t, []string{"Pod"}, state.Changed)
	assert.True(t, state.OnlyEndpoints)
	assert.Same(t, pod, byName(state.Input.Set.Pods, "web"))
	assert.Equal(t, core.ConditionTrue, byName(state.Input.Set.Pods, "second").Status.Conditions[0].Status)

	s.Delete(t, shop)
	state = w.next(t)
	assert.Equal(t, []string{"VirtualService"}, state.Changed)
	require.Len(t, state.Input.Set.VirtualServices, 1)
	assert.Empty(t, w.log.String())
}

// A rule means in a cluster what it means in a file.
func TestExamplesMeanTheSameInACluster(t *testing.T) {
	s := istio(t)
	files, err := filepath.Glob(filepath.Join(repository.Root, "examples", "bookinfo", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		s.Apply(t, forServer(string(text), apiserver.Address(t)))
	}
	read := gateway.Load(files, resource.Options{}, version.All)
	require.False(t, read.Findings.HasErrors())
	got := gateway.Prepare(watch(t, s.Admin(), cluster.Options{Namespaces: []string{"default"}}).next(t).Input, version.All)
	assert.Empty(t, got.Findings)
	require.Len(t, got.Set.VirtualServices, len(read.Set.VirtualServices))
	require.Len(t, got.Set.DestinationRules, len(read.Set.DestinationRules))
	require.Len(t, got.Set.Gateways, len(read.Set.Gateways))
	for _, want := range read.Set.VirtualServices {
		assert.True(t, proto.Equal(want.Spec, byName(got.Set.VirtualServices, want.Name).Spec), want)
	}
	for _, want := range read.Set.DestinationRules {
		assert.True(t, proto.Equal(want.Spec, byName(got.Set.DestinationRules, want.Name).Spec), want)
	}
	for _, want := range read.Set.Gateways {
		assert.True(t, proto.Equal(want.Spec, byName(got.Set.Gateways, want.Name).Spec), want)
	}
	for _, want := range read.Set.EndpointSlices {
		assert.Equal(t, *want.Ports[0].Port, *byName(got.Set.EndpointSlices, want.Name).Ports[0].Port, want)
	}
}

// forServer has no endpoint on the loopback interface, which an API server refuses.
func forServer(text, address string) string {
	return strings.ReplaceAll(text, "127.0.0.1", address)
}

// While the API server is gone, everything stays; once it is back, changes arrive, and what has not changed is the same
// object. The log has a line for each of the two.
func TestTheAPIServerGoesAndComesBack(t *testing.T) {
	s := istio(t)
	s.Apply(t, everyKind)
	w := watch(t, s.Admin(), cluster.Options{})
	before := w.next(t).Input
	s.Kill(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	_, err := w.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded, "nothing was removed")
	assert.Same(t, before, w.Current())
	assert.Equal(t, 1, w.log.lines("level=WARN"), w.log)
	assert.Equal(t, 1, w.log.lines("the Kubernetes API server cannot be used; what it had stays in force"), w.log)

	s.Restart(t)
	s.Delete(t, shop)
	s.Apply(t, strings.ReplaceAll(shop, "shop", "new"))
	after := w.until(t, func(set *resource.Set) bool {
		return byName(set.VirtualServices, "new") != nil && byName(set.VirtualServices, "shop") == nil
	}).Input.Set
	assert.Same(t, byName(before.Set.VirtualServices, "other"), byName(after.VirtualServices, "other"))
	assert.Same(t, before.Set.Gateways[0], after.Gateways[0])
	assert.Same(t, byName(before.Set.Pods, "web"), byName(after.Pods, "web"))
	require.Eventually(t, func() bool { return w.log.lines("level=INFO") == 1 }, 30*time.Second, 50*time.Millisecond, w.log)
	assert.Equal(t, 1, w.log.lines("the Kubernetes API server can be used again"), w.log)
	assert.Equal(t, 1, w.log.lines("level=WARN"), w.log)
	assert.Zero(t, w.log.lines("level=ERROR"), w.log)
}

// Only the namespaces and kinds that were named are watched.
func TestNamespacesAndKinds(t *testing.T) {
	s := istio(t)
	s.Apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: hidden}\n")
	for _, namespace := range []string{"default", "team", "hidden"} {
		s.Apply(t, strings.Replace(shop, "{name: shop}", "{name: shop, namespace: "+namespace+"}", 1))
	}
	w := watch(t, s.Admin(), cluster.Options{Namespaces: []string{"team", "default", "team"}, Kinds: []string{"VirtualService", "Namespace"}})
	state := w.next(t)
	assert.Equal(t, []string{"Namespace", "VirtualService"}, state.Changed)
	var got []string
	for _, vs := range state.Input.Set.VirtualServices {
		got = append(got, vs.Key())
	}
	assert.ElementsMatch(t, []string{"default/shop", "team/shop"}, got)
	require.Len(t, state.Input.Set.Namespaces, 2)
	assert.Empty(t, state.Input.Set.Services)
	_, err := cluster.Watch(t.Context(), s.Admin(), cluster.Options{Kinds: []string{"Deployment"}})
	assert.ErrorContains(t, err, `"Deployment" is not a kind that can be watched`)
}

// Istio's kinds may be installed later. Until then nothing is complete, so there is no state.
func TestIstioIsInstalledLater(t *testing.T) {
	s := apiserver.Start(t)
	w := watch(t, s.Admin(), cluster.Options{})
	require.Eventually(t, func() bool { return w.log.lines("install Istio's CustomResourceDefinitions") == 5 }, 30*time.Second, 50*time.Millisecond, w.log)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := w.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Nil(t, w.Current())
	s.InstallIstio(t)
	s.Apply(t, shop)
	w.until(t, func(set *resource.Set) bool { return len(set.VirtualServices) == 1 })
	assert.Equal(t, 5, w.log.lines("level=WARN"), w.log)
	assert.Equal(t, 5, w.log.lines("objects of a kind can be watched again"), w.log)
}

// The cluster is found as kubectl finds it.
func TestKubeconfig(t *testing.T) {
	s := apiserver.Start(t)
	file := s.Kubeconfig(t)
	config, namespace, err := cluster.Config(file, "")
	require.NoError(t, err)
	assert.Equal(t, "default", namespace)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	_, err = client.CoreV1().Namespaces().Get(t.Context(), "default", meta.GetOptions{})
	require.NoError(t, err)
	t.Setenv("KUBECONFIG", file)
	named, _, err := cluster.Config("", "test")
	require.NoError(t, err)
	assert.Equal(t, config.Host, named.Host)
	_, _, err = cluster.Config(file, "none")
	assert.ErrorContains(t, err, `no Kubernetes cluster: context "none" does not exist`)
	_, _, err = cluster.Config(file+".none", "")
	assert.ErrorContains(t, err, "no such file")
}

// An object that becomes wrong goes on as it was, as long as somebody knows what it was: a control plane that starts now leaves
// it out, and the others serve on.
func TestAnObjectThatBecomesWrong(t *testing.T) {
	s := istio(t)
	s.Apply(t, everyKind)
	w := watch(t, s.Admin(), cluster.Options{})
	status := func(set *resource.Set, name string) uint32 {
		if vs := byName(set.VirtualServices, name); vs != nil {
			return vs.Spec.Http[0].DirectResponse.Status
		}
		return 0
	}
	first := gateway.Keep(gateway.Prepare(w.next(t).Input, version.All), nil).Set
	s.Apply(t, strings.Replace(shop, "status: 200", "status: 2", 1))
	in := gateway.Keep(gateway.Prepare(w.next(t).Input, version.All), first)
	assert.Equal(t, uint32(200), status(in.Set, "shop"))
	assert.Empty(t, in.Set.Refused)
	assert.True(t, in.Findings.HasErrors())

	second := gateway.Prepare(watch(t, s.Admin(), cluster.Options{}).next(t).Input, version.All)
	assert.Zero(t, status(second.Set, "shop"), "it is not known what it was")
	assert.Equal(t, uint32(201), status(second.Set, "other"))
	require.Len(t, second.Set.Refused, 1)
	assert.Equal(t, []string{"shop.test"}, second.Set.Refused[0].Hosts)

	s.Apply(t, strings.Replace(shop, "status: 200", "status: 203", 1))
	in = gateway.Keep(gateway.Prepare(w.next(t).Input, version.All), in.Set)
	assert.Equal(t, uint32(203), status(in.Set, "shop"))
	assert.Empty(t, in.Findings)
}
