package plain

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
)

// TestRulesAreDocumented wants a line in docs/rules.md for every number that is cited anywhere, and a section in
// docs/findings.md for every one of validation (VAL-…); nothing has two of them.
func TestRulesAreDocumented(t *testing.T) {
	rules := numbersIn(t, "docs/rules.md", regexp.MustCompile(`(?m)^- \*\*([A-Z0-9-]+)\*\* \S`))
	findings := numbersIn(t, "docs/findings.md", regexp.MustCompile(`(?m)^### (VAL-[A-Z]+-\d\d)$`))
	c := exec.Command("git", "ls-files", "*.go", "*.md", "Makefile", ".ci")
	c.Dir = repository.Root
	out, err := c.Output()
	require.NoError(t, err)
	number := regexp.MustCompile(`\b(VAL-[A-Z]+|(VS|GW|DR)-[A-Z0-9]+|SE|TLS|TCP)-\d\d\b`)
	citedRules, citedFindings := 0, 0
	for _, file := range strings.Fields(string(out)) {
		source, err := os.ReadFile(filepath.Join(repository.Root, file))
		require.NoError(t, err)
		for _, n := range number.FindAllString(string(source), -1) {
			if strings.HasPrefix(n, "VAL-") {
				citedFindings++
				assert.True(t, findings[n], "%s cites %s, which docs/findings.md does not have", file, n)
			} else {
				citedRules++
				assert.True(t, rules[n], "%s cites %s, which docs/rules.md does not have", file, n)
			}
		}
	}
	assert.Greater(t, citedRules, 500)
	assert.Greater(t, citedFindings, 100)
}

// numbersIn gives the numbers that a document explains, each of them once.
func numbersIn(t *testing.T, document string, line *regexp.Regexp) map[string]bool {
	text, err := os.ReadFile(filepath.Join(repository.Root, document))
	require.NoError(t, err)
	numbers := map[string]bool{}
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		assert.False(t, numbers[m[1]], "%s explains %s twice", document, m[1])
		numbers[m[1]] = true
	}
	return numbers
}
