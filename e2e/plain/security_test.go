package plain

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
)

// attackRow is a line of the table of kinds of attacks: number, kind, what is done, the tests.
var attackRow = regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$`)

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)

// TestKindsOfAttacksHaveTests: each of the kinds in docs/security.md names tests that exist, or says that it is open.
func TestKindsOfAttacksHaveTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository.Root, "docs", "security.md"))
	require.NoError(t, err)
	tests := map[string]bool{}
	require.NoError(t, filepath.WalkDir(repository.Root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != repository.Root:
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
		return err
	}))
	rows := attackRow.FindAllStringSubmatch(string(text), -1)
	require.Len(t, rows, 26)
	for i, row := range rows {
		assert.Equal(t, strconv.Itoa(i+1), row[1])
		named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(row[4], -1)
		assert.True(t, len(named) > 0 || strings.HasPrefix(strings.TrimSpace(row[3]), "Open: "), "%s has neither tests nor a reason: %s", row[1], row[2])
		for _, name := range named {
			assert.True(t, tests[name[1]], "%s names %s, which does not exist", row[1], name[1])
		}
	}
}
