package envoy

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/istio/translate"
)

// A second proxy that cannot have its admin port says so, and does not take the first one's Envoy for its own.
func TestASecondProxyOnTheSameAdminPort(t *testing.T) {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	admin := fmt.Sprint(ports[0])
	args := append(envoyArgs(defaultEnvoy(t)), "--admin-port", admin)
	first := program.Serve(t, resources.RulesFile(t, resources.AllowAll), args...)
	first.WaitFor(t, "listening on")
	second := program.Serve(t, resources.RulesFile(t, resources.AllowAll), args...)
	require.Error(t, second.Exit(t, 20*time.Second))
	assert.Equal(t, 65, second.Cmd.ProcessState.ExitCode())
	assert.Contains(t, second.Output(), "the admin interface cannot listen on 127.0.0.1:"+admin)
	assert.Contains(t, second.Output(), "--admin-port names another")
	assert.NotContains(t, second.Output(), "listening on "+second.Address)
	status, err := first.Get("a.test", "/")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
}

// needsFilter are rules for which --matching auto takes the filter.
func needsFilter() string {
	var b strings.Builder
	b.WriteString(strings.Split(resources.AllowAll, "---")[0] + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: many}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n")
	for i := range 400 {
		fmt.Fprintf(&b, "  - {match: [{uri: {regex: \"/[a-z]+/x%d\"}}], directResponse: {status: 200}}\n", i)
	}
	return b.String()
}

// A module that is missing or corrupt is an error at the start: Envoy would open its listeners and answer 500.
func TestModulesThatDoNotLoad(t *testing.T) {
	good, wasm := program.ReadModule(t)
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return file
	}
	files := map[string]string{
		"missing": filepath.Join(dir, "none.wasm"), "empty": write("empty.wasm", nil), "text": write("text.wasm", []byte("hello")),
		"cut off": write("cut.wasm", wasm[:len(wasm)/2]), "another program": write("other.wasm", []byte("\x00asm\x01\x00\x00\x00")),
	}
	rules := resources.RulesFile(t, needsFilter())
	for _, matching := range []string{"filter", "auto"} {
		for what, file := range files {
			for _, b := range modernEnvoys(t) {
				t.Run(matching+" "+what+" "+b.Version, func(t *testing.T) {
					r := program.Serve(t, rules, "--engine", "envoy", "--envoy", b.Path, "--matching", matching, "--module", file)
					require.Error(t, r.Exit(t, 60*time.Second))
					assert.NotContains(t, r.Output(), "listening on")
					assert.Contains(t, r.Output(), "module")
				})
			}
		}
		r := program.Serve(t, rules, "--engine", "envoy", "--envoy", defaultEnvoy(t).Path, "--matching", matching, "--module", good)
		r.WaitFor(t, "listening on")
		status, err := r.Get("a.test", "/a/x7")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
	}
	t.Run("the folder keeps what was in force", func(t *testing.T) {
		folder := t.TempDir()
		args := []string{"--engine", "envoy", "--envoy", defaultEnvoy(t).Path, "--dynamic", folder, "--module"}
		r := program.Serve(t, rules, append(args, good)...)
		r.WaitFor(t, "listening on")
		require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, r.Exit(t, 20*time.Second), r.Output())
		before := contents(t, folder)
		require.Error(t, program.Serve(t, rules, append(args, files["cut off"])...).Exit(t, 60*time.Second))
		assert.Equal(t, before, contents(t, folder))
	})
	t.Run("native needs none", func(t *testing.T) {
		program.Serve(t, rules, append(envoyArgs(defaultEnvoy(t)), "--module", files["missing"])...).WaitFor(t, "listening on")
	})
}

// A name server that does not answer holds up neither the start nor a change.
func TestNamesThatCannotBeResolved(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	rules := func(host string) string {
		return strings.ReplaceAll(drainRules, "slow.test", host) + "---\n" + `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dns}
spec: {hosts: [` + host + `], resolution: DNS, endpoints: [{address: nowhere.` + host + `}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: here}
spec: {hosts: [here.test], gateways: [gw], http: [{directResponse: {status: 200, body: {string: ` + host + `}}}]}
`
	}
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			ports, err := process.FreePorts(2)
			require.NoError(t, err)
			o := envoy.Options{Dir: t.TempDir(), AdminPort: ports[1], Minor: b.Minor, Matching: envoy.MatchingNative}
			resources := func(host string) *envoy.Resources {
				p, _ := translateYAML(t, rules(host), translate.Options{})
				p.Listeners[0].Bind, p.Listeners[0].Port = "127.0.0.1", ports[0]
				f, err := envoy.Build(p, o)
				require.NoError(t, err)
				var c caresv3.CaresDnsResolverConfig
				require.NoError(t, f.Bootstrap.TypedDnsResolverConfig.TypedConfig.UnmarshalTo(&c))
				at := silent.LocalAddr().(*net.UDPAddr)
				c.Resolvers = []*corev3.Address{{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(at.Port)},
				}}}}
				f.Bootstrap.TypedDnsResolverConfig.TypedConfig, err = anypb.New(&c)
				require.NoError(t, err)
				return f
			}
			d := &files.Dir{Path: o.Dir}
			require.NoError(t, d.Apply(t.Context(), resources("one.test")))
			begun := time.Now()
			p, err := process.Start(t.Context(), process.Options{Binary: b.Path, Config: filepath.Join(o.Dir, envoy.BootstrapFile), AdminPort: o.AdminPort, Concurrency: 1})
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Stop()) }()
			assert.Less(t, time.Since(begun), 10*time.Second, "the start")
			answer := func() string {
				q := request("/", nil)
				q.Authority = "here.test"
				got, err := (&client{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}).retry(q)
				require.NoError(t, err)
				return got.body
			}
			assert.Equal(t, "one.test", answer())
			d.Watcher = &files.Admin{Ask: p.Admin}
			begun = time.Now()
			require.NoError(t, d.Apply(t.Context(), resources("two.test")))
			assert.Less(t, time.Since(begun), 15*time.Second, "a change")
			assert.Equal(t, "two.test", answer())
		})
	}
}

