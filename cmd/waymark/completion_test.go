package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every value that is completed is one that its flag takes: the error about a wrong one names it.
func TestValuesThatAreCompleted(t *testing.T) {
	t.Parallel()
	open := map[string]string{
		"envoy-version":  "names a range",
		"listen":         "takes any address",
		"cluster-domain": "takes any domain",
	}
	rules := "../../examples/bookinfo"
	for flag, values := range valuesOf {
		if open[flag] != "" {
			continue
		}
		root, command := newRoot(), "run"
		if flag == "color" {
			command = "explain"
		}
		root.SetArgs([]string{command, "-f", rules, "--" + flag, "none-of-these"})
		err := root.Execute()
		require.Error(t, err, flag)
		require.Equal(t, exitUsage, statusOf(err), "%s: %v", flag, err)
		for _, v := range values {
			assert.Contains(t, err.Error(), v, flag)
		}
	}
	for command, values := range outputsOf {
		root := newRoot()
		root.SetArgs([]string{command, "-f", rules, "-o", "none-of-these"})
		err := root.Execute()
		require.Error(t, err, command)
		for _, v := range values {
			assert.Contains(t, err.Error(), v, command)
		}
	}
	for _, c := range newRoot().Commands() {
		for flag := range fileValues {
			if f := c.Flags().Lookup(flag); f != nil {
				_, ok := c.GetFlagCompletionFunc(flag)
				assert.True(t, ok, "%s --%s", c.Name(), flag)
			}
		}
	}
	assert.Equal(t, []string{"1.36", "1.37", "1.38", "1.39", "1.40"}, valuesOf["envoy-version"], strings.Join(valuesOf["envoy-version"], " "))
}
