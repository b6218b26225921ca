// Package chart renders deploy/chart/waymark with Helm's own library, and looks at what comes out.
package chart

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
)

var update = flag.Bool("update", false, "rewrite the golden files, and the bootstrap of the chart")

func deploy(parts ...string) string {
	return filepath.Join(append([]string{repository.Root, "deploy"}, parts...)...)
}

func chartDir() string { return deploy("chart", "waymark") }

// render is the manifests of the chart, and its error.
func render(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	c, err := loader.Load(chartDir())
	require.NoError(t, err)
	release := common.ReleaseOptions{Name: "waymark", Namespace: "waymark-system", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c, values, release, common.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := strings.TrimSpace(files[name])
		if text == "" || !strings.HasSuffix(name, ".yaml") {
			continue
		}
		b.WriteString("---\n# " + name + "\n" + strings.TrimPrefix(text, "---\n") + "\n")
	}
	return b.String(), nil
}

func read(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	values := map[string]any{}
	require.NoError(t, yaml.Unmarshal(text, &values))
	return values
}

// sets are files of values, by the names of their golden files.
func sets(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, pattern := range []string{"examples/kubernetes/*.yaml", "e2e/chart/testdata/*.yaml"} {
		found, err := filepath.Glob(filepath.Join(repository.Root, pattern))
		require.NoError(t, err)
		for _, file := range found {
			if name := strings.TrimSuffix(filepath.Base(file), ".yaml"); name != "workload" && !strings.HasSuffix(name, ".golden") {
				out[name] = file
			}
		}
	}
	require.Len(t, out, 5)
	return out
}

// objects decodes manifests into the types of the API, strictly: a field that a type does not have is an error.
func objects(t *testing.T, manifests string) []runtime.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yamlutil.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	var out []runtime.Object
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if !regexp.MustCompile(`(?m)^kind:`).Match(text) {
			continue // comments
		}
		o, _, err := decoder.Decode(text, nil, nil)
		require.NoError(t, err, "%s", text)
		out = append(out, o)
	}
}

// of are the objects of a type.
func of[T runtime.Object](all []runtime.Object) (out []T) {
	for _, o := range all {
		if typed, ok := o.(T); ok {
			out = append(out, typed)
		}
	}
	return out
}

// Each set of values renders to what was looked at, and Kubernetes knows all of it.
func TestManifests(t *testing.T) {
	if *update {
		updateBootstrap(t)
	}
	for name, file := range sets(t) {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, read(t, file))
			require.NoError(t, err)
			objects(t, got)
			golden := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got, "with -update it is rewritten")
		})
	}
	workload, err := os.ReadFile(filepath.Join(repository.Root, "examples", "kubernetes", "workload.yaml"))
	require.NoError(t, err)
	assert.Len(t, objects(t, string(workload)), 1)
}

