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

// Bars are of blocks only where the locale can show them.
func TestLocales(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		environment map[string]string
		utf8        bool
	}{
		"none":                   {nil, false},
		"C":                      {map[string]string{"LANG": "C"}, false},
		"UTF-8":                  {map[string]string{"LANG": "en_GB.UTF-8"}, true},
		"the same, spelled else": {map[string]string{"LC_CTYPE": "C.utf8"}, true},
		"LC_ALL goes first":      {map[string]string{"LC_ALL": "POSIX", "LANG": "en_GB.UTF-8"}, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.utf8, hasUTF8(func(name string) string { return c.environment[name] }))
		})
	}
}
