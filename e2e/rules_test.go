package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRulesAreDocumented wants a line in docs/rules.md for every number that is cited anywhere.
func TestRulesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "rules.md"))
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^- \*\*([A-Z0-9-]+)\*\* \S`).FindAllStringSubmatch(string(text), -1) {
		assert.False(t, documented[m[1]], "%s has two lines", m[1])
		documented[m[1]] = true
	}
	c := exec.Command("git", "ls-files", "*.go", "*.md", "Makefile", ".ci/run")
	c.Dir = root
	out, err := c.Output()
	require.NoError(t, err)
	number := regexp.MustCompile(`\b((VS|GW|DR)-[A-Z0-9]+|SE|TLS|TCP)-\d\d\b`)
	cited := 0
	for _, file := range strings.Fields(string(out)) {
		source, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		for _, n := range number.FindAllString(string(source), -1) {
			cited++
			assert.True(t, documented[n], "%s cites %s, which docs/rules.md does not have", file, n)
		}
	}
	assert.Greater(t, cited, 500)
}
