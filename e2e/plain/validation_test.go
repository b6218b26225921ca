package plain

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

// validationVectors is a folder of files, most of them broken in one place, and verdicts.json, which says what Istio's
// validation answers. It is the packed one, or validation below the folder that WAYMARK_CASES names.
func validationVectors(t testing.TB) fs.FS {
	if dir := filepath.Join(os.Getenv("WAYMARK_CASES"), "validation"); os.Getenv("WAYMARK_CASES") != "" {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return os.DirFS(dir)
		}
	}
	sub, err := fs.Sub(vectors.Unpack(t, "validation.tar.gz"), "validation")
	require.NoError(t, err)
	return sub
}

// TestValidationVectors holds our verdict on every resource against that of Istio's own validation.
func TestValidationVectors(t *testing.T) {
	files := validationVectors(t)
	var cases []struct {
		File      string
		Origin    string
		Resources []struct {
			Resource string
			Verdict  gateway.Verdict
			Errors   []string
			Warnings []string
		}
	}
	vectors.ReadJSON(t, files, "verdicts.json", &cases)
	require.NotEmpty(t, cases)
	seen := map[gateway.Verdict]int{}
	for _, c := range cases {
		text, err := fs.ReadFile(files, c.File)
		require.NoError(t, err)
		report := gateway.Check([]string{"-"}, resource.Options{Stdin: bytes.NewReader(text)}, version.All)
		assert.Empty(t, report.Other, c.File)
		require.Len(t, report.Resources, len(c.Resources), "%s: every resource has an entry", c.File)
		for i, want := range c.Resources {
			got := report.Resources[i]
			assert.Equal(t, want.Resource, got.Kind+"/"+got.Namespace+"/"+got.Name)
			assert.Equal(t, want.Verdict, got.Verdict(), "%s (%s): Istio says %q %q, we say %v", c.File, c.Origin, want.Errors, want.Warnings, got.Findings)
			seen[got.Verdict()]++
		}
	}
	if os.Getenv("WAYMARK_CASES") == "" {
		assert.Equal(t, map[gateway.Verdict]int{gateway.VerdictOK: 19, gateway.VerdictWarning: 4, gateway.VerdictError: 77}, seen, "all that are packed")
	}
}
