package commandline

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/e2e/internal/program"
)

func TestBadLimits(t *testing.T) {
	for say, args := range map[string][]string{
		"--stream-window 5 is not between 65535 and 2147483647; 0 is Envoy's own":                                    {"--stream-window", "5"},
		"--max-streams 3000000000 is not between 1 and 2147483647":                                                   {"--max-streams", "3000000000"},
		"--request-timeout -1s is negative; 0 is no limit":                                                           {"--request-timeout=-1s"},
		"--admin-port 70000 is not between 0 and 65535":                                                              {"--admin-port", "70000"},
		`--escaped-slashes "x" is not KEEP_UNCHANGED, REJECT_REQUEST, UNESCAPE_AND_REDIRECT or UNESCAPE_AND_FORWARD`: {"--escaped-slashes", "x"},
		`--headers-with-underscores "x" is not ALLOW, DROP_HEADER or REJECT_REQUEST`:                                 {"--headers-with-underscores", "x"},
		`--path-normalization "x" is not NONE, BASE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES`:                      {"--path-normalization", "x"},
	} {
		_, stderr, status := program.Run(t, "", append([]string{"translate", "-f", "examples/bookinfo"}, args...)...)
		assert.Equal(t, 64, status)
		assert.Contains(t, stderr, say)
	}
}
