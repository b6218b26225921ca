package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/markdown"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/filter/embedded"
)

// The documents are tested. Of their fenced blocks, those marked sh hold commands, one a line, that must succeed; those
// marked console hold commands after "$ ", each followed by what it prints, where a line "..." stands for any number of
// lines. They run in a folder that looks like the root of the repository, from the first to the last of a document;
// 'waymark run', 'waymark serve' and 'envoy' go on in the background until its end.

// elsewhere are commands that documents name and that run in another place of this test or of the CI.
var elsewhere = map[string]string{
	"make test":        "this is a part of it",
	"make lint":        "run by .ci/run",
	"make bench":       "TestBench runs a short one",
	"make bench-envoy": "TestBench runs a short one",
	"make bench-docs":  "TestBench runs a short one",
	"make plots":       "make lint looks whether it would change something",
	"make image":       "TestDockerImages builds them",
	"build/compose.sh -f examples/docker-compose/docker-compose.yaml up":                                   "TestDockerImages brings it up",
	"prometheus --config.file examples/observability/prometheus.yml --storage.tsdb.path .cache/prometheus": "TestPrometheus starts one on this file",
}

// documents are the files in Markdown, by path from the root.
func documents(t testing.TB) []string {
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(repository.Root, pattern))
		require.NoError(t, err)
		out = append(out, files...)
	}
	require.Contains(t, out, filepath.Join(repository.Root, "README.md"))
	return out
}

func TestDocuments(t *testing.T) {
	_, err := program.Path()
	require.NoError(t, err)
	commands := 0
	for _, file := range documents(t) {
		t.Run(filepath.ToSlash(strings.TrimPrefix(file, repository.Root+"/")), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			links(t, file, string(text))
			s := &session{dir: likeRoot(t)}
			for _, b := range markdown.Blocks(string(text)) {
				switch b.Kind {
				case "sh":
					for _, line := range b.Lines {
						if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
							commands++
							s.run(t, line)
						}
					}
				case "console":
					commands += s.console(t, b)
				}
			}
		})
	}
	assert.Greater(t, commands, 5)
}

// links checks that what a document links to is there, headings of this repository's documents included.
func links(t *testing.T, file, text string) {
	for _, m := range regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
		target, fragment := m[1], strings.TrimPrefix(m[2], "#")
		if strings.Contains(target, "://") {
			continue
		}
		path := file
		if target != "" {
			path = filepath.Join(filepath.Dir(file), target)
		}
		_, err := os.Stat(path)
		require.NoError(t, err, "%s links to %s", file, target)
		if fragment == "" {
			continue
		}
		linked, err := os.ReadFile(path)
		require.NoError(t, err)
		var headings []string
		for line := range strings.Lines(string(linked)) {
			if strings.HasPrefix(line, "#") {
				headings = append(headings, anchor(strings.TrimLeft(strings.TrimSpace(line), "# ")))
			}
		}
		assert.Contains(t, headings, fragment, "%s links to a heading of %s", file, path)
	}
}

// anchor is the fragment that forges give a heading.
func anchor(heading string) string {
	heading = strings.ReplaceAll(strings.ToLower(heading), " ", "-")
	return regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(heading, "")
}

// likeRoot is a folder with everything that the root has, in which files can be written.
func likeRoot(t *testing.T) string {
	dir := t.TempDir()
	from, err := filepath.Abs(repository.Root)
	require.NoError(t, err)
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())))
	}
	return dir
}

// session runs the commands of one document.
type session struct{ dir string }

// run runs one command, which must succeed, and returns what it prints on both streams.
func (s *session) run(t *testing.T, line string) string {
	if elsewhere[line] != "" {
		return ""
	}
	switch {
	case strings.HasPrefix(line, "bin/waymark run "):
		s.background(t, line, "listening on ")
		return ""
	case strings.HasPrefix(line, "bin/waymark serve "):
		s.background(t, line, "Envoys connect to")
		return ""
	case strings.HasPrefix(line, "envoy "):
		s.background(t, line+" --disable-hot-restart", "starting workers") // two Envoys of a machine would share memory
		return ""
	case strings.HasPrefix(line, "curl "):
		return curl(t, line)
	}
	c := exec.Command("sh", "-c", line)
	c.Dir = s.dir
	if strings.HasPrefix(line, "make ") {
		c.Dir = repository.Root // Go does not follow links to folders
	}
	text, err := c.CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, text)
	return string(text)
}

