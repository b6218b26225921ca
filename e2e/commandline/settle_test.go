package commandline

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
)

// denySecret, which comes later in the same file, forbids one path of one host.
const denySecret = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: deny}
spec: {hosts: [a.test], gateways: [gw], http: [{match: [{uri: {prefix: /secret}}], directResponse: {status: 403}}, {directResponse: {status: 200}}]}
`

// writeSlowly writes a file in place, with a pause between its parts that is shorter than --settle.
func writeSlowly(t *testing.T, file string, parts ...string) {
	f, err := os.Create(file)
	require.NoError(t, err)
	for i, part := range parts {
		if i > 0 {
			time.Sleep(700 * time.Millisecond)
		}
		_, err := f.WriteString(part)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
}

// denied asks for the forbidden path until stop is called, which returns how often, and fails for each answer but 403.
func denied(t *testing.T, r *program.Running) (stop func() int) {
	end, done, sent := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
			status, err := r.Get("a.test", "/secret")
			sent++
			if err != nil || status != http.StatusForbidden {
				t.Errorf("/secret: %d %v", status, err)
				return
			}
		}
	}()
	return func() int {
		close(end)
		<-done
		return sent
	}
}

// A file that is written in place, slowly, is not served before it is complete: neither while the rules before are
// served, nor at the start.
func TestHalfWrittenFiles(t *testing.T) {
	t.Run("a change", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(resources.AllowAll+denySecret), 0o600))
		r := program.Serve(t, file)
		r.WaitFor(t, "listening on")
		stop := denied(t, r)
		more := strings.ReplaceAll(denySecret, "{hosts: [a.test]", "{hosts: [b.test]")
		writeSlowly(t, file, resources.AllowAll, "# the rest comes later\n", denySecret, strings.ReplaceAll(more, "name: deny", "name: more"))
		r.WaitFor(t, "the changed files are served now")
		assert.Positive(t, stop())
		assert.Equal(t, 1, strings.Count(r.Output(), "the changed files are served now"), "only the whole file is served")
		assert.NotContains(t, r.Output(), "are not used")
		status, err := r.Get("b.test", "/secret")
		require.NoError(t, err)
		assert.Equal(t, http.StatusForbidden, status)
	})
	t.Run("the start", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(resources.AllowAll), 0o600))
		written := make(chan struct{})
		go func() {
			defer close(written)
			writeSlowly(t, file, resources.AllowAll, "#\n", "#\n", denySecret)
		}()
		r := program.Serve(t, file)
		r.WaitFor(t, "listening on")
		select {
		case <-written:
		default:
			t.Error("it listens before the file is complete")
		}
		stop := denied(t, r)
		time.Sleep(100 * time.Millisecond)
		assert.Positive(t, stop())
		<-written
	})
	t.Run("files that were there are read at once", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(resources.AllowAll), 0o600))
		time.Sleep(6 * time.Second)
		begun := time.Now()
		program.Serve(t, file, "--settle", "6s").WaitFor(t, "listening on")
		assert.Less(t, time.Since(begun), 6*time.Second)
	})
}

func TestTimesThatAreNone(t *testing.T) {
	for _, flag := range []string{"--settle", "--drain-timeout"} {
		_, stderr, status := program.Run(t, "", "run", "-f", "examples/bookinfo", flag, "-1s")
		assert.Equal(t, 64, status)
		assert.Contains(t, stderr, flag+" -1s is less than 0")
	}
}

// A file of the same size and time is another one by its inode or by what it holds.
func TestChangesThatSizeAndTimeDoNotShow(t *testing.T) {
	for what, replace := range map[string]func(t *testing.T, file string, text []byte){
		"renamed": func(t *testing.T, file string, text []byte) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file+".new", text, 0o600))
			require.NoError(t, os.Chtimes(file+".new", info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(file+".new", file))
		},
		"written in place": func(t *testing.T, file string, text []byte) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, text, 0o600))
			require.NoError(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		},
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rules.yaml")
			text := []byte(resources.AllowAll + denySecret)
			require.NoError(t, os.WriteFile(file, text, 0o600))
			r := program.Serve(t, file)
			r.WaitFor(t, "listening on")
			replace(t, file, bytes.ReplaceAll(text, []byte("status: 403"), []byte("status: 418")))
			r.WaitFor(t, "the changed files are served now")
			status, err := r.Get("a.test", "/secret")
			require.NoError(t, err)
			assert.Equal(t, http.StatusTeapot, status)
		})
	}
}
