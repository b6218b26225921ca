//go:build unix

package main

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Looking at a pipe does not wait for somebody to write into it.
func TestLookingAtAPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	done := make(chan set, 1)
	go func() { done <- look([]string{pipe}, nil) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}