// The documentation of the values is their defaults, and the schema knows each of them and no other.
func TestValuesAreStrict(t *testing.T) {
	for sentence, c := range map[string]struct{ values, want string }{
		"a misspelt value":                       {"controlPlane: {replica: 3}", "additional properties 'replica' not allowed"},
		"a misspelt part":                        {"gatway: {}", "additional properties 'gatway' not allowed"},
		"a number as text":                       {"gateway: {replicas: many}", "got string, want integer"},
		"waves that are not any":                 {"controlPlane: {waves: some}", "does not match pattern"},
		"a module that nobody has":               {"module: {source: download}", "value must be one of"},
		"an address without a port":              {"gateway: {xdsAddress: control.example.com}", "does not match pattern"},
		"a gateway without a port":               {"gateway: {ports: []}", "minItems"},
		"a sidecar without a namespace":          {"sidecars: [{name: a}]", "missing property 'namespace'"},
		"no module for the filter":               {"{module: {source: none}, gateway: {enabled: true}}", "only with matching: native do Envoys need no module"},
		"a webhook that cannot be verified":      {"webhook: {enabled: true}", "give caBundle or certManagerCertificate"},
		"everything off is a chart that is bare": {"controlPlane: {enabled: false}", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			values := map[string]any{}
			require.NoError(t, yaml.Unmarshal([]byte(c.values), &values))
			got, err := render(t, values)
			if c.want == "" {
				require.NoError(t, err)
				assert.Empty(t, got)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
	var schema map[string]any
	text, err := os.ReadFile(filepath.Join(chartDir(), "values.schema.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &schema))
	assertSame(t, "", read(t, filepath.Join(chartDir(), "values.yaml")), schema)
}

// assertSame compares the members of default values with those of the schema.
func assertSame(t *testing.T, path string, values map[string]any, schema map[string]any) {
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return // free form
	}
	for name := range properties {
		if path+name != "global" { // Helm's own
			assert.Contains(t, values, name, "%s%s has no default", path, name)
		}
	}
	for name, value := range values {
		if inner, ok := value.(map[string]any); ok && assert.Contains(t, properties, name) {
			assertSame(t, path+name+".", inner, properties[name].(map[string]any))
		}
	}
}

// bootstrapOf is what 'waymark bootstrap' prints.
func bootstrapOf(t *testing.T, address, fleet, namespace, proxy string, labels map[string]string) string {
	t.Helper()
	secrets := t.TempDir()
	args := []string{
		"bootstrap", "--secrets", secrets, "--xds", address, "--node", "POD", "--cluster", fleet, "--namespace", namespace, "--proxy", proxy,
		"--xds-ca", "/etc/xds/ca.crt", "--xds-cert", "/etc/xds/tls.crt", "--xds-key", "/etc/xds/tls.key",
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		args = append(args, "--labels", name+"="+labels[name])
	}
	stdout, stderr, status := program.Run(t, "", args...)
	require.Zero(t, status, stderr)
	for _, name := range []string{"xds-certificate.json", "xds-authority.json"} {
		text, err := os.ReadFile(filepath.Join(secrets, name))
		require.NoError(t, err)
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join(chartDir(), "files", name), text, 0o600))
		}
		chart, err := os.ReadFile(filepath.Join(chartDir(), "files", name))
		require.NoError(t, err)
		assert.JSONEq(t, string(text), string(chart), name)
	}
	return strings.ReplaceAll(stdout, secrets, "/etc/envoy")
}

// updateBootstrap writes the bootstrap from which the chart makes those of its Envoys.
func updateBootstrap(t *testing.T) {
	var value any
	require.NoError(t, json.Unmarshal([]byte(bootstrapOf(t, "waymark:15012", "FLEET", "NAMESPACE", "gateway", map[string]string{"istio": "ingressgateway"})), &value))
	text, err := json.MarshalIndent(value, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(chartDir(), "files", "bootstrap.json"), append(text, '\n'), 0o600))
}

// What Envoys start with is what 'waymark bootstrap' prints for them.
func TestBootstraps(t *testing.T) {
	bootstrap := func(address, fleet, namespace, proxy string, labels map[string]string) string {
		return bootstrapOf(t, address, fleet, namespace, proxy, labels)
	}
	for name, want := range map[string]map[string]string{
		"gateway-fleet":  {"edge": bootstrap("waymark.waymark-system.svc:15012", "edge", "waymark-system", "gateway", map[string]string{"istio": "ingressgateway"})},
		"gateways-alone": {"inner": bootstrap("waymark.waymark-system.svc:15012", "inner", "waymark-system", "gateway", map[string]string{"istio": "ingressgateway"})},
		"everything": {
			"outer":               bootstrap("control.example.com:15012", "outer", "waymark-system", "gateway", map[string]string{"istio": "outer", "app": "outer"}),
			"waymark-sidecar-web": bootstrap("control.example.com:15012", "web", "shop", "sidecar", nil),
		},
		"sidecars": {
			"waymark-sidecar-web":     bootstrap("waymark.waymark-system.svc:15012", "web", "shop", "sidecar", map[string]string{"app": "web"}),
			"waymark-sidecar-reviews": bootstrap("waymark.waymark-system.svc:15012", "reviews", "shop", "sidecar", map[string]string{"app": "reviews", "version": "v2"}),
		},
	} {
		manifests, err := render(t, read(t, sets(t)[name]))
		require.NoError(t, err)
		maps := of[*core.ConfigMap](objects(t, manifests))
		assert.Len(t, maps, len(want), name)
		for _, m := range maps {
			if assert.Contains(t, want, m.Name) {
				assert.JSONEq(t, want[m.Name], m.Data["bootstrap.json"], "%s of %s", m.Name, name)
			}
		}
	}
}

