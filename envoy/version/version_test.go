package version_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/version"
)

// minors are the minor versions in a text such as "1.36.4 1.37.0".
func minors(t *testing.T, text string) (all []int) {
	for _, m := range regexp.MustCompile(`1\.(\d+)\.\d+`).FindAllStringSubmatch(text, -1) {
		minor, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		all = append(all, minor)
	}
	return all
}

// Each version that Waymark writes for is pinned for the tests, and no other.
func TestEachSupportedVersionIsPinned(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	pins := regexp.MustCompile(`(?m)^ENVOYS := (.*)$`).FindSubmatch(makefile)
	require.NotNil(t, pins)
	var supported []int
	for minor := version.Oldest; minor <= version.Newest; minor++ {
		assert.True(t, version.Supported(minor))
		supported = append(supported, minor)
	}
	assert.Equal(t, supported, minors(t, string(pins[1])))
	assert.False(t, version.Supported(version.Oldest-1))
	assert.False(t, version.Supported(version.Newest+1))

	pin := regexp.MustCompile(`(?m)^ENVOY  := (.*)$`).FindSubmatch(makefile)
	require.NotNil(t, pin)
	assert.Equal(t, []int{version.Default}, minors(t, string(pin[1])))
}

// The end-to-end tests hold each behaviour against real Envoys; this keeps the table from changing by accident.
func TestBehaviours(t *testing.T) {
	for minor, want := range map[int]version.Behaviour{
		36: {RepeatedHeadersJoined: true, RegexReadsUTF8: true, HTTP2BoundsEachCrumb: true},
		37: {VirtualHostsOverADS: true, RepeatedHeadersJoined: true, RegexReadsUTF8: true, HTTP2RefusesEmptyHost: true, HTTP2RefusesRepeatedHost: true, HTTP2IgnoresCaseOfTE: true},
		38: {VirtualHostsOverADS: true, RepeatedHeadersJoined: true, RegexReadsUTF8: true, HTTP2RefusesEmptyHost: true, HTTP2RefusesRepeatedHost: true, HTTP2IgnoresCaseOfTE: true, HTTP2CountsCookies: true},
		39: {VirtualHostsOverADS: true, DropsDotSegmentParameters: true, HTTP2RefusesEmptyHost: true, HTTP2RefusesRepeatedHost: true, HTTP2IgnoresCaseOfTE: true, HTTP2CountsCookies: true, HTTP2CountsHost: true},
		40: {VirtualHostsOverADS: true, DropsDotSegmentParameters: true, KnowsQueryMethod: true, HTTP2RefusesEmptyHost: true, HTTP2RefusesRepeatedHost: true, HTTP2IgnoresCaseOfTE: true,
			HTTP2CountsCookies: true, HTTP2CountsHost: true, RestrictsCapabilitiesOfVM: true},
	} {
		assert.Equal(t, want, version.Of(minor), "1.%d", minor)
	}
}
