package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// update rewrites the golden files in the scripts.
var update = flag.Bool("update", false, "rewrite the files that scripts compare with")

// TestMain lets scripts run the program: it is this test's, under another name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"waymark": main})
}

// The command line, as a user sees it: arguments, input, both outputs and the exit status.
func TestScripts(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		Deadline:            time.Now().Add(10 * time.Minute), // what hangs is ended, and named
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("EXAMPLES", examples)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "helpexamples": helpExamples},
	})
}

// needsEnvoy are the examples that only a test with an Envoy can run: TestHelpExamples in e2e/envoy.
const needsEnvoy = "--engine envoy"

// needsServer are parts of the examples that ask a control plane, or that are one with a cluster or certificates: TestServe,
// TestWaves and TestServeOverTLS in e2e/envoy, and e2e/kubernetes.
var needsServer = []string{"waymark status", "waymark rollout", "--server", "--kubernetes", "--xds-client-ca", "--state-dir"}

// untilItSays is a line of the shell that runs a command until its log has a text, and ends it in order.
func untilItSays(text, command string) string {
	return command + ` >log 2>&1 & run=$!
		trap 'kill $run' EXIT
		for i in $(seq 1200); do grep -q '` + text + `' log && break; sleep 0.05; done
		grep '` + text + `' log || { cat log; exit 1; }
		trap - EXIT
		kill $run && wait $run`
}

// helpExamples runs the examples of the help of every command, by the shell: helpexamples. What serves must listen, on a free
// port in place of its own, and end in order; it keeps no pipe of ours, which would be waited for without end. The examples are
// in a repository of git with two revisions, if git is there, and the cluster that kubectl asks has the bookinfo example.
func helpExamples(ts *testscript.TestScript, _ bool, _ []string) {
	copyExamples(ts)
	_, err := exec.LookPath("git")
	hasGit := err == nil
	if hasGit {
		ts.Check(ts.Exec("sh", "-e", "-c", `export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a.test GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a.test
			git init -q . && git add examples && git commit -q -m one && git commit -q --allow-empty -m two`))
	}
	root := newRoot()
	examples := 0
	for _, c := range append(root.Commands(), root) {
		lines := examplesOf(c)
		if len(lines) < 3 {
			ts.Fatalf("the help of %s has %d examples", c.Name(), len(lines))
		}
		for _, line := range lines {
			if strings.Contains(line, needsEnvoy) || slices.ContainsFunc(needsServer, func(part string) bool { return strings.Contains(line, part) }) {
				continue
			}
			examples++
			if strings.Contains(line, "HEAD~1") && !hasGit {
				continue
			}
			line = strings.Replace(line, "kubectl get vs,gw,dr,se,svc -A -o yaml", "for f in examples/bookinfo/*; do echo ---; cat $f; done", 1)
			command, _, _ := strings.Cut(line, "  #")
			switch {
			case strings.HasPrefix(command, "waymark run "):
				line = untilItSays("listening on", command+" --listen 127.0.0.1:0")
			case strings.HasPrefix(command, "waymark serve "):
				line = untilItSays("given to proxies", command+" --xds-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0")
			}
			if err := ts.Exec("sh", "-e", "-c", line); err != nil {
				ts.Fatalf("%s: %v", line, err)
			}
		}
	}
	if examples < 20 {
		ts.Fatalf("only %d examples", examples)
	}
}

// copyExamples copies the examples that helps name, with free ports in place of those of their services, which another
// program of this machine may use.
func copyExamples(ts *testscript.TestScript) {
	from := ts.Getenv("EXAMPLES")
	to := ts.MkAbs("examples")
	folders, err := filepath.Glob(filepath.Join(from, "bookinfo*"))
	ts.Check(err)
	for _, folder := range folders {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			ts.Check(os.CopyFS(filepath.Join(to, filepath.Base(folder)), os.DirFS(folder)))
		}
	}
	requests, err := os.ReadFile(filepath.Join(from, "bookinfo-requests.json"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(to, "bookinfo-requests.json"), requests, 0o600))
	services := filepath.Join(to, "bookinfo", "services.yaml")
	text, err := os.ReadFile(services)
	ts.Check(err)
	text = regexp.MustCompile(`port: 190\d\d\b`).ReplaceAllFunc(text, func([]byte) []byte {
		port, err := freePort()
		ts.Check(err)
		return fmt.Appendf(nil, "port: %d", port)
	})
	ts.Check(os.WriteFile(services, text, 0o600))
}

// examplesOf are the lines of a help that call the program.
func examplesOf(c *cobra.Command) []string {
	var out []string
	for line := range strings.Lines(c.Long) {
		if example, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "  "); ok && strings.Contains(example, "waymark ") {
			out = append(out, example)
		}
	}
	return out
}

// status runs a program and compares its exit status: status NUMBER PROGRAM ARGUMENT...
func status(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) < 2 {
		ts.Fatalf("usage: status NUMBER PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("the exit status is %d, and not %d", got, want)
	}
}
