package process_test

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/process"
)

// An admin interface is asked at a port or at a Unix socket.
func TestAsk(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "admin.sock")
		}
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/none" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = fmt.Fprint(w, r.URL) // the test fails without it
		})}
		go func() { _ = s.Serve(l) }() // ends with Close
		ask := process.Ask(l.Addr().String())
		text, err := ask(t.Context(), "/stats?usedonly")
		require.NoError(t, err, network)
		assert.Equal(t, "/stats?usedonly", text)
		_, err = ask(t.Context(), "/none")
		require.ErrorContains(t, err, "admin /none: 404")
		require.NoError(t, s.Close())
		_, err = ask(t.Context(), "/")
		require.Error(t, err, network)
	}
}
