package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/process"
)

// program builds bin/waymark once.
var program = sync.OnceValues(func() (string, error) {
	if _, err := module(); err != nil {
		return "", err
	}
	out, err := filepath.Abs(filepath.Join(root, "bin", "waymark"))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", out, "./cmd/waymark")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0") // images are made of it
	if text, err := build.CombinedOutput(); err != nil {
		return "", &buildError{string(text), err}
	}
	return out, nil
})

// waymark runs the program to its end, in the root of the repository.
func waymark(t testing.TB, stdin string, args ...string) (stdout, stderr string, status int) {
	path, err := program()
	require.NoError(t, err)
	c := exec.Command(path, args...)
	c.Dir = root
	c.Stdin = strings.NewReader(stdin)
	var out, talk bytes.Buffer
	c.Stdout, c.Stderr = &out, &talk
	err = c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), talk.String(), c.ProcessState.ExitCode()
}

func TestStatusesAndErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	gateway := `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: a, protocol: HTTP}, hosts: ["*"]}
`
	vs := func(rules string) string {
		return gateway + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a.com]\n  gateways: [gw]\n  http:\n" + rules
	}
	direct := "  - directResponse: {status: 200}\n"
	for what, c := range map[string]struct {
		args   []string
		status int
		say    []string
	}{
		"help":                  {[]string{"--help"}, 0, nil},
		"no such command":       {[]string{"fly"}, 64, []string{`unknown command "fly"`}},
		"no such flag":          {[]string{"translate", "--fast"}, 64, []string{"unknown flag: --fast"}},
		"no files":              {[]string{"translate"}, 64, []string{"give the resources with -f"}},
		"a wrong form":          {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "-o", "xml"}, 64, []string{`-o "xml" is not bootstrap, plan or plugin-config`}},
		"too old an Envoy":      {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--envoy-version", "1.20"}, 64, []string{`--envoy-version "1.20" is not between 1.36 and 1.40`}},
		"no such proxy":         {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--proxy", "waypoint"}, 64, []string{`--proxy "waypoint" is neither gateway nor sidecar`}},
		"a sidecar's Gateway":   {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--proxy", "sidecar", "--gateway", "gw"}, 64, []string{"--gateway gw: a sidecar serves no Gateway"}},
		"a gateway's outbound":  {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--outbound-traffic-policy", "REGISTRY_ONLY"}, 64, []string{"--outbound-traffic-policy is for --proxy sidecar alone"}},
		"no such policy":        {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--proxy", "sidecar", "--outbound-traffic-policy", "NONE"}, 64, []string{`--outbound-traffic-policy "NONE" is neither ALLOW_ANY nor REGISTRY_ONLY`}},
		"a sidecar":             {[]string{"translate", "-f", "examples/bookinfo", "--proxy", "sidecar"}, 0, nil},
		"good rules":            {[]string{"translate", "-f", write("ok.yaml", vs(direct))}, 0, nil},
		"an unreadable file":    {[]string{"translate", "-f", filepath.Join(dir, "none.yaml")}, 65, []string{"none.yaml: error: cannot be read: no such file or directory"}},
		"no YAML":               {[]string{"translate", "-f", write("bad.yaml", "a: [")}, 65, []string{"bad.yaml:1", "error: not YAML"}},
		"a foreign document":    {[]string{"translate", "-f", write("foreign.yaml", vs(direct)+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")}, 0, []string{"notice: ConfigMap m: v1 ConfigMap is not a resource that Waymark reads; skipped"}},
		"an unknown field":      {[]string{"translate", "-f", write("field.yaml", vs("  - directRespons: {}\n"+direct))}, 65, []string{`field.yaml:16:5: error: VirtualService default/a: spec.http[0].directRespons: unknown field "directRespons"; did you mean "directResponse"?`}},
		"a bad regex":           {[]string{"translate", "-f", write("regex.yaml", vs("  - match: [{uri: {regex: \"(\"}}]\n    directResponse: {status: 200}\n"))}, 65, []string{`regex.yaml:16:27: error: VirtualService default/a: spec.http[0].match[0].uri.regex: "(": missing closing )`}},
		"weights of 0":          {[]string{"translate", "-f", write("sum.yaml", vs("  - route: [{destination: {host: b}}, {destination: {host: c}}]\n"))}, 65, []string{"sum.yaml:16:12: error: VirtualService default/a: spec.http[0].route: the weights of 2 destinations add up to 0"}},
		"no cluster":            {[]string{"translate", "-f", write("cluster.yaml", vs("  - route: [{destination: {host: b}}]\n"))}, 65, []string{"cluster.yaml:16:27: error: VirtualService default/a: spec.http[0].route[0].destination: there is no cluster outbound|80||b.default.svc.cluster.local", "--endpoint b.default.svc.cluster.local=ADDRESS:PORT"}},
		"clashing protocols":    {[]string{"translate", "-f", write("ports.yaml", gateway+"---\n"+strings.NewReplacer("name: gw", "name: gw2", "HTTP", "TCP").Replace(gateway))}, 65, []string{"ports.yaml:15:44: error: Gateway default/gw2: spec.servers[0].port.protocol: port 80 speaks HTTP already"}},
		"several at once":       {[]string{"translate", "-f", write("many.yaml", vs("  - match: [{uri: {regex: \"(\"}}]\n    timeout: 0s\n    directResponse: {status: 99}\n    more: 1\n"))}, 65, []string{"regex: \"(\"", "timeout: 0s is shorter than 1ms", "99 is not between 200 and 600", `unknown field "more"`}},
		"requests that are not": {[]string{"decide", "-f", write("ok.yaml", vs(direct)), "--requests", write("r.json", "{")}, 65, []string{"r.json: not a list of requests"}},
	} {
		t.Run(what, func(t *testing.T) {
			_, stderr, status := waymark(t, "", c.args...)
			assert.Equal(t, c.status, status, stderr)
			for _, say := range c.say {
				assert.Contains(t, stderr, say)
			}
		})
	}
}

func TestVersionNamesTheModule(t *testing.T) {
	stdout, _, status := waymark(t, "", "version")
	assert.Zero(t, status)
	assert.Regexp(t, `(?s)waymark \S+\ncommit  \S+\ngo      go1\.\S+\nmodule  sha256:[0-9a-f]{64}\n`, stdout)
}

func TestDecideReadsStandardInput(t *testing.T) {
	stdout, _, status := waymark(t, `[{"name":"n","gatewayPort":8080,"authority":"reviews.bookinfo.example.com","path":"/","headers":{"end-user":"jason"}}]`,
		"decide", "-f", "examples/bookinfo", "--requests", "-")
	assert.Zero(t, status)
	assert.Equal(t, "GET reviews.bookinfo.example.com/ -> outbound|9080|v2|reviews.default.svc.cluster.local  (default/reviews.http[0].match[0]:jason)\n", stdout)
}

func TestDecideRefusesWhatItDoesNotKnow(t *testing.T) {
	for requests, want := range map[string]string{
		`[{"gatewayPort": 80, "authorty": "a.test"}]`:                      `-: not a list of requests: json: unknown field "authorty"`,
		`[{"protocol": "HTTP/2"}, {"protocol": "HTTP/1.0"}]`:               `-: request 1: protocol: "HTTP/1.0" is neither HTTP/1.1 nor HTTP/2`,
		`[{"authority": "a.test", "path": "/"}] [{"authority": "b.test"}]`: `-: there is text after the list of requests`,
		`{"authority": "a.test"}`:                                          `-: not a list of requests: `,
	} {
		_, stderr, status := waymark(t, requests, "decide", "-f", "examples/bookinfo", "--requests", "-")
		assert.Equal(t, 65, status)
		assert.Contains(t, stderr, want)
	}
}

// running is 'waymark run' in the background.
type running struct {
	cmd     *exec.Cmd
	address string
	mu      sync.Mutex
	out     bytes.Buffer
}

func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(b)
}

func (r *running) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// startRun serves a copy of the bookinfo example and returns its folder.
func startRun(t *testing.T, engine string, more ...string) (*running, string) {
	path, err := program()
	require.NoError(t, err)
	dir := t.TempDir()
	text, err := exec.Command("cp", "-r", filepath.Join(root, "examples", "bookinfo")+"/.", dir).CombinedOutput()
	require.NoError(t, err, "%s", text)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &running{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	args := []string{"run", "-f", dir, "--backends", "demo", "--engine", engine, "--listen", r.address, "--admin-port", "0"}
	if engine == "envoy" {
		args = append(args, "--envoy", defaultEnvoy(t).Path)
	}
	args = append(args, more...)
	r.cmd = exec.Command(path, args...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, r.cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, r.cmd.Wait(), "Ctrl-C ends it in order: %s", r.output())
	})
	require.Eventually(t, func() bool { return strings.Contains(r.output(), "listening on "+r.address) }, 30*time.Second, 50*time.Millisecond, r.output())
	return r, dir
}

// httpClient keeps its connections, more than a load has workers.
var httpClient = &http.Client{
	Timeout:       5 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (r *running) get(host, path string) (int, error) {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.address+path, nil)
	if err != nil {
		return 0, err
	}
	q.Host = host
	response, err := httpClient.Do(q)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// underLoad lets four clients ask for the bookinfo page until stop is called, which reports every answer but 200 and returns
// how many requests there were.
func underLoad(t *testing.T, get func(host, path string) (int, error)) (stop func() int64) {
	end, failures := make(chan struct{}), make(chan string, 1000)
	var load sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if status, err := get("bookinfo.example.com", "/productpage"); err != nil || status != http.StatusOK {
					failures <- fmt.Sprint(status, err)
				}
				sent.Add(1)
			}
		})
	}
	return func() int64 {
		close(end)
		load.Wait()
		close(failures)
		for f := range failures {
			t.Errorf("a request failed: %s", f)
		}
		return sent.Load()
	}
}

// TestRunReadsChangedFiles changes rules under load, well and badly, and loses no request.
func TestRunReadsChangedFiles(t *testing.T) {
	for _, engine := range []string{"wasm", "envoy"} {
		t.Run(engine, func(t *testing.T) {
			r, dir := startRun(t, engine)
			stop := underLoad(t, r.get)
			file := filepath.Join(dir, "virtualservices.yaml")
			rules, err := os.ReadFile(file)
			require.NoError(t, err)
			replace := func(old, next string) {
				require.Contains(t, string(rules), old)
				require.NoError(t, os.WriteFile(file+".tmp", bytes.ReplaceAll(rules, []byte(old), []byte(next)), 0o600))
				require.NoError(t, os.Rename(file+".tmp", file))
			}
			status := func(path string) func() bool {
				return func() bool {
					got, err := r.get("bookinfo.example.com", path)
					return err == nil && got == http.StatusOK
				}
			}
			assert.False(t, status("/alive")())
			replace("exact: /healthz", "exact: /alive")
			assert.Eventually(t, status("/alive"), 10*time.Second, 50*time.Millisecond, r.output())
			replace("exact: /healthz", "exactly: /healthz")
			assert.Eventually(t, func() bool { return strings.Contains(r.output(), `unknown field \"exactly\"`) }, 10*time.Second, 50*time.Millisecond)
			assert.Eventually(t, func() bool {
				return strings.Contains(r.output(), "the changed files are not used; the rules before go on being served")
			}, 10*time.Second, 50*time.Millisecond)
			assert.True(t, status("/alive")(), "the old rules go on")
			replace("exact: /healthz", "exact: /well")
			assert.Eventually(t, status("/well"), 10*time.Second, 50*time.Millisecond, r.output())
			assert.Eventually(t, func() bool { return !status("/alive")() }, 10*time.Second, 50*time.Millisecond)
			assert.Positive(t, stop())
			assert.Eventually(t, func() bool { // the access log names rule and destination
				return strings.Contains(r.output(), "default/bookinfo.http[3].match[0]:page") &&
					strings.Contains(r.output(), "outbound|9080||productpage.default.svc.cluster.local")
			}, 5*time.Second, 100*time.Millisecond)
		})
	}
}

func command(name string, args ...string) (string, error) {
	text, err := exec.Command(name, args...).CombinedOutput()
	return string(text), err
}
