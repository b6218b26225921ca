package commandline

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const between = "----\n"

// TestCheckPrints holds what 'waymark check' prints against golden files: the resources, ----, the text with notices and the
// exit status, ----, the JSON.
func TestCheckPrints(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			require.NoError(t, err)
			input, _, ok := strings.Cut(string(golden), between)
			require.True(t, ok)
			text, stderr, status := program.Run(t, input, "check", "-f", "-")
			document, notices, same := program.Run(t, input, "check", "-f", "-", "-o", "json")
			stderr, well := strings.CutPrefix(stderr, notices)
			assert.True(t, well, "the same notices with JSON")
			assert.Equal(t, status == 0, strings.HasPrefix(stderr, "all is well: "), stderr)
			assert.True(t, status == 0 || stderr == "", stderr)
			assert.Equal(t, status, same, "the form makes no difference")
			got := input + between + notices + text + fmt.Sprintf("exit status %d\n", status) + between + document
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			assert.Equal(t, string(golden), got)
		})
	}
}

func TestCheckExitStatus(t *testing.T) {
	dir := t.TempDir()
	golden := func(name string) string {
		text, err := os.ReadFile(filepath.Join("testdata", "check", name+".txt"))
		require.NoError(t, err)
		input, _, _ := strings.Cut(string(text), between)
		file := filepath.Join(dir, name+".yaml")
		require.NoError(t, os.WriteFile(file, []byte(input), 0o600))
		return file
	}
	foreign := filepath.Join(dir, "foreign.yaml")
	require.NoError(t, os.WriteFile(foreign, []byte("apiVersion: networking.istio.io/v1\nkind: ProxyConfig\nmetadata: {name: s}\n"), 0o600))
	broken := filepath.Join(dir, "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("a: ["), 0o600))
	for what, c := range map[string]struct {
		args   []string
		status int
		say    string // on standard error
	}{
		"nothing is found":              {[]string{"-f", golden("clean")}, 0, "all is well: nothing was found in "},
		"warnings":                      {[]string{"-f", golden("warnings")}, 79, ""},
		"an error":                      {[]string{"-f", golden("timeout")}, 65, ""},
		"an error among warnings":       {[]string{"-f", golden("warnings"), "-f", golden("timeout")}, 65, ""},
		"a notice is no finding":        {[]string{"-f", golden("clean") + "," + foreign}, 0, "notice: left aside: 1 ProxyConfig"},
		"nothing that is read":          {[]string{"-f", foreign}, 65, "foreign.yaml: error: nothing here is a resource that Waymark reads"},
		"a file that is no YAML":        {[]string{"-f", broken}, 65, "broken.yaml:1:4: warning: not YAML"},
		"a file that is not there":      {[]string{"-f", filepath.Join(dir, "none.yaml")}, 65, "none.yaml: error: cannot be read"},
		"no files":                      {nil, 64, "give the resources with -f"},
		"an unknown form":               {[]string{"-f", golden("clean"), "-o", "yaml"}, 64, `-o "yaml" is not text, json, sarif or github`},
		"an argument that is no option": {[]string{golden("clean")}, 64, "is not understood"},
	} {
		t.Run(what, func(t *testing.T) {
			_, stderr, status := program.Run(t, "", append([]string{"check"}, c.args...)...)
			assert.Equal(t, c.status, status, stderr)
			assert.Contains(t, stderr, c.say)
			if c.say == "" {
				assert.Empty(t, stderr)
			}
		})
	}
}

// TestCheckSortsByPlace reads a folder, and the same again in another order.
func TestCheckSortsByPlace(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"a", "b"} {
		text, err := os.ReadFile("testdata/check/several.txt")
		require.NoError(t, err)
		input, _, _ := strings.Cut(string(text), between)
		input = strings.NewReplacer("name: a}", "name: "+name+"1}", "name: b", "name: "+name+"2", "name: c}", "name: "+name+"3}").Replace(input)
		files = append(files, filepath.Join(dir, name+".yaml"))
		require.NoError(t, os.WriteFile(files[len(files)-1], []byte(input), 0o600))
	}
	folder, _, _ := program.Run(t, "", "check", "-f", dir)
	backwards, _, _ := program.Run(t, "", "check", "-f", files[1], "-f", files[0])
	assert.Equal(t, folder, backwards)
	assert.Less(t, strings.Index(folder, files[0]), strings.Index(folder, files[1]))
}

// TestCheckHelp runs the examples that the help begins with.
func TestCheckHelp(t *testing.T) {
	help, _, status := program.Run(t, "", "check", "--help")
	assert.Zero(t, status)
	examples := 0
	long, _, ok := strings.Cut(help, "Usage:")
	require.True(t, ok)
	for line := range strings.Lines(long) {
		command, ok := strings.CutPrefix(line, "  waymark check ")
		if !ok {
			continue
		}
		examples++
		command, file, _ := strings.Cut(strings.TrimSpace(command), " < ")
		stdin := ""
		if file != "" {
			text, err := os.ReadFile(filepath.Join(repository.Root, file))
			require.NoError(t, err)
			stdin = string(text)
		}
		_, stderr, status := program.Run(t, stdin, append([]string{"check"}, strings.Fields(command)...)...)
		assert.Zero(t, status, "%s: %s", line, stderr)
	}
	assert.Equal(t, 3, examples)
}

// TestFindingsShowWhatCheckPrints: the example in docs/findings.md is a golden file's.
func TestFindingsShowWhatCheckPrints(t *testing.T) {
	golden, err := os.ReadFile("testdata/check/timeout.txt")
	require.NoError(t, err)
	docs, err := os.ReadFile(filepath.Join(repository.Root, "docs", "findings.md"))
	require.NoError(t, err)
	parts := strings.Split(string(golden), between)
	require.Len(t, parts, 3)
	text, _, _ := strings.Cut(parts[1], "exit status")
	shown := "$ waymark check -f rules.yaml\nrules.yaml" + strings.TrimPrefix(text, "-")
	assert.True(t, strings.Contains(string(docs), shown), "docs/findings.md does not have\n%s", shown)
}