// background starts a program, waits until it says that it serves, and ends it with the document.
func (s *session) background(t *testing.T, line, serves string) {
	c := exec.Command("sh", "-c", "exec "+line)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "PATH="+filepath.Dir(defaultEnvoy(t).Path)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	r := &program.Running{Cmd: c}
	c.Stdout, c.Stderr = r, r
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(syscall.SIGINT))
		require.NoError(t, c.Wait(), r.Output())
	})
	require.Eventually(t, func() bool { return strings.Contains(r.Output(), serves) }, 30*time.Second, 50*time.Millisecond, "%s", line)
}

// curl sends what a line of that program would, so that the documents can be tested where it is missing.
func curl(t *testing.T, line string) string {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://unset/", nil)
	require.NoError(t, err)
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)[1:]
	for i := 0; i < len(words); i++ {
		switch word := strings.Trim(words[i], "'"); {
		case word == "-s":
		case word == "-H":
			i++
			name, value, ok := strings.Cut(strings.Trim(words[i], "'"), ": ")
			require.True(t, ok, line)
			if q.Header.Set(name, value); name == "Host" {
				q.Host = value
			}
		case strings.HasPrefix(word, "http://"):
			q.URL, err = q.URL.Parse(word)
			require.NoError(t, err)
		default:
			require.Fail(t, "a flag of curl that this test does not know", "%s in %s", word, line)
		}
	}
	response, err := program.HTTPClient.Do(q)
	require.NoError(t, err, line)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Less(t, response.StatusCode, 400, line)
	return string(body)
}

// console runs the commands of a block and compares what they print. The status of a command does not count: the
// document shows what it says.
func (s *session) console(t *testing.T, b markdown.Block) (commands int) {
	for i := 0; i < len(b.Lines); {
		line, ok := strings.CutPrefix(b.Lines[i], "$ ")
		require.True(t, ok, "line %d: want a command", b.Line+i+1)
		end := i + 1
		for end < len(b.Lines) && !strings.HasPrefix(b.Lines[end], "$ ") {
			end++
		}
		c := exec.Command("sh", "-c", line)
		c.Dir = s.dir
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		_ = c.Run() // what it prints is compared
		got := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		assert.True(t, prints(b.Lines[i+1:end], got), "line %d: %s prints\n%s\nand not\n%s", b.Line+i+1, line, out.String(), strings.Join(b.Lines[i+1:end], "\n"))
		commands++
		i = end
	}
	return commands
}

// prints says whether got is what want shows, "..." standing for any lines.
func prints(want, got []string) bool {
	if len(want) == 0 {
		return len(got) == 0 || len(got) == 1 && got[0] == ""
	}
	if want[0] == "..." {
		for i := range len(got) + 1 {
			if prints(want[1:], got[i:]) {
				return true
			}
		}
		return false
	}
	return len(got) > 0 && strings.TrimRight(got[0], " ") == strings.TrimRight(want[0], " ") && prints(want[1:], got[1:])
}

func TestWhatADocumentShows(t *testing.T) {
	assert.True(t, prints([]string{"a", "...", "c"}, []string{"a", "b", "b", "c"}))
	assert.True(t, prints([]string{"a", "..."}, []string{"a"}))
	assert.False(t, prints([]string{"a"}, []string{"a", "b"}))
	assert.False(t, prints([]string{"a", "...", "c"}, []string{"a", "b"}))
	assert.Equal(t, "why-is-poll_oneoff-so", anchor("Why is `poll_oneoff` so?"))
}

// TestHelpExamples runs those examples in the help of commands that start an Envoy. All others run with the command line's
// own tests.
func TestHelpExamples(t *testing.T) {
	t.Setenv("ENVOY_BIN", defaultEnvoy(t).Path)
	examples := 0
	for _, command := range []string{"run", "demo"} {
		stdout, _, status := program.Run(t, "", command, "--help")
		require.Zero(t, status)
		for line := range strings.Lines(stdout) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "waymark ") && strings.Contains(line, "--engine envoy") {
				examples++
				(&session{dir: likeRoot(t)}).run(t, "bin/"+line)
			}
		}
	}
	assert.Equal(t, 2, examples)
}

