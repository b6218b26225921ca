package effect

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/version"
)

// A value that some of the Envoys refuse is told with all of them.
func TestOperatorsOfNewerEnvoys(t *testing.T) {
	for _, c := range []struct {
		envoys     version.Range
		want       string
		everywhere bool
	}{
		{version.Range{From: 36, To: 40}, "%SPAN_ID%: it came with Envoy 1.38, and this is for 1.36 to 1.40", false},
		{version.Range{From: 36, To: 37}, "%SPAN_ID%: it came with Envoy 1.38, and this is for 1.36 to 1.37", true},
		{version.Only(36), "%SPAN_ID%: it came with Envoy 1.38, and this is for 1.36", true},
	} {
		err, everywhere := CheckFormats("%SPAN_ID%", c.envoys)
		require.EqualError(t, err, c.want)
		assert.Equal(t, c.everywhere, everywhere)
	}
	err, _ := CheckFormats("%SPAN_ID%", version.Range{From: 38, To: 40})
	require.NoError(t, err)
}

func TestCommandOperators(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                       "plain",
		"100%%":                       "100%",
		"%REQ(x)%":                    "[REQ(x)]",
		"a%PROTOCOL%b%REQ(x?y):3%":    "a[PROTOCOL]b[REQ(x?y):3]",
		"%START_TIME(%Y-%m)% 5%% off": "[START_TIME(%Y-%m)] 5% off",
		"a lone %":                    "a lone %",
	} {
		assert.Equal(t, want, format(text, func(operator string) string { return "[" + operator + "]" }), text)
	}
}
