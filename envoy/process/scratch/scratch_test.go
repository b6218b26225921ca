package scratch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/process/scratch"
)

func parent(dir string) string { return filepath.Join(dir, "waymark-"+strconv.Itoa(os.Getuid())) }

// TestMain makes a folder with a key and is killed, where it is told to.
func TestMain(m *testing.M) {
	if os.Getenv("SCRATCH_TEST_DIES") != "" {
		d, err := scratch.New("dies")
		if err == nil {
			err = os.WriteFile(filepath.Join(d.Path, "key"), []byte("secret"), 0o600)
		}
		if err != nil {
			os.Exit(3)
		}
		p, _ := os.FindProcess(os.Getpid()) // it is there
		_ = p.Kill()                        // ourselves
		select {}
	}
	os.Exit(m.Run())
}

// What a killed process leaves is removed by the next; what living ones have stays.
func TestFoldersOfTheDeadAreRemoved(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	scratch.Sweep()
	assert.NoDirExists(t, parent(tmp), "looking makes nothing")
	alive, err := scratch.New("alive")
	require.NoError(t, err)
	info, err := os.Stat(parent(tmp))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	leave := func() []string {
		c := exec.Command(os.Args[0], "-test.run=^$")
		c.Env = append(os.Environ(), "SCRATCH_TEST_DIES=1")
		require.Error(t, c.Run())
		left, err := filepath.Glob(filepath.Join(parent(tmp), "dies-*", "key"))
		require.NoError(t, err)
		require.Len(t, left, 1)
		return left
	}
	left := leave()
	scratch.Sweep()
	assert.NoFileExists(t, left[0])
	assert.DirExists(t, alive.Path)

	left = leave()
	next, err := scratch.New("next")
	require.NoError(t, err)
	assert.NoFileExists(t, left[0])
	assert.DirExists(t, alive.Path)
	require.NoError(t, next.Remove())
	require.NoError(t, alive.Remove())
	assert.NoDirExists(t, alive.Path)
	require.NoError(t, (*scratch.Dir)(nil).Remove())
}

// A folder that others can enter, or that is no folder, is refused: keys would be in other hands.
func TestAFolderOfOthersIsRefused(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"open to others": func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			return os.Chmod(path, 0o755)
		},
		"a link": func(path string) error {
			if err := os.Mkdir(path+".other", 0o700); err != nil {
				return err
			}
			return os.Symlink(path+".other", path)
		},
		"a file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			require.NoError(t, make(parent(tmp)))
			_, err := scratch.New("x")
			require.ErrorContains(t, err, "must be a folder of this user alone")
		})
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	first, err := scratch.Lock(dir)
	require.NoError(t, err)
	_, err = scratch.Lock(dir)
	require.ErrorContains(t, err, dir+" is used by another process of Waymark")
	require.NoError(t, first.Close())
	again, err := scratch.Lock(dir)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
