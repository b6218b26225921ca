package main

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

// GOGC of the environment counts more than our own setting.
func TestGOGCOfTheUser(t *testing.T) {
	for gogc, want := range map[string]int{"": gcPercent, "75": 75} {
		t.Run("GOGC="+gogc, func(t *testing.T) {
			t.Setenv("GOGC", gogc)
			before := debug.SetGCPercent(75) // as the runtime would have read it
			growHeap(gcPercent)
			assert.Equal(t, want, debug.SetGCPercent(before))
		})
	}
}
