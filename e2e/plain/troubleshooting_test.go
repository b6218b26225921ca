package plain

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/markdown"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
)

// namedFile is the comment before a file of an example that has several, or whose name matters.
var namedFile = regexp.MustCompile(`^# (\S+\.(?:yaml|json))$`)

// TestTroubleshooting wants every message of docs/troubleshooting.md from the YAML above it.
func TestTroubleshooting(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository.Root, "docs", "troubleshooting.md"))
	require.NoError(t, err)
	sections := strings.Split(string(text), "\n### ")
	require.Greater(t, len(sections), 20)
	for _, section := range sections[1:] {
		title, _, _ := strings.Cut(section, "\n")
		blocks := markdown.Blocks(section)
		if len(blocks) == 0 {
			continue // it takes a change, which other tests make
		}
		t.Run(title, func(t *testing.T) {
			require.Len(t, blocks, 2)
			require.Equal(t, []string{"yaml", "text"}, []string{blocks[0].Kind, blocks[1].Kind})
			args, messages := []string{"translate", "-o", "plan", "-f", "-"}, blocks[1].Lines
			if command, ok := strings.CutPrefix(messages[0], "$ waymark "); ok {
				args, messages = strings.Fields(command), messages[1:]
			}
			require.NotEmpty(t, messages)
			dir := t.TempDir()
			stdin := writeNamed(t, dir, blocks[0].Lines)
			for i, arg := range args {
				if i > 0 && args[i-1] == "-f" && arg != "-" && !strings.Contains(arg, ":") {
					args[i] = filepath.Join(dir, arg)
				}
			}
			_, stderr, _ := program.Run(t, stdin, args...)
			printed := strings.ReplaceAll(stderr, dir+"/", "")
			for _, message := range messages {
				assert.Contains(t, printed, message)
			}
		})
	}
}

// writeNamed writes the files of an example, and returns what belongs to none.
func writeNamed(t *testing.T, dir string, lines []string) (rest string) {
	files := map[string]string{}
	file := ""
	for _, line := range lines {
		if m := namedFile.FindStringSubmatch(line); m != nil {
			file = m[1]
			files[file] = ""
			continue
		}
		files[file] += line + "\n"
	}
	for name, text := range files {
		if name == "" {
			continue
		}
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return files[""]
}
