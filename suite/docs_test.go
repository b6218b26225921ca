package suite

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The example in docs/testing.md is valid, and every key has a row there.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "testing.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	require.Len(t, blocks, 1)
	file := filepath.Join(t.TempDir(), "tests.yaml")
	require.NoError(t, os.WriteFile(file, blocks[0][1], 0o600))
	in := Read([]string{file})
	require.Empty(t, in.Findings)
	require.Len(t, in.Files[0].Tests, 2)
	assert.Len(t, in.Files[0].Tests[1].Requests, 16, "the number that the document has")

	require.Len(t, expectations, len(expectationKeys))
	for _, key := range append([]string{"not"}, expectationKeys...) {
		assert.Regexp(t, "(?m)^\\| `"+key+"` \\| ", string(text))
	}
	for _, key := range requestKeys {
		assert.Regexp(t, "(?m)^\\|[^|]* `"+key+"`[^|]* \\| |^\\| `"+key+"`", string(text))
	}
}
