package main

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What Envoy would not get is refused with the name of the limit, and nothing stays taken.
func TestTooFewInstancesOfInotify(t *testing.T) {
	left := 3
	take := func() (int, error) {
		if left == 0 {
			return 0, os.NewSyscallError("inotify_init1", syscall.EMFILE)
		}
		left--
		return syscall.Dup(0)
	}
	err := takeWatches(5, take)
	require.ErrorContains(t, err, "envoy needs 5 more instances of inotify")
	require.ErrorContains(t, err, "fs.inotify.max_user_instances leaves this user 3")
	var status *exitError
	require.True(t, errors.As(err, &status))
	assert.Equal(t, exitBadInput, status.status)

	left = 5
	require.NoError(t, takeWatches(5, take))
	require.NoError(t, takeWatches(-2, take), "a change that needs fewer")
	require.NoError(t, enoughWatches(1))
}
