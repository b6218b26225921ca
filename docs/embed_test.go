package docs_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/docs"
)

func TestPage(t *testing.T) {
	assert.Equal(t, "Error. A delegate cannot delegate again.", docs.Page("VAL-H-02"))
	last := docs.Page("VAL-VS-11")
	assert.True(t, strings.HasPrefix(last, "Error. `exportTo` lists"), last)
	assert.NotContains(t, last, "#", "the section ends where that of the http rules begins")
	assert.Contains(t, docs.Page("WM-PATH-01"), "```yaml\n", "with its example")
	for _, none := range []string{"", "VAL-H", "VAL-H-2", "Any resource", "val-h-02"} {
		assert.Empty(t, docs.Page(none), none)
	}
}
