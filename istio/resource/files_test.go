package resource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: NAME}\n"

// Of a folder, files and folders whose names begin with a dot are not read, nor files of other kinds: editors and Kubernetes
// keep copies under such names. What is named is read, even if it is hidden.
func TestHiddenFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), ".hidden-root")
	for _, name := range []string{"a.yaml", "b.yml", "c.json", ".d.yaml", "e.txt", "f", "sub/g.yaml", "sub/.h.yaml", ".i/j.yaml", ".i/sub/k.yaml", "..l/m.yaml", "n.yaml~"} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		object := "ns-" + strings.NewReplacer("/", "-", ".", "-", "~", "-").Replace(name)
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(namespace, "NAME", object)), 0o600))
	}
	for what, c := range map[string]struct {
		paths []string
		want  []string
	}{
		"a folder":                   {[]string{"."}, []string{"a.yaml", "b.yml", "c.json", "sub/g.yaml"}},
		"a hidden file that's named": {[]string{".d.yaml"}, []string{".d.yaml"}},
		"a hidden folder":            {[]string{".i"}, []string{".i/j.yaml", ".i/sub/k.yaml"}},
		"in a hidden folder":         {[]string{".i/j.yaml"}, []string{".i/j.yaml"}},
		"a file of another kind":     {[]string{"e.txt", "n.yaml~"}, []string{"e.txt", "n.yaml~"}},
		"both":                       {[]string{".", "sub/.h.yaml"}, []string{"a.yaml", "b.yml", "c.json", "sub/g.yaml", "sub/.h.yaml"}},
	} {
		var paths, want []string
		for _, p := range c.paths {
			paths = append(paths, filepath.Join(dir, p))
		}
		for _, p := range c.want {
			want = append(want, filepath.Join(dir, p))
		}
		files, err := Files(paths)
		require.NoError(t, err)
		assert.Equal(t, want, files, what)
		in := Read(paths, Options{})
		assert.Empty(t, in.Findings, what)
		assert.Len(t, in.Set.Namespaces, len(want), what)
	}
	_, err := Files([]string{filepath.Join(dir, "missing.yaml")})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// Standard input is read as a file is.
func TestStandardInput(t *testing.T) {
	files, err := Files([]string{"-"})
	require.NoError(t, err)
	assert.Equal(t, []string{"-"}, files)
	in := Read([]string{"-"}, Options{Stdin: strings.NewReader(namespace)})
	assert.Empty(t, in.Findings)
	assert.Len(t, in.Set.Namespaces, 1)
}

// All files of one reading are bounded together.
func TestManyBytes(t *testing.T) {
	r := &reader{options: Options{Stdin: strings.NewReader("12345")}, input: &Input{}, read: maxFiles - 5}
	text, err := r.content("-")
	require.NoError(t, err)
	assert.Equal(t, "12345", text)
	r.options.Stdin = strings.NewReader("6")
	_, err = r.content("-")
	assert.Equal(t, errManyBytes, err)
}
