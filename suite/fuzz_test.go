package suite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/suite"
)

// No file makes the reader fail otherwise than by a finding, and what is read can be run.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{filepath.Join("testdata", "tests", "*"), filepath.Join("..", "examples", "bookinfo-tests", "*")} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		require.NotEmpty(f, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(string(text))
		}
	}
	f.Add("tests: &a [{test_name: *a, input: {dynamic_metadata: *a}}]")
	f.Add("testCases: [&a {request: *a, route: *a}]")
	f.Add("tests { test_name: 'a' input { path: '/' } }")
	f.Fuzz(func(t *testing.T, text string) {
		in := suite.Read([]string{write(t, "tests.yaml", text)})
		if len(in.Findings) > 0 {
			return
		}
		rules := rulesOf(t, vs(shop))
		report := rules.Run(in.Files, nil)
		ran := 0
		for _, file := range report.Files {
			ran += len(file.Tests)
		}
		require.Equal(t, ran, report.Passed+report.Failed)
	})
}
