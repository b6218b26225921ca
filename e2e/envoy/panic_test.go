package envoy

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
)

// planted is Go code that fails in the way that the header x-plant names, where the filter reads headers.
const planted = `
func plant(how string) {
	var list []int
	var none *Plugin
	var counts map[string]int
	var any any = how
	switch how {
	case "panic":
		panic("planted")
	case "index":
		list[len(how)]++
	case "nil":
		none.level++
	case "map":
		counts[how]++
	case "divide":
		list = append(list, len(how)/len(list))
	case "assertion":
		list = any.([]int)
	case "recursion":
		plant(how + string(rune(len(list))))
		plant(how)
	default:
		if len(how) > len("recursion") {
			plant(how + "x")
			plant(how)
		}
	}
}
`

// plantedModule is the filter's module with the planted code, everything else being as it is. flags are those of
// build/module.
func plantedModule(t testing.TB, flags ...string) string {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "filter", "hostcalls", "routing", "build"} {
		text, err := exec.Command("cp", "-r", filepath.Join(repository.Root, name), dir).CombinedOutput()
		require.NoError(t, err, "%s", text)
	}
	file := filepath.Join(dir, "filter", "plugin.go")
	source := string(mustRead(t, file))
	const reads = "\t\tname, value, ok := pairs.Next()\n\t\tif !ok {\n\t\t\treturn sent\n\t\t}\n"
	require.Equal(t, 1, strings.Count(source, reads), "where the filter reads headers")
	changed := strings.Replace(source, reads, reads+"\t\tif name == \"x-plant\" {\n\t\t\tplant(value)\n\t\t}\n", 1) + planted
	require.NoError(t, os.WriteFile(file, []byte(changed), 0o600))
	out := filepath.Join(dir, "planted.wasm")
	build := exec.Command("go", append([]string{"run", "./build/module", "-o", out}, flags...)...)
	build.Dir = dir
	text, err := build.CombinedOutput()
	require.NoError(t, err, "%s", text)
	return out
}

// plantedStatus is the status of the answer to a request in which something goes wrong; "" is nothing.
func plantedStatus(t *testing.T, c *client, path, how string) int {
	headers := map[string]string{}
	if how != "" {
		headers["x-plant"] = how
	}
	got, err := c.retry(request(path, headers))
	require.NoError(t, err)
	return got.status
}

// TestAPanicCostsOneRequest plants what can go wrong in the request path. The request gets no route, and the next one is
// answered right, by the same VM. What no program survives ends the VM: 503, and a new one takes over.
func TestAPanicCostsOneRequest(t *testing.T) {
	module := plantedModule(t)
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			r := rulesTestbed(t, faultRules)
			p := startEnvoy(t, b, r, module)
			c := r.client()
			status := func(path, how string) int { return plantedStatus(t, c, path, how) }
			require.Equal(t, http.StatusOK, status("/plain", ""))
			for _, how := range []string{"panic", "index", "nil", "map", "divide", "assertion"} {
				for range 20 {
					assert.Equal(t, http.StatusNotFound, status("/plain", how), how)
					assert.Equal(t, http.StatusOK, status("/plain", ""), "after %s", how)
					assert.Equal(t, http.StatusTeapot, status("/abort", ""), "after %s", how)
				}
			}
			assert.Contains(t, p.Log(), "waymark: panic: ", "its end holds the last of them")
			reloads := func() string {
				text, err := p.Admin(context.Background(), "/stats?filter=vm_reload_success")
				require.NoError(t, err)
				return text
			}
			assert.NotRegexp(t, `: [1-9]`, reloads(), "no VM has died so far")

			assert.Equal(t, http.StatusServiceUnavailable, status("/plain", "recursion"))
			assert.Eventually(t, func() bool { return status("/plain", "") == http.StatusOK }, 10*time.Second, 50*time.Millisecond)
			assert.Equal(t, http.StatusTeapot, status("/abort", ""))
			assert.Regexp(t, `: [1-9]`, reloads())
		})
	}
}