// TestDemo plays the demonstration on both engines, beside a 'run' that has the ports of the services, and with an admin port
// in use: every request with its rule and status, and the split's bars, on a terminal of 80 columns without UTF-8.
func TestDemo(t *testing.T) {
	program.ServeBookinfo(t, "wasm")
	if admin, err := net.Listen("tcp", "127.0.0.1:9901"); err == nil { // else another program has it
		defer func() { _ = admin.Close() }()
	}
	for _, engine := range []string{"wasm", "envoy"} {
		t.Run(engine, func(t *testing.T) {
			t.Setenv("LC_ALL", "C")
			stdout, stderr, status := program.Run(t, "", "demo", "--engine", engine, "--envoy", defaultEnvoy(t).Path)
			require.Zero(t, status, stderr)
			for _, pattern := range []string{
				`the page +default/bookinfo\.http\[3\]\.match\[0\]:page\n +200 +\d+ms +bookinfo\.example\.com/productpage -> productpage\n`,
				`a moved page +default/bookinfo\.http\[0\]\.match\[0\]:old-page\n +308 .* -> \(direct response\)\n`,
				`no rule +-\n +404 .* -> \(route not found\)\n`,
				`reviews for jason +default/reviews\.http\[0\]\.match\[0\]:jason\n +200 .* -> reviews v2\n`,
				`ratings, delayed for jason .*\n +200 +(9[89]\d|\d{4,})ms .* -> ratings v1\n`,
				`ratings, aborted for tester .*\n +503 .* -> \(fault filter abort\)\n`,
				`a retry .*\n +200 .* -> ratings v1\n`,
				`a timeout .*\n +504 +(4[89]\d|[5-9]\d\d|\d{4,})ms .* -> \(response timeout\)\n`,
				`(?s)1000 requests .*weights 60:30:10:\n  reviews v1 +(5[4-9]|6[0-5])\.\d %  #+\n  reviews v2 .*  reviews v3 `,
				`What to try next:`,
			} {
				assert.Regexp(t, pattern, stdout)
			}
			for line := range strings.Lines(stdout) {
				if !strings.Contains(line, "waymark ") { // a command, with the path of the program
					assert.LessOrEqual(t, len(line)-1, 80, line)
				}
			}
			assert.Regexp(t, `^[ -~\n]*$`, stdout, "ASCII alone")
		})
	}
}

// TestBench is a short 'make bench': it compares what it says, and fails where a decision allocates or the naive filter
// decides otherwise.
func TestBench(t *testing.T) {
	path, _ := program.ReadModule(t)
	binary, err := program.Path()
	require.NoError(t, err)
	modules := t.TempDir()
	results := filepath.Join(modules, "performance.json")
	require.NoError(t, os.WriteFile(filepath.Join(modules, "small.wasm"), embedded.Small(), 0o600))
	for _, args := range [][]string{
		{"run", "waymark.dev/waymark/build/module", "-package", "./bench/floor", "-o", filepath.Join(modules, "floor.wasm")},
		{"run", "waymark.dev/waymark/build/module", "-package", "./bench/naive", "-o", filepath.Join(modules, "naive.wasm")},
		{"run", "./bench", "-rules", "10,50", "-rounds", "1", "-round", "100ms", "-module", path, "-modules", modules, "-tables", "library,requests,starts,translation", "-o", results, binary},
	} {
		c := exec.Command("go", args...)
		c.Dir = filepath.Join(repository.Root, "e2e")
		text, err := c.CombinedOutput()
		require.NoError(t, err, "%s", text)
		if slices.Contains(args, "./bench") {
			assert.Regexp(t, `shape +rules +first +last +all +none +callback +least +Waymark +naive `, string(text))
			assert.Regexp(t, `(?m)^ +mixed +10( +\d+){8} +\d+\.\d +\d+\.\d +\d+ +\d+ +\d+\.\d +\d+\.\d *$`, string(text))
			assert.Contains(t, string(text), "nothing allocates")
			assert.Regexp(t, `(?m)^ +regex of classes +\d+ +\d+ +\d+\.\d\d +\d+ +\d+ *$`, string(text))
			assert.Regexp(t, `mixed: rules +none +least +stateless +filter +small +list +tree +auto +Lua +naive +filter/least `, string(text))
			assert.Regexp(t, `(?m)^ +50 +\d+\.\d +-?\d+\.\d \(`, string(text))
			assert.Regexp(t, `(?m)^ +50 +filter( +\d+){3}( +\d+\.\d){2} *$`, string(text))
		}
	}
	text, err := os.ReadFile(results)
	require.NoError(t, err)
	var tables map[string]struct{ Rows []struct{ Rules int } }
	require.NoError(t, json.Unmarshal(text, &tables))
	for name, lines := range map[string]int{"requests": 1, "starts": 1, "translations": 5} {
		rules := map[int]int{}
		for _, row := range tables[name].Rows {
			rules[row.Rules]++
		}
		assert.Equal(t, map[int]int{10: lines, 50: lines}, rules, name)
	}
}