// The flags of the control plane are flags of 'waymark serve'.
func TestFlags(t *testing.T) {
	help, _, status := program.Run(t, "", "serve", "--help")
	require.Zero(t, status)
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-., )?(--[a-z-]+) `).FindAllStringSubmatch(help, -1) {
		known[m[1]] = true
	}
	for name, file := range sets(t) {
		manifests, err := render(t, read(t, file))
		require.NoError(t, err)
		for _, d := range of[*apps.Deployment](objects(t, manifests)) {
			args := d.Spec.Template.Spec.Containers[0].Args
			if args[0] != "serve" {
				continue
			}
			for _, arg := range args[1:] {
				flag, _, _ := strings.Cut(arg, "=")
				assert.True(t, known[flag], "%s of %s", flag, name)
			}
		}
	}
}

// The rights of the chart are those of deploy/rbac.yaml, and the webhook judges what deploy/webhook.yaml says.
func TestRights(t *testing.T) {
	manifests, err := render(t, map[string]any{"webhook": map[string]any{"enabled": true, "caBundle": "Y2E="}})
	require.NoError(t, err)
	rendered := objects(t, manifests)
	text, err := os.ReadFile(deploy("rbac.yaml"))
	require.NoError(t, err)
	shipped := objects(t, string(text))
	cluster, wantCluster := of[*rbac.ClusterRole](rendered), of[*rbac.ClusterRole](shipped)
	require.Len(t, cluster, 1)
	require.Len(t, wantCluster, 1)
	assert.Equal(t, wantCluster[0].Rules, cluster[0].Rules)
	role, wantRole := of[*rbac.Role](rendered), of[*rbac.Role](shipped)
	require.Len(t, role, 1)
	require.Len(t, wantRole, 1)
	assert.Equal(t, wantRole[0].Rules, role[0].Rules)
	assert.Equal(t, wantRole[0].Namespace, role[0].Namespace)
	bound := of[*rbac.ClusterRoleBinding](rendered)
	require.Len(t, bound, 1)
	wantBound := of[*rbac.ClusterRoleBinding](shipped)
	require.Len(t, wantBound, 1)
	assert.Equal(t, wantBound[0].Subjects, bound[0].Subjects)
	assert.Equal(t, wantBound[0].RoleRef, bound[0].RoleRef)

	text, err = os.ReadFile(deploy("webhook.yaml"))
	require.NoError(t, err)
	hook, wantHook := of[*admissionregistration.ValidatingWebhookConfiguration](rendered), of[*admissionregistration.ValidatingWebhookConfiguration](objects(t, string(text)))
	require.Len(t, hook, 1)
	require.Len(t, wantHook, 1)
	wantHook[0].Webhooks[0].ClientConfig.CABundle = []byte("ca")
	assert.Equal(t, wantHook[0].Webhooks, hook[0].Webhooks)
}

// No container runs as root, writes to its file system or has a capability, in the chart and in the example of a workload.
func TestContainersMayDoNothing(t *testing.T) {
	check := func(t *testing.T, pod *core.PodSpec) {
		t.Helper()
		require.NotNil(t, pod.SecurityContext)
		assert.True(t, *pod.SecurityContext.RunAsNonRoot)
		assert.Equal(t, core.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			s := c.SecurityContext
			require.NotNil(t, s, c.Name)
			assert.False(t, *s.AllowPrivilegeEscalation, c.Name)
			assert.True(t, *s.ReadOnlyRootFilesystem, c.Name)
			assert.Equal(t, []core.Capability{"ALL"}, s.Capabilities.Drop, c.Name)
			assert.Empty(t, s.Capabilities.Add, c.Name)
		}
	}
	pods := 0
	for _, file := range sets(t) {
		manifests, err := render(t, read(t, file))
		require.NoError(t, err)
		all := objects(t, manifests)
		for _, d := range of[*apps.Deployment](all) {
			pods++
			check(t, &d.Spec.Template.Spec)
		}
		for _, d := range of[*apps.DaemonSet](all) {
			pods++
			check(t, &d.Spec.Template.Spec)
		}
	}
	assert.Equal(t, 7, pods)
	workload, err := os.ReadFile(filepath.Join(repository.Root, "examples", "kubernetes", "workload.yaml"))
	require.NoError(t, err)
	check(t, &of[*apps.Deployment](objects(t, string(workload)))[0].Spec.Template.Spec)
}

// The dashboard asks for metrics that there are, in panels that do not overlap.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(deploy("grafana", "waymark.json"))
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title, Description string
			GridPos            struct{ X, Y, W, H int }
			Targets            []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	source, err := os.ReadFile(filepath.Join(repository.Root, "fleet", "metrics.go"))
	require.NoError(t, err)
	metric := regexp.MustCompile(`waymark_[a-z_]+`)
	shown, taken := map[string]bool{}, map[[2]int]string{}
	for _, p := range board.Panels {
		assert.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			for _, name := range metric.FindAllString(target.Expr, -1) {
				name = strings.TrimSuffix(name, "_bucket")
				shown[name] = true
				assert.Contains(t, string(source), `"`+name+`"`, "%s of %s", name, p.Title)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, name := range regexp.MustCompile(`"(waymark_[a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		assert.True(t, shown[name[1]], "%s is not on the dashboard", name[1])
	}
}
