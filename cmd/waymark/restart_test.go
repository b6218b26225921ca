package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Restarts wait longer and longer, and end; an Envoy that has run for a while begins anew.
func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	var sum time.Duration
	for range restartLimit {
		b.ran(time.Second)
		pause, ok := b.next()
		require.True(t, ok)
		assert.GreaterOrEqual(t, pause, restartPause)
		assert.LessOrEqual(t, pause, restartLongest)
		sum += pause
	}
	assert.Greater(t, sum, 10*time.Second)
	b.ran(time.Second)
	_, ok := b.next()
	assert.False(t, ok)
	b.ran(restartSteady)
	pause, ok := b.next()
	assert.True(t, ok)
	assert.Equal(t, restartPause, pause)
}
