package plain

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
)

// fakes is a path on which there are programs of one line of shell, and the tools of scripts.
func fakes(t *testing.T, programs map[string]string) string {
	dir := t.TempDir()
	for name, line := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+line+"\n"), 0o700))
	}
	for _, tool := range []string{"sh", "dirname", "mkdir", "seq", "sleep", "cat", "tail", "touch", "grep"} {
		if path, err := exec.LookPath(tool); err == nil && programs[tool] == "" {
			require.NoError(t, os.Symlink(path, filepath.Join(dir, tool)))
		}
	}
	return dir
}

// script runs a script of the repository with a path, and returns what it prints.
func script(path string, args ...string) (string, error) {
	c := exec.Command(args[0], args[1:]...)
	c.Dir, c.Env = repository.Root, []string{"PATH=" + path}
	text, err := c.CombinedOutput()
	return string(text), err
}

// Compose is found as Docker's plug-in and as a program of its own.
func TestBothFormsOfCompose(t *testing.T) {
	plugin, program := `[ "$1" = compose ] && echo plug-in: "$@"`, `echo program: "$@"`
	for what, c := range map[string]struct {
		programs map[string]string
		want     string
		fails    bool
	}{
		"the plug-in": {map[string]string{"docker": plugin}, "plug-in: compose up -d\n", false},
		"the program": {map[string]string{"docker": "exit 1", "docker-compose": program}, "program: up -d\n", false},
		"both":        {map[string]string{"docker": plugin, "docker-compose": program}, "plug-in: compose up -d\n", false},
		"neither":     {map[string]string{"docker": "exit 1"}, "Compose is missing: there is neither 'docker compose' nor 'docker-compose'\n", true},
	} {
		t.Run(what, func(t *testing.T) {
			text, err := script(fakes(t, c.programs), "build/compose.sh", "up", "-d")
			assert.Equal(t, c.fails, err != nil, err)
			assert.Equal(t, c.want, text)
		})
	}
}

// Who starts a Docker daemon says how to stop it.
func TestADaemonThatIsStarted(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs")
	path := fakes(t, map[string]string{
		"id": "echo 0", "dockerd": "touch " + runs, "docker": `[ "$1" = info ] && [ -e ` + runs + ` ]`, "go": "exit 1",
	})
	text, err := script(path, "build/docker.sh", "image")
	require.Error(t, err, "the build of the stand-in fails here")
	assert.Contains(t, text, "'build/docker.sh stop' ends it")
}
