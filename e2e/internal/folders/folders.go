// Package folders reads e2e/testdata/folders: folders in the shapes that people have, each with the commands that are
// run on it and what must come out. A file want.txt is a list of commands, such as
//
//	$ waymark check -f FOLDER
//	exit 79
//	warning: ...
//
//	$ waymark run -f FOLDER --endpoint shop.default.svc.cluster.local=ECHO
//	request shop.example.com/cart 200
//
// FOLDER is the folder, and ECHO the address of a server that answers 200. Under a command stand its exit status and its
// findings, sorted and without excerpts; under 'run' stand requests and the status of their answers.
package folders

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
)

// root is the folder of the folders, from the root of the repository.
const root = "e2e/testdata/folders"

// Folder is one of them.
type Folder struct {
	Name     string
	Commands []Command
}

// Command is one command of a want.txt, and the lines below it.
type Command struct {
	Line string
	Want []string
}

// All are the folders by name.
func All(t *testing.T) (out []Folder) {
	entries, err := os.ReadDir(filepath.Join(repository.Root, root))
	require.NoError(t, err)
	for _, e := range entries {
		f := Folder{Name: e.Name()}
		text, err := os.ReadFile(f.want())
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ waymark "); ok {
				f.Commands = append(f.Commands, Command{Line: command})
			} else if line != "" {
				last := &f.Commands[len(f.Commands)-1]
				last.Want = append(last.Want, line)
			}
		}
		require.NotEmpty(t, f.Commands, f.Name)
		out = append(out, f)
	}
	require.NotEmpty(t, out)
	return out
}

func (f Folder) want() string { return filepath.Join(repository.Root, root, f.Name, "want.txt") }

// Path is the folder, from the root of the repository.
func (f Folder) Path() string { return root + "/" + f.Name }

// Write writes want.txt again.
func (f Folder) Write(t *testing.T) {
	var out []string
	for _, c := range f.Commands {
		out = append(out, strings.Join(append([]string{"$ waymark " + c.Line}, c.Want...), "\n")+"\n")
	}
	require.NoError(t, os.WriteFile(f.want(), []byte(strings.Join(out, "\n")), 0o644))
}

// Args are the arguments of a command.
func (f Folder) Args(c Command, echo string) []string {
	return strings.Fields(strings.NewReplacer("FOLDER", f.Path(), "ECHO", echo).Replace(c.Line))
}