// An Envoy that ends again and again is not started without end.
func TestRestartsEnd(t *testing.T) {
	r := program.Serve(t, resources.RulesFile(t, resources.AllowAll), envoyArgs(defaultEnvoy(t))...)
	r.WaitFor(t, "listening on")
	done := make(chan error, 1)
	go func() { done <- r.Cmd.Wait() }()
	var killed []int
	for {
		for _, pid := range r.Children(t) {
			if !slices.Contains(killed, pid) {
				killed = append(killed, pid)
				_ = syscall.Kill(pid, syscall.SIGKILL) // started by the program that this test started
			}
		}
		select {
		case err := <-done:
			require.Error(t, err)
			assert.Contains(t, r.Output(), "envoy has ended 7 times within 30s of its start, and is not started again")
			assert.Len(t, killed, 7)
			return
		case <-time.After(50 * time.Millisecond):
		}
		require.Less(t, len(killed), 20)
	}
}

// A change while Envoy is down is what its next start reads.
func TestAChangeWhileEnvoyIsDown(t *testing.T) {
	file := resources.RulesFile(t, resources.AllowAll)
	r := program.Serve(t, file, append(envoyArgs(defaultEnvoy(t)), "--settle", "0")...)
	r.WaitFor(t, "listening on")
	resources.RenameInto(t, file, strings.ReplaceAll(resources.AllowAll, "status: 200", "status: 204"))
	for _, pid := range r.Children(t) {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	r.Eventually(t, "the change", func() bool { s, err := r.Get("a.test", "/"); return err == nil && s == http.StatusNoContent })
}

// With --admin-port 0 no port is opened but the listeners'.
func TestNoAdminPort(t *testing.T) {
	r := program.Serve(t, resources.RulesFile(t, resources.AllowAll), envoyArgs(defaultEnvoy(t))...)
	r.WaitFor(t, "listening on")
	var open []string
	for _, pid := range r.Children(t) {
		open = append(open, listeningPorts(t, pid)...)
	}
	_, port, err := net.SplitHostPort(r.Address)
	require.NoError(t, err)
	for _, p := range open {
		assert.Equal(t, port, p)
	}
	assert.NotEmpty(t, open)
	deep := filepath.Join(t.TempDir(), strings.Repeat("deep", 30))
	_, stderr, status := program.Run(t, "", append(envoyArgs(defaultEnvoy(t)), "run", "-f", resources.RulesFile(t, resources.AllowAll), "--admin-port", "0", "--dynamic", deep)...)
	assert.Equal(t, 65, status)
	assert.Contains(t, stderr, "the path "+deep)
}

// listeningPorts are the TCP ports on which a process listens.
func listeningPorts(t *testing.T, pid int) (ports []string) {
	sockets := map[string]string{}
	for _, family := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, family)) // a system may lack one
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			n, err := strconv.ParseUint(hex, 16, 16)
			require.NoError(t, err)
			sockets["socket:["+f[9]+"]"] = fmt.Sprint(n)
		}
	}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && sockets[target] != "" {
			ports = append(ports, sockets[target])
		}
	}
	return ports
}

// TestRunLooksAtItsEnvoy tries programs that are no use.
func TestRunLooksAtItsEnvoy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer("8443", "8080", "HTTPS", "HTTP", "\n    tls: {mode: SIMPLE, $TLS}", "").Replace(resources.BadGateway)), 0o600))
	script := func(text string) string {
		p := filepath.Join(t.TempDir(), "envoy")
		require.NoError(t, os.WriteFile(p, []byte("#!/bin/sh\n"+text), 0o700)) //nolint:gosec // a program
		return p
	}
	version := func(v string) string {
		return "[ \"$1\" = --version ] && { echo 'envoy  version: 0123abc/" + v + "/Clean/RELEASE/BoringSSL'; exit 0; }\n"
	}
	old, none := script(version("1.35.2")), script("echo hello\n")
	plain := script(version("1.38.3") + `echo "Failed to create Wasm VM using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it" >&2; exit 1` + "\n")
	real := defaultEnvoy(t).Path
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"--envoy", old}, old + " is Envoy 1.35.2, and Waymark needs 1.36 or later"},
		{[]string{"--envoy", none}, none + " is not an Envoy: it does not print a version of Envoy"},
		{[]string{"--envoy", plain}, plain + " is an Envoy 1.38.3 that was built without Wasm, so it cannot load the filter; name another program with --envoy, or use --matching native"},
		{[]string{"--envoy", real, "--envoy-version", "1.36"}, real + " is Envoy " + defaultEnvoy(t).Version + ", and --envoy-version is 1.36; leave the flag out, or name another program with --envoy"},
		{[]string{"--envoy", real, "--listen", taken.Addr().String()}, "listener 0.0.0.0_8080 cannot listen on " + taken.Addr().String() + ": bind: address already in use; --listen names another address"},
	} {
		_, stderr, status := program.Run(t, "", append([]string{"run", "-f", file, "--engine", "envoy"}, c.args...)...)
		assert.Equal(t, 65, status, stderr)
		assert.Equal(t, "waymark: "+c.say+"\n", stderr)
	}
}
