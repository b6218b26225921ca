package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// caseFile is one file of vectors: resources, requests, and Istio's own verdicts on them.
type caseFile struct {
	name     string
	plan     *plan.Plan
	requests []verdict.Request
	expected []expectation
}

// expectation are the fields of a verdict that can be seen from outside a proxy.
type expectation struct {
	Kind       verdict.Kind `json:"kind"`
	Status     int          `json:"status"`
	Location   string       `json:"location"`
	Body       string       `json:"body"`
	Error      string       `json:"error"`
	Fault      any          `json:"fault"`
	CORSEffect *struct {
		Status          int                 `json:"status"`
		ResponseHeaders map[string][]string `json:"responseHeaders"`
	} `json:"corsEffect"`
	Clusters []struct {
		Name     string `json:"name"`
		Weight   int    `json:"weight"`
		Upstream struct {
			Authority string              `json:"authority"`
			Path      string              `json:"path"`
			Headers   map[string][]string `json:"headers"`
		} `json:"upstream"`
		ResponseHeaders operations          `json:"responseHeaders"`
		ResponseSample  map[string][]string `json:"responseSample"`
	} `json:"clusters"`
	ResponseHeaders operations `json:"responseHeaders"`
}

// unpack reads the packed vectors.
func unpack(t testing.TB) map[string][]byte {
	packed, err := os.ReadFile("testdata/conformance.tar.gz")
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		if files[h.Name], err = io.ReadAll(r); err != nil {
			require.NoError(t, err)
		}
	}
}

// loadCases translates all files of vectors.
func loadCases(t testing.TB) []*caseFile {
	files := unpack(t)
	dir := t.TempDir()
	var cases []*caseFile
	for name, text := range files {
		if path.Dir(name) != "istio" || path.Ext(name) != ".yaml" {
			continue
		}
		base := strings.TrimSuffix(path.Base(name), ".yaml")
		file := filepath.Join(dir, base+".yaml")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		resources, problems := gateway.Read([]string{file}, nil)
		require.False(t, problems.HasErrors(), "%s: %v", base, problems)
		p, _ := gateway.Translate(resources, gateway.Options{}) // destinations that do not exist are part of the vectors
		c := &caseFile{name: base, plan: p}
		require.NoError(t, json.Unmarshal(files["istio/"+base+".requests.json"], &c.requests))
		var doc struct{ Verdicts []expectation }
		require.NoError(t, json.Unmarshal(files["istio/"+base+".verdicts.json"], &doc))
		c.expected = doc.Verdicts
		require.Len(t, c.expected, len(c.requests))
		cases = append(cases, c)
	}
	require.NotEmpty(t, cases)
	slices.SortFunc(cases, func(a, b *caseFile) int { return strings.Compare(a.name, b.name) })
	return cases
}

// joinedVectors are the requests whose verdict differs where repeated headers are compared joined: before Envoy 1.39.
func joinedVectors(t testing.TB) map[string][]int {
	out := map[string][]int{}
	require.NoError(t, json.Unmarshal(unpack(t)["version-dependent.json"], &out))
	return out
}

// expectationOf is our own verdict in the form of an expectation.
func expectationOf(t testing.TB, v *verdict.Verdict) expectation {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var e expectation
	require.NoError(t, json.Unmarshal(text, &e))
	return e
}
