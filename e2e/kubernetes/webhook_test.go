package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
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
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"waymark.dev/waymark/cluster/webhook"
	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/version"
)

// warnings are those that a client is told.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, text)
}

// taken returns the warnings since the last call.
func (w *warnings) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

// install installs deploy/webhook.yaml for a server of this process.
func install(t *testing.T, s *apiserver.Server, hook *httptest.Server, policy string) {
	installAt(t, s, hook.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}), policy)
}

// installAt installs deploy/webhook.yaml, with the address and the authority of a server, and a failurePolicy.
func installAt(t *testing.T, s *apiserver.Server, url string, authority []byte, policy string) {
	text, err := os.ReadFile(filepath.Join(repository.Root, "deploy", "webhook.yaml"))
	require.NoError(t, err)
	changed := string(text)
	for _, part := range [][2]string{
		{"failurePolicy: Fail", "failurePolicy: " + policy},
		{"service: {namespace: waymark-system, name: waymark, port: 443, path: /validate}", "url: " + url + "/validate"},
		{`caBundle: ""`, "caBundle: " + base64.StdEncoding.EncodeToString(authority)},
	} {
		require.Contains(t, changed, part[0])
		changed = strings.Replace(changed, part[0], part[1], 1)
	}
	s.Apply(t, changed)
}

// What validation calls an error is not written, through the real API server; what it warns of is a warning of kubectl. While
// nobody answers, failurePolicy decides.
func TestWebhook(t *testing.T) {
	s := istio(t)
	mux := http.NewServeMux()
	mux.Handle("/validate", webhook.Handler(version.All))
	hook := httptest.NewTLSServer(mux)
	defer hook.Close()
	config := s.Admin()
	told := &warnings{}
	config.WarningHandler = told
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	write := func(text, resource string, options meta.PatchOptions) error {
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
		body, err := o.MarshalJSON()
		require.NoError(t, err)
		group, version, _ := strings.Cut(o.GetAPIVersion(), "/")
		options.FieldManager = "test"
		_, err = client.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: resource}).Namespace("default").
			Patch(t.Context(), o.GetName(), types.ApplyPatchType, body, options)
		return err
	}
	s.Apply(t, broken) // written before there is a webhook
	install(t, s, hook, "Fail")
	bad := strings.Replace(broken, "name: broken", "name: bad", 1)
	const regex = `denied the request: VirtualService default/bad: spec.http[0].match[0].uri.regex: "(": missing closing )`
	require.Eventually(t, func() bool { // the server needs a moment to know of it
		err := write(bad, "virtualservices", meta.PatchOptions{DryRun: []string{meta.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), regex)
	}, 20*time.Second, 100*time.Millisecond)

	for what, c := range map[string]struct{ text, resource, refused string }{
		"of another version":    {strings.Replace(bad, "istio.io/v1", "istio.io/v1alpha3", 1), "virtualservices", regex},
		"an Envoy would refuse": {strings.Replace(bad, `uri: {regex: "("}`, `uri: {regex: "[[:word:]]{1001}"}`, 1), "virtualservices", "spec.http[0].match[0].uri.regex"},
		"a Gateway": {"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: bad}\nspec: {servers: [{port: {number: 80, name: a, protocol: NONE}, hosts: ['*']}]}\n", "gateways",
			"Gateway default/bad: spec.servers[0].port.protocol"},
		"a DestinationRule": {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: bad}\nspec: {host: a, subsets: [{name: A_B}]}\n", "destinationrules",
			"DestinationRule default/bad: spec.subsets[0].name"},
		"a ServiceEntry": {"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: bad}\nspec: {hosts: [a.test], resolution: STATIC, ports: [{number: 80, name: a, protocol: NONE}]}\n", "serviceentries",
			"ServiceEntry default/bad: spec.ports[0].protocol"},
	} {
		err := write(c.text, c.resource, meta.PatchOptions{})
		if assert.True(t, errors.IsInvalid(err), "%s: %v", what, err) {
			assert.Contains(t, err.Error(), c.refused, what)
		}
	}
	require.NoError(t, write(shop, "virtualservices", meta.PatchOptions{}))
	assert.Empty(t, told.taken())
	require.NoError(t, write(strings.Replace(shop, "http: [{", "http: [{directResponse: {status: 200}}, {name: second, ", 1), "virtualservices", meta.PatchOptions{}))
	assert.True(t, slices.ContainsFunc(told.taken(), func(w string) bool {
		return strings.HasPrefix(w, "spec.http[1].match[0]: is not reached: rule 0 has no match")
	}))
	objects := virtualServices(t, s.Admin())
	_, err = objects.Patch(t.Context(), "broken", types.MergePatchType, []byte(`{"metadata": {"labels": {"a": "b"}}}`), meta.PatchOptions{})
	require.NoError(t, err, "only a label changes")
	_, err = objects.Patch(t.Context(), "broken", types.MergePatchType, []byte(`{"spec": {"hosts": ["other.test"]}}`), meta.PatchOptions{})
	require.ErrorContains(t, err, "denied the request")
	require.NoError(t, objects.Delete(t.Context(), "broken", meta.DeleteOptions{}))

	hook.Close()
	good := strings.ReplaceAll(shop, "shop", "good")
	require.ErrorContains(t, write(good, "virtualservices", meta.PatchOptions{}), "failed calling webhook", "it fails closed")
	install(t, s, hook, "Ignore")
	require.Eventually(t, func() bool { return write(bad, "virtualservices", meta.PatchOptions{}) == nil }, 20*time.Second, 100*time.Millisecond, "it fails open")
	_, err = objects.Get(context.WithoutCancel(t.Context()), "bad", meta.GetOptions{})
	require.NoError(t, err)
}
