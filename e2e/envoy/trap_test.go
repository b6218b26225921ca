//go:build clang

package envoy

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/repository"
)

// TestAPanicOfTheSmallModuleEndsItsVM is TestAPanicCostsOneRequest for the small module, whose compiler cannot recover from
// a panic: each one ends the VM, as a stack overflow ends that of the standard module. Nobody gets a route until there is a
// new VM, and then everybody gets the right one. Envoy's log has the reason. That no request leads to a panic is shown
// elsewhere: TestNothingInTheRequestPathPanics, FuzzDecide.
func TestAPanicOfTheSmallModuleEndsItsVM(t *testing.T) {
	module := plantedModule(t, "-small", "-tools", filepath.Join(repository.Root, ".tools"))
	all := envoys(t)
	for _, b := range []envoytest.Binary{all[0], all[len(all)-1]} { // the oldest and the newest
		t.Run(b.Version, func(t *testing.T) {
			r := rulesTestbed(t, faultRules)
			p := startEnvoy(t, b, r, module)
			c := r.client()
			status := func(path, how string) int { return plantedStatus(t, c, path, how) }
			require.Equal(t, http.StatusOK, status("/plain", ""))
			for how, reason := range map[string]string{
				"panic": "panic: planted", "index": "panic: runtime error: index out of range", "nil": "panic: runtime error: nil pointer dereference",
				"map": "panic: runtime error: assignment to entry in nil map", "divide": "panic: runtime error: divide by zero",
				"assertion": "panic: runtime error: type assert failed", "recursion": "memory access out of bounds",
			} {
				assert.Equal(t, http.StatusServiceUnavailable, status("/plain", how), how)
				begun := time.Now()
				for status("/plain", "") == http.StatusServiceUnavailable && time.Since(begun) < 10*time.Second {
					time.Sleep(20 * time.Millisecond)
				}
				t.Logf("%s: a new VM after %v", how, time.Since(begun).Round(10*time.Millisecond))
				assert.Equal(t, http.StatusOK, status("/plain", ""), "after %s", how)
				assert.Equal(t, http.StatusTeapot, status("/abort", ""), "after %s", how)
				assert.Contains(t, p.Log(), reason, how)
			}
		})
	}
}
