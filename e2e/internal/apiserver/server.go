// Package apiserver runs a Kubernetes API server for a test: the real one, with etcd, which 'make apiserver' builds. It has no
// kubelet and no controllers: a Pod never runs, and an EndpointSlice is there if the test writes it.
package apiserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/process"
)

// Server is an API server with its data.
type Server struct {
	dir     string
	port    int
	address string
	process *exec.Cmd
	stdin   io.Closer
	out     *output
}

// adminToken is that of an administrator, who may do everything.
const adminToken = "administrator"

// binary builds the API server where it was not built before, once.
var binary = sync.OnceValues(func() (string, error) {
	text, err := exec.Command(filepath.Join(repository.Root, "build", "apiserver.sh")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, text)
	}
	return filepath.Join(repository.Root, ".cache", "apiserver", "kube-apiserver"), nil
})

// Start starts a server without objects, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	s := &Server{dir: t.TempDir(), port: int(ports[0]), address: Address(t)}
	require.NoError(t, os.WriteFile(s.file("tokens.csv"), []byte(adminToken+",admin,admin,system:masters\n"), 0o600))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	require.NoError(t, os.WriteFile(s.file("accounts.key"), text, 0o600))
	s.run(t)
	t.Cleanup(func() {
		if s.process != nil {
			s.Kill(t)
		}
	})
	return s
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// run starts the process, and waits until it is ready.
func (s *Server) run(t testing.TB) {
	t.Helper()
	program, err := binary()
	require.NoError(t, err)
	s.out = &output{}
	s.process = exec.Command(program, "-data", s.dir, "--",
		"--bind-address=127.0.0.1", "--advertise-address="+s.address, fmt.Sprintf("--secure-port=%d", s.port), "--cert-dir="+s.dir,
		"--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--token-auth-file="+s.file("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+s.file("accounts.key"), "--service-account-signing-key-file="+s.file("accounts.key"),
		"--disable-admission-plugins=ServiceAccount", "--enable-priority-and-fairness=false", "--shutdown-delay-duration=0s")
	s.process.Stdout, s.process.Stderr = s.out, s.out
	s.stdin, err = s.process.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.process.Start())
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if s.isReady() {
			return
		}
		if time.Since(begun) > time.Minute {
			s.Kill(t)
			t.Fatalf("the API server is not ready after a minute:\n%s", s.out)
		}
	}
}

// isReady reports whether the server can be used. Its own certificate is written while it starts.
func (s *Server) isReady() bool {
	client, err := kubernetes.NewForConfig(s.Admin())
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() != nil {
		return false
	}
	_, err = client.CoreV1().Namespaces().Get(ctx, "default", meta.GetOptions{}) // which the server makes itself
	return err == nil
}

// Kill ends the process at once, as if its machine had lost its power. The data stays.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, s.process.Process.Kill())
	_ = s.process.Wait() // killed
	_ = s.stdin.Close()
	s.process = nil
}

// Restart starts a server that was killed again, with the same data and at the same address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	require.Nil(t, s.process, "it is running")
	s.run(t)
}

// Admin is the configuration of a client that may do everything.
func (s *Server) Admin() *rest.Config { return s.config(adminToken) }

// config is that of a client with a token. It has no limit on requests, since tests make many.
func (s *Server) config(token string) *rest.Config {
	return &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", s.port), BearerToken: token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: s.file("apiserver.crt")}, Timeout: 30 * time.Second,
	}
}

// Account is the configuration of a client that is a ServiceAccount, which is made where it is missing. It may do what
// roles that are bound to it allow, and nothing else.
func (s *Server) Account(t testing.TB, namespace, name string) *rest.Config {
	t.Helper()
	ctx := t.Context()
	client, err := kubernetes.NewForConfig(s.Admin())
	require.NoError(t, err)
	account := &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, meta.CreateOptions{}); !errors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authentication.TokenRequest{}, meta.CreateOptions{})
	require.NoError(t, err)
	c := s.config(token.Status.Token)
	c.Timeout = 0 // watches take as long as they do
	return c
}

// Kubeconfig is a file with the configuration of an administrator, as kubectl reads it.
func (s *Server) Kubeconfig(t testing.TB) string {
	t.Helper()
	file := s.file("kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %q}}]
users: [{name: admin, user: {token: %s}}]
`, s.port, s.file("apiserver.crt"), adminToken)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// output is what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String is the end of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(0, len(text)-8<<10):]
}
