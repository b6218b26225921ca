package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/fleet"
)

// aFleet is 'waymark serve' on a file, and Envoys that get their rules from it. Each Envoy has a Gateway of its own, with a
// port of its own; all have the same rule, which answers with a number.
type aFleet struct {
	*program.Running
	module string
	file   string
	xds    string // address
	admin  string
	args   []string
	member []*member
}

// member is one Envoy of a fleet.
type member struct {
	name   string
	port   uint32
	envoy  *process.Process
	client *client
}

func (f *aFleet) rules(n int) string {
	var b strings.Builder
	names := make([]string, len(f.member))
	for i, m := range f.member {
		names[i] = m.name
		fmt.Fprintf(&b, `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %[1]s, namespace: default}
spec:
  selector: {proxy: %[1]s}
  servers: [{port: {number: %[2]d, name: http, protocol: HTTP}, hosts: ["*"], bind: 127.0.0.1}]
---
`, m.name, m.port)
	}
	fmt.Fprintf(&b, `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule, namespace: default}
spec:
  hosts: ["*"]
  gateways: [%s]
  http: [{directResponse: {status: 200, body: {string: "%d"}}}]
`, strings.Join(names, ", "), n)
	return b.String()
}

// startFleet starts a control plane for as many Envoys.
func startFleet(t *testing.T, envoys int, args ...string) *aFleet {
	ports, err := process.FreePorts(envoys + 2)
	require.NoError(t, err)
	f := &aFleet{xds: fmt.Sprintf("127.0.0.1:%d", ports[0]), admin: fmt.Sprintf("127.0.0.1:%d", ports[1]), args: args}
	f.module, _ = program.ReadModule(t)
	for i := range envoys {
		f.member = append(f.member, &member{name: fmt.Sprintf("proxy-%d", i), port: ports[2+i]})
	}
	f.file = resources.RulesFile(t, f.rules(1))
	f.start(t)
	return f
}

// start starts the control plane, until the test ends.
func (f *aFleet) start(t *testing.T) {
	path, err := program.Path()
	require.NoError(t, err)
	r := &program.Running{}
	r.Cmd = exec.Command(path, append([]string{"serve", "-f", f.file, "--xds-listen", f.xds, "--admin-listen", f.admin, "--module", f.module, "--settle", "100ms"}, f.args...)...)
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	t.Cleanup(func() {
		_ = r.Cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = r.Cmd.Wait()                          // as above
	})
	f.Running = r
}

// join starts an Envoy of the fleet, until the test ends.
func (f *aFleet) join(t *testing.T, i int, b envoytest.Binary, flags ...string) {
	m := f.member[i]
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	bootstrap, stderr, status := program.Run(t, "", append([]string{
		"bootstrap", "--xds", f.xds, "--node", m.name, "--labels", "proxy=" + m.name, "--namespace", "default", "--envoy-version", fmt.Sprintf("1.%d", b.Minor),
		"--admin-port", fmt.Sprint(ports[0]),
	}, flags...)...)
	require.Zero(t, status, stderr)
	m.envoy, err = process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: []byte(bootstrap), AdminPort: ports[0], Concurrency: 1})
	require.NoError(t, err)
	p := m.envoy
	t.Cleanup(func() { _ = p.Stop() }) // it may have been killed
	m.client = &client{address: fmt.Sprintf("127.0.0.1:%d", m.port)}
	t.Cleanup(m.client.close)
}

// change writes the rule anew.
func (f *aFleet) change(t *testing.T, n int) { resources.RenameInto(t, f.file, f.rules(n)) }

// answers are the numbers that the Envoys answer with.
func (f *aFleet) answers(t *testing.T) (out []string) {
	for _, m := range f.member {
		got, err := m.client.retry(request("/", nil))
		require.NoError(t, err, m.name)
		require.Equal(t, 200, got.status, m.name)
		out = append(out, got.body)
	}
	return out
}

