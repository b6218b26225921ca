package envoy

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
)

// startDoors is 'waymark run --engine envoy' over a folder with one file.
func startDoors(t *testing.T, text string, args ...string) (r *program.Running, file string) {
	path, err := program.Path()
	require.NoError(t, err)
	dir := t.TempDir()
	file = filepath.Join(dir, "rules.yaml")
	resources.RenameInto(t, file, text)
	r = &program.Running{}
	r.Cmd = exec.Command(path, append([]string{"run", "-f", dir, "--engine", "envoy", "--matching", "native", "--envoy", defaultEnvoy(t).Path, "--listen", "127.0.0.1", "--admin-port", "0"}, args...)...)
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, r.Cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, r.Cmd.Wait(), "Ctrl-C ends it in order: %s", r.Output())
	})
	r.WaitFor(t, "listening on ")
	return r, file
}

// TestRunGoesOn gives a running Envoy one bad input after another: what was served goes on being served.
func TestRunGoesOn(t *testing.T) {
	own := certs.NewIssuer(t, "own")
	good, other := own.Issue(t, "a.test"), own.Issue(t, "b.test")
	n := names{"TLS": "credentialName: c"}.ports(t, "PORT")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	_, takenPort, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	rules := n.expand(t, strings.Replace(resources.BadGateway, "8443", "$PORT", 1))
	r, file := startDoors(t, rules+certs.Secret("c", good, ""))
	serves := func(name string, status int) {
		t.Helper()
		require.Eventually(t, func() bool {
			got, err := getTLS(n.address("PORT"), insecure("a.test"), "a.test", "/")
			return err == nil && got.status == status && got.server() == name
		}, 10*time.Second, 20*time.Millisecond, r.Output)
	}
	serves("a.test", 200)
	answering := func(status int) string {
		return strings.Replace(rules, "status: 200", fmt.Sprintf("status: %d", status), 1)
	}
	for _, c := range []struct {
		text, say string
		status    int
	}{
		{answering(203), "spec.servers[0].tls.credentialName: there is no Secret istio-system/c", 203},
		{answering(202) + certs.Secret("c", certs.Issued{Cert: good.Cert, Key: other.Key}, ""), "cannot be used together: private key does not match public key", 202},
		{strings.Replace(rules, "port: {number: "+fmt.Sprint(n["PORT"]), "port: {number: "+takenPort, 1) + certs.Secret("c", good, ""), "cannot listen on 127.0.0.1:" + takenPort + ": bind: address already in use", 202},
	} {
		resources.RenameInto(t, file, c.text)
		r.WaitFor(t, c.say)
		serves("a.test", c.status)
	}
	require.Eventually(t, func() bool {
		return strings.Count(r.Output(), "the changed files are not used; the rules before go on being served") == 1
	}, 10*time.Second, 20*time.Millisecond)
	resources.RenameInto(t, file, rules+certs.Secret("c", own.Issue(t, "c.test"), ""))
	serves("c.test", 200)
	assert.Equal(t, 2, strings.Count(r.Output(), "goes on with the TLS settings and the certificate that it had"))
	assert.Equal(t, 1, strings.Count(r.Output(), "listening on "))
	for _, c := range []certs.Issued{good, other} {
		assert.NotContains(t, r.Output(), strings.Split(c.Key, "\n")[1][:24])
	}
}
