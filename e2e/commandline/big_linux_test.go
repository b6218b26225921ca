package commandline

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
)

// writeBig writes a file of many documents, about 1 kB each: a Gateway, and a VirtualService for each host.
func writeBig(t *testing.T, file string, documents int) {
	f, err := os.Create(file)
	require.NoError(t, err)
	w := bufio.NewWriter(f)
	fmt.Fprint(w, "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n")
	for i := range documents {
		fmt.Fprintf(w, `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: v%d
  namespace: default
  annotations:
    note: %s
spec:
  hosts: [h%d.example.com]
  gateways: [gw]
  http:
  - match:
    - uri: {prefix: /a}
      headers: {x-user: {exact: u%d}}
    route:
    - destination: {host: s%d.svc.test}
`, i, strings.Repeat("x", 700), i, i, i)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
}

// TestBigFile bounds the memory of 'waymark check' by the size of its input: what is read document by document is not to be
// kept in several forms. Measured are 42 times the input, 22 before rules were searched for requests, and 48 while others use
// the same processors, since garbage is collected later then; half as much again as the first is allowed. WAYMARK_BIG_DOCUMENTS=100000 makes it
// a file of 100 MB.
func TestBigFile(t *testing.T) {
	documents := 20_000
	if text := os.Getenv("WAYMARK_BIG_DOCUMENTS"); text != "" {
		var err error
		documents, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	const most = 62 // times the input
	file := filepath.Join(t.TempDir(), "big.yaml")
	writeBig(t, file, documents)
	info, err := os.Stat(file)
	require.NoError(t, err)
	path, err := program.Path()
	require.NoError(t, err)
	c := exec.Command(path, "check", "-f", file)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	begun := time.Now()
	require.NoError(t, c.Run(), stderr.String())
	assert.Contains(t, stderr.String(), fmt.Sprintf("all is well: nothing was found in %d resources\n", documents+1))
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(t, ok)
	peak := usage.Maxrss << 10
	t.Logf("%d documents, %d MB: %.1f s, %d MB of memory, %.1f times the input", documents, info.Size()>>20, time.Since(begun).Seconds(), peak>>20, float64(peak)/float64(info.Size()))
	assert.LessOrEqual(t, peak, most*info.Size())
}
