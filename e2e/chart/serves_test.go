package chart

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"

	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy/process"
)

// rules answer everything at a port with a status.
const rules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: %d, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: shop}
spec: {hosts: ["*"], gateways: [public], http: [{directResponse: {status: %d}}]}
`

// TestWhatIsInstalledServes runs what the pods of the chart would: the control plane with the arguments of its container, the
// rights of its account and a certificate of the name that the documents tell, and an Envoy with the bootstrap of a gateway.
func TestWhatIsInstalledServes(t *testing.T) {
	s := apiserver.Start(t)
	s.InstallIstio(t)
	s.Apply(t, namespaces)
	manifests, err := render(t, read(t, sets(t)["gateway-fleet"]))
	require.NoError(t, err)
	s.Apply(t, strings.Replace(manifests, "failurePolicy: Fail", "failurePolicy: Ignore", 1)) // the API server cannot reach a Service
	all := objects(t, manifests)

	ports, err := process.FreePorts(5)
	require.NoError(t, err)
	dir := t.TempDir()
	authority := certs.NewIssuer(t, "authority")
	identity := func(name string) string {
		folder := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(folder, 0o700))
		issued := authority.Issue(t, name)
		for file, text := range map[string]string{"tls.crt": issued.Cert, "tls.key": issued.Key, "ca.crt": authority.PEM} {
			require.NoError(t, os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600))
		}
		return folder
	}
	const service = "waymark.waymark-system.svc"
	module := filepath.Join(dir, "waymark.wasm")
	server := strings.NewReplacer(
		"/etc/waymark/xds", identity(service), "/etc/waymark/webhook", filepath.Join(dir, service), "/etc/waymark/waymark.wasm", module,
		"/var/lib/waymark", t.TempDir(), "$(POD_NAME)", "waymark-0", "$(POD_NAMESPACE)", "waymark-system",
		":15012", fmt.Sprintf("127.0.0.1:%d", ports[0]), ":15020", fmt.Sprintf("127.0.0.1:%d", ports[1]), ":15017", fmt.Sprintf("127.0.0.1:%d", ports[2]),
	)
	deployments := map[string]*core.PodSpec{}
	for _, d := range of[*apps.Deployment](all) {
		deployments[d.Name] = &d.Spec.Template.Spec
	}
	var args []string
	for _, arg := range deployments["waymark"].Containers[0].Args {
		args = append(args, server.Replace(arg))
	}
	account := s.Account(t, "waymark-system", "waymark")
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "pod", Contexts: map[string]*api.Context{"pod": {Cluster: "here", AuthInfo: "account"}},
		Clusters:  map[string]*api.Cluster{"here": {Server: account.Host, CertificateAuthority: account.CAFile}},
		AuthInfos: map[string]*api.AuthInfo{"account": {Token: account.BearerToken}},
	}, kubeconfig))
	path, err := program.Path()
	require.NoError(t, err)
	r := &program.Running{Cmd: exec.Command(path, append(args, "--kubeconfig", kubeconfig, "--admin-listen", "unix:"+filepath.Join(dir, "admin.sock"))...)}
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	t.Cleanup(func() {
		_ = r.Cmd.Process.Signal(syscall.SIGINT) // it may have ended
		_ = r.Cmd.Wait()                         // as above
	})
	ready := func() bool {
		response, err := program.HTTPClient.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", ports[1]))
		if err != nil {
			return false
		}
		_ = response.Body.Close() // it was not read
		return response.StatusCode == http.StatusOK
	}
	require.Eventually(t, ready, 30*time.Second, 50*time.Millisecond, r.Output)

	var copies []string // the module, as the container before Envoy does
	for _, arg := range deployments["edge"].InitContainers[0].Args {
		copies = append(copies, server.Replace(arg))
	}
	_, stderr, status := program.Run(t, "", copies...)
	require.Zero(t, status, stderr)
	require.FileExists(t, module)

	var bootstrap string
	etc, own := t.TempDir(), identity("edge.waymark-system")
	for _, m := range of[*core.ConfigMap](all) {
		bootstrap = m.Data["bootstrap.json"]
		for _, name := range []string{"xds-certificate.json", "xds-authority.json"} {
			require.NoError(t, os.WriteFile(filepath.Join(etc, name), []byte(strings.ReplaceAll(m.Data[name], "/etc/xds", own)), 0o600))
		}
	}
	var b map[string]any
	require.NoError(t, json.Unmarshal([]byte(bootstrap), &b))
	text := strings.NewReplacer(
		"/etc/envoy", etc, `"address": "`+service+`"`, `"address": "127.0.0.1"`,
		`"port_value": 15012`, fmt.Sprintf(`"port_value": %d`, ports[0]), `"port_value": 9901`, fmt.Sprintf(`"port_value": %d`, ports[3]),
	).Replace(bootstrap)
	binary, err := envoytest.Default()
	require.NoError(t, err)
	p, err := process.Start(t.Context(), process.Options{Binary: binary.Path, Bootstrap: []byte(text), AdminPort: ports[3], Concurrency: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	r.Address = fmt.Sprintf("127.0.0.1:%d", ports[4])
	for _, status := range []int{200, 418} {
		s.Apply(t, fmt.Sprintf(rules, ports[4], status))
		assert.Eventually(t, func() bool {
			got, err := r.Get("a.test", "/")
			return err == nil && got == status
		}, 20*time.Second, 20*time.Millisecond, "%s\n%s", r.Output(), p.Log())
	}

	drain := deployments["edge"].Containers[0].Lifecycle.PreStop.Exec.Command
	script := strings.NewReplacer("/9901", fmt.Sprintf("/%d", ports[3]), "sleep 30", "sleep 0").Replace(drain[2])
	require.NotEqual(t, drain[2], script)
	said, err := exec.Command(drain[0], drain[1], script).CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(said), "200 OK")
	status, err = r.Get("a.test", "/")
	require.NoError(t, err, "it goes on serving while clients learn that it goes")
	assert.Equal(t, 418, status)
}
