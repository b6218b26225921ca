package envoy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/folders"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
)

// TestFolders serves the folders of e2e/testdata/folders with the newest Envoy, and sends the requests of their want.txt.
func TestFolders(t *testing.T) {
	all, err := envoytest.All()
	require.NoError(t, err)
	newest := all[len(all)-1]
	answers := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(answers.Close)
	for _, f := range folders.All(t) {
		for _, c := range f.Commands {
			args := f.Args(c, answers.Listener.Addr().String())
			if args[0] != "run" {
				continue
			}
			t.Run(f.Name, func(t *testing.T) {
				require.Equal(t, "-f", args[1])
				minor := strings.Join(strings.Split(newest.Version, ".")[:2], ".")
				more := append([]string{"--engine", "envoy", "--envoy", newest.Path, "--envoy-version", minor}, args[3:]...)
				r := program.Serve(t, filepath.Join(repository.Root, args[2]), more...)
				r.WaitFor(t, "listening on")
				require.NotEmpty(t, c.Want)
				for _, line := range c.Want {
					fields := strings.Fields(line)
					require.Len(t, fields, 3, line)
					host, path, _ := strings.Cut(fields[1], "/")
					status, err := r.Get(host, "/"+path)
					require.NoError(t, err)
					assert.Equal(t, fields[2], fmt.Sprint(status), "%s: %s", line, r.Output())
				}
			})
		}
	}
}