func (f *aFleet) status(t *testing.T) (s fleet.Status) {
	stdout, stderr, status := program.Run(t, "", "status", "--server", f.admin, "-o", "json")
	require.Zero(t, status, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	return s
}

// eventually waits until all Envoys answer so.
func (f *aFleet) eventually(t *testing.T, answers ...string) {
	t.Helper()
	f.Eventually(t, fmt.Sprint(answers), func() bool { return assert.ObjectsAreEqual(answers, f.answers(t)) })
}

// TestServe gives rules to Envoys of three versions, one of which asks for the state of the world, and changes them.
func TestServe(t *testing.T) {
	all, err := envoytest.All()
	require.NoError(t, err)
	f := startFleet(t, 4)
	f.join(t, 0, all[0])
	f.join(t, 1, all[len(all)-2])
	f.join(t, 2, all[len(all)-1])
	f.join(t, 3, defaultEnvoy(t), "--sotw")
	f.eventually(t, "1", "1", "1", "1")
	f.change(t, 2)
	f.eventually(t, "2", "2", "2", "2")
	f.Eventually(t, "all in sync", func() bool { return f.status(t).Proxies.InSync == 4 })

	s := f.status(t)
	assert.EqualValues(t, 2, s.Number)
	assert.Equal(t, []int{all[0].Minor, all[len(all)-2].Minor, all[len(all)-1].Minor, defaultEnvoy(t).Minor},
		[]int{s.Fleet[0].Group.Minor, s.Fleet[1].Group.Minor, s.Fleet[2].Group.Minor, s.Fleet[3].Group.Minor})
	text, _, status := program.Run(t, "", "status", "--server", f.admin)
	assert.Zero(t, status)
	assert.Contains(t, text, "change 2: taken by 4 of 4 proxies")

	explained, stderr, status := program.Run(t, "", "explain", "--server", f.admin, "--of", "proxy-1", fmt.Sprintf("GET http://a.test:%d/", f.member[1].port))
	assert.Zero(t, status, stderr)
	assert.Contains(t, explained, "default/rule.http[0]")
	_, stderr, status = program.Run(t, "", "explain", "--server", f.admin, "GET http://a.test/")
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "name one of them: proxy-0, proxy-1, proxy-2, proxy-3")

	// What is wrong is left out by itself, and said.
	resources.RenameInto(t, f.file, strings.Replace(f.rules(3), "status: 200", "status: 2", 1))
	f.WaitFor(t, "goes on being served as it was before")
	f.eventually(t, "2", "2", "2", "2")
	text, _, _ = program.Run(t, "", "status", "--server", f.admin)
	assert.Contains(t, text, "error: VirtualService default/rule: spec.http[0].directResponse.status")
	f.change(t, 4)
	f.eventually(t, "4", "4", "4", "4")
}

// TestServeEnds ends a control plane in order, and starts it again: Envoys go on serving, and get nothing that they have.
func TestServeEnds(t *testing.T) {
	f := startFleet(t, 1)
	f.join(t, 0, defaultEnvoy(t))
	f.eventually(t, "1")
	stats := func() string {
		text, err := f.member[0].envoy.Admin(context.Background(), "/stats?filter=^(listener_manager|extension_config_discovery|http)%5C..*(config_reload|update_success)$")
		require.NoError(t, err)
		return text
	}
	before := stats()
	require.NoError(t, f.Cmd.Process.Signal(syscall.SIGTERM))
	begun := time.Now()
	require.NoError(t, f.Exit(t, 20*time.Second), f.Output())
	assert.Less(t, time.Since(begun), 4*time.Second, "streams are ended, and not waited for")
	assert.Equal(t, []string{"1"}, f.answers(t))
	f.start(t)
	f.Eventually(t, "the proxy is back", func() bool {
		return strings.Contains(f.Output(), "given to proxies") && f.status(t).Proxies.InSync == 1
	})
	assert.Equal(t, before, stats())
	f.change(t, 2)
	f.eventually(t, "2")
}

// TestWaves rolls changes out wave by wave, by hand and back.
func TestWaves(t *testing.T) {
	f := startFleet(t, 4, "--waves", "1,50%,100%", "--wave-interval", "1s")
	for i := range f.member {
		f.join(t, i, defaultEnvoy(t))
	}
	f.eventually(t, "1", "1", "1", "1")
	count := func(n string) (found int) {
		for _, a := range f.answers(t) {
			if a == n {
				found++
			}
		}
		return found
	}
	rollout := func(do string) string {
		stdout, stderr, status := program.Run(t, "", "rollout", do, "--server", f.admin)
		require.Zero(t, status, stderr)
		return stdout
	}
	f.Eventually(t, "nothing is rolled out", func() bool { r := f.status(t).Rollout; return r == nil || r.State == "done" })

	f.change(t, 2)
	f.Eventually(t, "the first wave", func() bool { return count("2") == 1 })
	assert.Contains(t, rollout("pause"), "is paused")
	time.Sleep(2 * time.Second)
	assert.LessOrEqual(t, count("2"), 2, "no further wave")
	text, _, _ := program.Run(t, "", "status", "--server", f.admin)
	assert.Contains(t, text, "waits for its wave")
	assert.Contains(t, text, "rollout: paused")
	rollout("resume")
	f.eventually(t, "2", "2", "2", "2")
	f.Eventually(t, "done", func() bool { return f.status(t).Rollout.State == "done" })

	f.change(t, 3)
	f.Eventually(t, "the first wave", func() bool { return count("3") >= 1 })
	rollout("abort")
	f.eventually(t, "2", "2", "2", "2")
	_, stderr, status := program.Run(t, "", "rollout", "resume", "--server", f.admin)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "is aborted")
	f.change(t, 4)
	f.eventually(t, "4", "4", "4", "4")
}

