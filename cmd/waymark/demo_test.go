package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The demo serves the example, and with -f what is given in its place.
func TestFilesOfTheDemo(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ args, want []string }{
		"without -f": {nil, []string{"examples/bookinfo"}},
		"with one":   {[]string{"-f", "mine"}, []string{"mine"}},
		"with two":   {[]string{"-f", "mine", "-f", "more"}, []string{"mine", "more"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			demo := newDemo()
			require.NoError(t, demo.ParseFlags(c.args))
			files, err := demo.Flags().GetStringArray("file")
			require.NoError(t, err)
			assert.Equal(t, c.want, files)
		})
	}
}
