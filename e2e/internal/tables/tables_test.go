package tables

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUpdate(t *testing.T) {
	type row struct {
		Shape string `json:"shape"`
	}
	type all struct {
		A []row `json:"a,omitempty"`
		B int   `json:"b,omitempty"`
	}
	file := filepath.Join(t.TempDir(), "tables.json")
	require.NoError(t, Update(file, func(x *all) { x.A = []row{{"one"}, {"two"}} }, "shape"))
	require.NoError(t, Update(file, func(x *all) { x.B = 3 }, "shape"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "{\"a\":[\n{\"shape\":\"one\"},\n{\"shape\":\"two\"}],\"b\":3}\n", string(text), "what is not measured stays")
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	assert.Error(t, Update(file, func(*all) {}, "shape"), "what cannot be read is not replaced")
}