// TestWavesStop makes a proxy of the first wave refuse a change: the others never get it.
func TestWavesStop(t *testing.T) {
	f := startFleet(t, 3, "--waves", "1,100%", "--wave-interval", "500ms")
	for i := range f.member {
		f.join(t, i, defaultEnvoy(t))
	}
	f.eventually(t, "1", "1", "1")
	f.Eventually(t, "in sync", func() bool { return f.status(t).Proxies.InSync == 3 })
	// Every listener gets a second port that another program has.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	bad := strings.ReplaceAll(f.rules(2), "servers: [", fmt.Sprintf("servers: [{port: {number: %d, name: more, protocol: HTTP}, hosts: [\"*\"], bind: 127.0.0.1}, ", taken.Addr().(*net.TCPAddr).Port))
	resources.RenameInto(t, f.file, bad)
	f.Eventually(t, "paused", func() bool { r := f.status(t).Rollout; return r != nil && r.State == "paused" })
	s := f.status(t)
	assert.Contains(t, s.Rollout.Reason, "refuses it")
	assert.Equal(t, 1, s.Proxies.Refusing)
	time.Sleep(time.Second)
	ones := 0
	for _, a := range f.answers(t) {
		if a == "1" {
			ones++
		}
	}
	assert.Equal(t, 2, ones, "those that are not in the wave")
}

// TestServeOverTLS lets Envoys in whose certificates name their namespace, and reads renewed certificates.
func TestServeOverTLS(t *testing.T) {
	dir := t.TempDir()
	authority, another := certs.NewIssuer(t, "authority"), certs.NewIssuer(t, "another")
	ca := filepath.Join(dir, "ca.crt")
	require.NoError(t, os.WriteFile(ca, []byte(authority.PEM), 0o600))
	cert, key := authority.Issue(t, "localhost").Files(t, dir, "server")
	f := startFleet(t, 4, "--xds-cert", cert, "--xds-key", key, "--xds-client-ca", ca)
	f.xds = strings.Replace(f.xds, "127.0.0.1", "localhost", 1)
	with := func(name string, c certs.Issued) []string {
		own, ownKey := c.Files(t, dir, name)
		return []string{"--xds-ca", ca, "--xds-cert", own, "--xds-key", ownKey, "--cluster", "edge", "--secrets", t.TempDir()}
	}
	f.join(t, 0, defaultEnvoy(t), with("spiffe", authority.Issue(t, "spiffe://cluster.local/ns/default/sa/edge"))...)
	f.join(t, 1, defaultEnvoy(t), with("dns", authority.Issue(t, "edge.default.svc"))...)
	connected := func() (names []string) {
		for _, p := range f.status(t).Fleet {
			names = append(names, p.ID)
		}
		return names
	}
	f.Eventually(t, "both", func() bool { return len(connected()) == 2 })
	for i, c := range map[int]certs.Issued{
		2: authority.Issue(t, "spiffe://cluster.local/ns/shop/sa/edge"), // of another namespace
		3: another.Issue(t, "spiffe://cluster.local/ns/default/sa/edge"),
	} {
		f.tryToJoin(t, i, with(fmt.Sprint("other", i), c)...)
	}
	f.WaitFor(t, "is for neither spiffe://…/ns/default/sa/… nor edge.default")
	time.Sleep(2 * time.Second)
	assert.Equal(t, []string{"proxy-0", "proxy-1"}, connected())

	// The server's certificate is renewed, by another authority that Envoys do not trust: a new connection is refused.
	another.Issue(t, "localhost").Files(t, dir, "server")
	time.Sleep(1500 * time.Millisecond)
	f.tryToJoin(t, 2, with("late", authority.Issue(t, "edge.default"))...)
	time.Sleep(2 * time.Second)
	assert.Equal(t, []string{"proxy-0", "proxy-1"}, connected())
	authority.Issue(t, "localhost").Files(t, dir, "server")
	f.Eventually(t, "the third", func() bool { return len(connected()) == 3 })

	// The first Envoy's certificate is renewed, for another namespace: it cannot come back.
	authority.Issue(t, "spiffe://cluster.local/ns/shop/sa/edge").Files(t, dir, "spiffe")
	time.Sleep(time.Second)
	require.NoError(t, f.Cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, f.Exit(t, 20*time.Second), f.Output())
	f.xds = strings.Replace(f.xds, "localhost", "127.0.0.1", 1)
	f.start(t)
	f.Eventually(t, "the others", func() bool { return strings.Contains(f.Output(), "given to proxies") && len(connected()) == 2 })
	time.Sleep(2 * time.Second)
	assert.Equal(t, []string{"proxy-1", "proxy-2"}, connected())
}

// tryToJoin starts an Envoy that may not be let in, until the test ends.
func (f *aFleet) tryToJoin(t *testing.T, i int, flags ...string) {
	m, b := f.member[i], defaultEnvoy(t)
	bootstrap, stderr, status := program.Run(t, "", append([]string{
		"bootstrap", "--xds", f.xds, "--node", m.name, "--labels", "proxy=" + m.name, "--namespace", "default", "--admin-port", "0",
	}, flags...)...)
	require.Zero(t, status, stderr)
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	require.NoError(t, os.WriteFile(file, []byte(bootstrap), 0o600))
	c := exec.Command(b.Path, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error")
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // ours
		_ = c.Wait()
	})
}
