package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"waymark.dev/waymark/cluster"
	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

// broken is an object that the schema of the API server takes, and validation refuses.
const broken = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken}
spec: {hosts: [broken.test], http: [{match: [{uri: {regex: "("}}], directResponse: {status: 200}}]}
`

// requests are those that a client makes, as "verb group/resource".
type requests struct {
	mu   sync.Mutex
	made []string
}

// record returns the configuration of a client whose requests are recorded.
func (r *requests) record(config *rest.Config) *rest.Config {
	out := rest.CopyConfig(config)
	info := &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	out.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(q *http.Request) (*http.Response, error) {
			what, err := info.NewRequestInfo(q)
			if err != nil {
				return nil, err
			}
			name := what.Verb + " " + what.APIGroup + "/" + what.Resource
			if what.Subresource != "" {
				name += "/" + what.Subresource
			}
			r.mu.Lock()
			r.made = append(r.made, name)
			r.mu.Unlock()
			return next.RoundTrip(q)
		})
	})
	return out
}

func (r *requests) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.made)
}

// count is how many requests begin with a text.
func (r *requests) count(begin string) (n int) {
	for _, q := range r.all() {
		if strings.HasPrefix(q, begin) {
			n++
		}
	}
	return n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

// waymark is a client with the rights that deploy/rbac.yaml gives, and no others.
func waymark(t *testing.T, s *apiserver.Server) *rest.Config {
	text, err := os.ReadFile(filepath.Join(repository.Root, "deploy", "rbac.yaml"))
	require.NoError(t, err)
	s.Apply(t, string(text))
	return s.Account(t, "waymark-system", "waymark")
}

func virtualServices(t *testing.T, config *rest.Config) dynamic.ResourceInterface {
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return client.Resource(schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}).Namespace("default")
}

// conditions are those of an object: type, status, message, generation.
func conditions(o *unstructured.Unstructured) (all []string) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range list {
		of := c.(map[string]any)
		all = append(all, fmt.Sprint(of["type"], " ", of["status"], " ", of["message"], " ", of["observedGeneration"]))
	}
	return all
}

// judged is what a control plane would write: what validation says, and how many proxies have the object.
func judged(state *cluster.State, before *resource.Set, proxies string) (map[cluster.Ref]cluster.Status, *resource.Set) {
	in := gateway.Keep(gateway.Prepare(state.Input, version.All), before)
	all := cluster.Judge(in)
	for ref, status := range all {
		status.Conditions = append(status.Conditions, cluster.Condition{Type: cluster.Programmed, Status: "True", Reason: "Taken", Message: "taken by " + proxies})
		all[ref] = status
	}
	return all, in.Set
}

// Every object of Istio gets a status, written by a client with the rights that are shipped and no others; and every right that
// is shipped is used.
func TestStatus(t *testing.T) {
	s := istio(t)
	made := &requests{}
	config := made.record(waymark(t, s))
	s.Apply(t, everyKind+"---\n"+broken)
	objects := virtualServices(t, s.Admin())
	_, err := objects.Patch(t.Context(), "shop", types.MergePatchType, []byte(`{"status": {"conditions": [{"type": "Reconciled", "status": "True"}]}}`), meta.PatchOptions{}, "status")
	require.NoError(t, err)
	get := func(name string) *unstructured.Unstructured {
		o, err := objects.Get(t.Context(), name, meta.GetOptions{})
		require.NoError(t, err)
		return o
	}
	w := watch(t, config, cluster.Options{})
	state := w.next(t)
	writer, err := cluster.NewStatusWriter(config, w.Source)
	require.NoError(t, err)
	wanted, set := judged(state, nil, "1 of 2 proxies")
	writer.Set(wanted)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- cluster.Lead(ctx, config, cluster.Lease{Namespace: "waymark-system", Name: "waymark", Identity: "a", Duration: 4 * time.Second}, writer.Run)
	}()
	defer func() {
		stop()
		require.NoError(t, <-ended)
	}()
	require.Eventually(t, func() bool { return len(conditions(get("shop"))) == 3 }, 20*time.Second, 50*time.Millisecond)
	assert.Equal(t, []string{"Reconciled True <nil> <nil>", "waymark.dev/Accepted True <nil> 1", "waymark.dev/Programmed True taken by 1 of 2 proxies 1"}, conditions(get("shop")))
	require.Eventually(t, func() bool { return len(conditions(get("broken"))) == 2 }, 20*time.Second, 50*time.Millisecond)
	assert.Contains(t, conditions(get("broken"))[0], `waymark.dev/Accepted False spec.http[0].match[0].uri.regex: "("`)
	messages, _, _ := unstructured.NestedSlice(get("broken").Object, "status", "validationMessages")
	require.Len(t, messages, 1)
	assert.Equal(t, "ERROR", messages[0].(map[string]any)["level"])
	assert.Contains(t, messages[0].(map[string]any)["documentationUrl"], "https://waymark.dev/docs/findings#val-")
	generation, _, _ := unstructured.NestedInt64(get("shop").Object, "status", "observedGeneration")
	assert.Equal(t, int64(1), generation)

	// What was written is no change, and is not written again.
	require.Eventually(t, func() bool { return made.count("patch ") == 7 }, 20*time.Second, 50*time.Millisecond, "one for each object")
	quiet, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = w.Next(quiet)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	writer.Set(wanted)
	writer.Set(wanted)

	// A change is judged for its own generation, and of the others only what differs is written.
	s.Apply(t, strings.Replace(shop, "200", "204", 1))
	wanted, _ = judged(w.next(t), set, "1 of 2 proxies")
	writer.Set(wanted)
	require.Eventually(t, func() bool { return strings.HasSuffix(conditions(get("shop"))[1], " 2") }, 20*time.Second, 50*time.Millisecond)
	assert.Equal(t, "Reconciled True <nil> <nil>", conditions(get("shop"))[0])
	time.Sleep(time.Second) // in which more would be written
	assert.Equal(t, 8, made.count("patch "))

	assert.Empty(t, w.log.String())
	usesItsRights(t, made.all())
}

// usesItsRights compares requests with the rights in deploy/rbac.yaml. A list is the way to get what a server does not stream.
func usesItsRights(t *testing.T, made []string) {
	text, err := os.ReadFile(filepath.Join(repository.Root, "deploy", "rbac.yaml"))
	require.NoError(t, err)
	rights := map[string]bool{}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var role struct {
			Kind  string
			Rules []struct{ APIGroups, Resources, Verbs []string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &role))
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					require.Len(t, rule.APIGroups, 1)
					rights[verb+" "+rule.APIGroups[0]+"/"+resource] = true
				}
			}
		}
	}
	require.NotEmpty(t, rights)
	used := map[string]bool{}
	for _, q := range made {
		used[q] = true
		if what, ok := strings.CutPrefix(q, "watch "); ok {
			used["list "+what] = true
		}
	}
	for right := range rights {
		assert.True(t, used[right], "%s is a right that nothing uses", right)
	}
	for q := range used {
		assert.True(t, rights[q], "%s is used, and is not a right", q)
	}
}

// A status that somebody else has written meanwhile is not overwritten: the write is repeated once the source has seen it.
func TestConflictsOfStatus(t *testing.T) {
	s := istio(t)
	s.Apply(t, shop)
	watching, blind := context.WithCancel(t.Context())
	source, err := cluster.Watch(watching, s.Admin(), cluster.Options{})
	require.NoError(t, err)
	state, err := source.Next(t.Context())
	require.NoError(t, err)
	blind() // the source sees nothing any more
	objects := virtualServices(t, s.Admin())
	for _, status := range []string{"False", "True"} { // it may still have seen the first one
		time.Sleep(time.Second)
		_, err := objects.Patch(t.Context(), "shop", types.MergePatchType, []byte(`{"status": {"conditions": [{"type": "Other", "status": "`+status+`"}]}}`), meta.PatchOptions{}, "status")
		require.NoError(t, err)
	}
	made := &requests{}
	writer, err := cluster.NewStatusWriter(made.record(s.Admin()), source)
	require.NoError(t, err)
	wanted, _ := judged(state, nil, "1 of 1 proxies")
	writer.Set(wanted)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		writer.Run(ctx)
		close(done)
	}()
	require.Eventually(t, func() bool { return made.count("patch ") >= 3 }, 20*time.Second, 50*time.Millisecond, "it is repeated")
	stop()
	<-done
	now, err := objects.Get(t.Context(), "shop", meta.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"Other True <nil> <nil>"}, conditions(now))
}

// What is not among the rights is refused.
func TestRightsThatAreNotGiven(t *testing.T) {
	s := istio(t)
	config := waymark(t, s)
	s.Apply(t, everyKind)
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	resources := func(group, version, name string) dynamic.NamespaceableResourceInterface {
		return client.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: name})
	}
	rules := resources("networking.istio.io", "v1", "virtualservices").Namespace("default")
	leases := resources("coordination.k8s.io", "v1", "leases")
	lease := func(name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": map[string]any{"name": name}}}
	}
	_, err = rules.List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	_, err = leases.Namespace("waymark-system").Create(t.Context(), lease("waymark"), meta.CreateOptions{})
	require.NoError(t, err)
	for what, do := range map[string]func() error{
		"change a spec": func() error {
			_, err := rules.Patch(t.Context(), "shop", types.MergePatchType, []byte(`{"spec": {"hosts": ["a.test"]}}`), meta.PatchOptions{})
			return err
		},
		"make a rule": func() error {
			_, err := rules.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "new"}, "spec": map[string]any{}}}, meta.CreateOptions{})
			return err
		},
		"remove a rule": func() error { return rules.Delete(t.Context(), "shop", meta.DeleteOptions{}) },
		"read one Secret by name": func() error {
			_, err := resources("", "v1", "secrets").Namespace("default").Get(t.Context(), "token", meta.GetOptions{})
			return err
		},
		"read ConfigMaps": func() error {
			_, err := resources("", "v1", "configmaps").Namespace("default").List(t.Context(), meta.ListOptions{})
			return err
		},
		"remove a Pod": func() error {
			return resources("", "v1", "pods").Namespace("default").Delete(t.Context(), "web", meta.DeleteOptions{})
		},
		"lead by the Lease of another namespace": func() error {
			_, err := leases.Namespace("default").Create(t.Context(), lease("waymark"), meta.CreateOptions{})
			return err
		},
		"read another Lease": func() error {
			_, err := leases.Namespace("waymark-system").Get(t.Context(), "other", meta.GetOptions{})
			return err
		},
		"give itself rights": func() error {
			_, err := resources("rbac.authorization.k8s.io", "v1", "clusterroles").Patch(t.Context(), "waymark", types.MergePatchType, []byte(`{"rules": []}`), meta.PatchOptions{})
			return err
		},
	} {
		assert.True(t, errors.IsForbidden(do()), what)
	}
}
