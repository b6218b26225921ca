package kubernetes

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy/process"
)

// other is a VirtualService beside the one under load; its rule answers with a text.
const other = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other}
spec: {hosts: [other.test], gateways: [proxy-0, proxy-1], http: [{match: [{uri: {regex: %q}}], directResponse: {status: 200, body: {string: %q}}}]}
`

// object is one of Istio's objects as it is in the cluster.
func (f *aFleet) object(t *testing.T, resource, name string) *unstructured.Unstructured {
	o, err := f.objects.Resource(istioResource(resource)).Namespace("default").Get(t.Context(), name, meta.GetOptions{})
	require.NoError(t, err)
	return o
}

// A VirtualService that validation refuses, and a Gateway that an Envoy refuses, are among others that change under load.
// These change on; of the VirtualService, what it was before serves on. Status and 'waymark status' tell what was refused, and
// by whom. No request fails.
func TestPoisonedObjects(t *testing.T) {
	f := startFleet(t, 2)
	s := f.serve(t, "only")
	f.join(t, 0, "1.36.4", s.xds)
	f.join(t, 1, "1.40.0", s.xds)
	require.NoError(t, f.put(t.Context(), fmt.Sprintf(other, "/.*", "before")))
	load := f.press(t, f.members...)
	answers := func(text string) bool {
		for _, m := range f.members {
			if a, err := m.askOf("other.test", "/"); err != nil || a.status != 200 || a.body != text {
				return false
			}
		}
		return true
	}
	s.Eventually(t, "it serves", func() bool { return answers("before") })
	told := func(resource, name, condition string) func() bool {
		return func() bool {
			return strings.Contains(strings.Join(conditions(f.object(t, resource, name)), "\n"), condition)
		}
	}
	var g generation
	change := func() {
		for range 5 {
			g.rule++
			g.endpoint++
			load.roll(t, g)
		}
	}
	s.Eventually(t, "all have it", told("virtualservices", "other", "waymark.dev/Programmed True taken by every proxy 1"))

	require.NoError(t, f.put(t.Context(), fmt.Sprintf(other, "(", "after")))
	s.Eventually(t, "validation refuses it", told("virtualservices", "other", `waymark.dev/Accepted False spec.http[0].match[0].uri.regex: "(": missing closing )`))
	assert.True(t, told("virtualservices", "other", "waymark.dev/Programmed False not given to proxies, which keep the last valid version if there was one 2")())
	messages, _, err := unstructured.NestedSlice(f.object(t, "virtualservices", "other").Object, "status", "validationMessages")
	require.NoError(t, err)
	require.Len(t, messages, 2)
	assert.Contains(t, fmt.Sprint(messages...), `missing closing )`)
	assert.Contains(t, fmt.Sprint(messages...), `goes on being served as it was before`)
	assert.Contains(t, s.text(t), `error: VirtualService default/other: spec.http[0].match[0].uri.regex: "(": missing closing )`)
	change()
	assert.True(t, answers("before"), "what it was before serves on")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	require.NoError(t, f.put(t.Context(), fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: poisoned}
spec: {selector: {proxy: proxy-1}, servers: [{port: {number: %d, name: http, protocol: HTTP}, hosts: [other.test], bind: 127.0.0.1}]}
`, taken.Addr().(*net.TCPAddr).Port)))
	s.Eventually(t, "an Envoy refuses it", told("gateways", "poisoned", "waymark.dev/Programmed False taken by 1 of 2 proxies; refused: "))
	assert.True(t, told("gateways", "poisoned", "waymark.dev/Accepted True")(), "validation does not know of it")
	assert.True(t, told("gateways", "poisoned", "Address already in use")(), strings.Join(conditions(f.object(t, "gateways", "poisoned")), "\n"))
	assert.Contains(t, s.text(t), "proxy-1 refuses Listener 127.0.0.1_")
	assert.Contains(t, s.text(t), ", refused by 1")
	assert.False(t, told("gateways", "proxy-1", "waymark.dev/Programmed False")(), "it is not the reason")
	change()
	require.NoError(t, f.put(t.Context(), fmt.Sprintf(other, "/.*", "after")))
	s.Eventually(t, "it serves", func() bool { return answers("after") })
	change()
	require.NoError(t, f.objects.Resource(istioResource("gateways")).Namespace("default").Delete(t.Context(), "poisoned", meta.DeleteOptions{}))
	s.Eventually(t, "all in sync", func() bool { return s.status(t).Proxies.InSync == 2 })
	load.end(t)
	t.Logf("%d requests", load.total())
}

// The webhook of serve refuses what 'waymark check' calls an error, through the API server; while nobody answers,
// failurePolicy decides.
func TestTheWebhookOfServe(t *testing.T) {
	f := startFleet(t, 0)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	cert, key := f.issuer.Issue(t, "localhost").Files(t, t.TempDir(), "webhook")
	address := fmt.Sprintf("localhost:%d", ports[0])
	s := f.serve(t, "only", "--webhook-listen", address, "--webhook-cert", cert, "--webhook-key", key)
	s.Eventually(t, "it serves", func() bool { return strings.Contains(s.Output(), "given to proxies") })
	installAt(t, f.Server, "https://"+address, []byte(f.issuer.PEM), "Fail")
	bad := strings.Replace(broken, "name: broken", "name: bad", 1)
	const regex = `VirtualService default/bad: spec.http[0].match[0].uri.regex: "(": missing closing )`
	s.Eventually(t, "it is asked", func() bool {
		err := f.put(t.Context(), bad)
		return err != nil && strings.Contains(err.Error(), "denied the request: "+regex)
	})
	file := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
	text, _, status := program.Run(t, "", "check", "-f", file)
	assert.Equal(t, 65, status)
	assert.Contains(t, text, regex[len("VirtualService default/bad: "):], "'waymark check' tells the same")
	require.NoError(t, f.put(t.Context(), shop))

	require.NoError(t, s.Cmd.Process.Kill())
	require.Error(t, s.Cmd.Wait(), "it was killed")
	require.ErrorContains(t, f.put(t.Context(), strings.ReplaceAll(shop, "shop", "good")), "failed calling webhook", "it fails closed")
	installAt(t, f.Server, "https://"+address, []byte(f.issuer.PEM), "Ignore")
	require.Eventually(t, func() bool { return f.put(t.Context(), bad) == nil }, 20*time.Second, 100*time.Millisecond, "it fails open")
}
