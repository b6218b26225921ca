package process

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each warning of a deprecated field is passed on once, and at the end it is said how many there were; everything else
// passes, and the tail has room for it.
func TestDeprecationsOnce(t *testing.T) {
	warning := func(field string) string {
		return "[x][warning][misc] Deprecated field: type T Using deprecated option '" + field + "' from file f.proto. This configuration will be removed.\n"
	}
	var out bytes.Buffer
	kept := &tail{}
	log := newLog(kept, &out)
	write := func(text string) {
		_, err := log.Write([]byte(text))
		require.NoError(t, err)
	}
	write("before\n" + warning("a") + warning("a")[:20])
	write(warning("a")[20:] + "between\n" + warning("b"))
	write(strings.Repeat(warning("a"), 400) + "the last, wi")
	write("thout an end")
	log.end()
	assert.Equal(t, "before\n"+warning("a")+"between\n"+warning("b")+"the last, without an end\n"+
		"the warning of the deprecated option 'a' was left out 401 more times\n", out.String())
	assert.Equal(t, out.String(), kept.String())
}
