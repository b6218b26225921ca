package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The mistakes of the table can still be made: each text is in its file, once.
func TestTheTableIsNotStale(t *testing.T) {
	require.NotEmpty(t, table)
	for _, m := range table {
		text, err := os.ReadFile(filepath.Join("..", "..", m.file))
		require.NoError(t, err, m.what)
		assert.Equal(t, 1, strings.Count(string(text), m.from), "%s: %s", m.file, m.what)
		assert.NotEqual(t, m.from, m.to, m.what)
	}
}
