package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/translate"
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

// vectors is a folder of vectors: NAME.yaml, NAME.requests.json and NAME.verdicts.json. It is the packed one, or the one
// that WAYMARK_CASES names ('make conformance CASES=DIR').
func vectors(t testing.TB) fs.FS {
	dir := os.Getenv("WAYMARK_CASES")
	if dir == "" {
		sub, err := fs.Sub(packed(t), "istio")
		require.NoError(t, err)
		return sub
	}
	if info, err := os.Stat(filepath.Join(dir, "istio")); err == nil && info.IsDir() {
		dir = filepath.Join(dir, "istio")
	}
	return os.DirFS(dir)
}

// packed reads the archive of vectors.
func packed(t testing.TB) fs.FS { return unpack(t, "testdata/conformance.tar.gz") }

func unpack(t testing.TB, name string) fs.FS {
	archive, err := os.ReadFile(name)
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	files := fstest.MapFS{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		files[h.Name] = &fstest.MapFile{Data: text}
	}
}

func readJSON(t testing.TB, files fs.FS, name string, into any) {
	text, err := fs.ReadFile(files, name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into), name)
}

// loadCases translates all files of a folder of vectors.
func loadCases(t testing.TB, files fs.FS) []*caseFile {
	names, err := fs.Glob(files, "*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, names, "there are no vectors")
	dir := t.TempDir()
	var cases []*caseFile
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		base := strings.TrimSuffix(name, ".yaml")
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, text, 0o600))
		in := gateway.Load([]string{file}, nil)
		require.False(t, in.Findings.HasErrors(), "%s: %v", base, in.Findings)
		p, _ := translate.Plan(in.Set, translate.Options{}) // destinations that do not exist are part of the vectors
		c := &caseFile{name: base, plan: p}
		readJSON(t, files, base+".requests.json", &c.requests)
		for i := range c.requests {
			if !slices.Contains(standardMethods, c.requests[i].Method) {
				c.requests[i].Protocol = verdict.HTTP2 // Istio's oracle knows no codec: a method is any word
			}
		}
		var doc struct{ Verdicts []expectation }
		readJSON(t, files, base+".verdicts.json", &doc)
		c.expected = doc.Verdicts
		require.Len(t, c.expected, len(c.requests))
		cases = append(cases, c)
	}
	return cases
}

// joinedVectors are the requests whose verdict differs where repeated headers are compared joined: before Envoy 1.39.
func joinedVectors(t testing.TB) map[string][]int {
	out := map[string][]int{}
	readJSON(t, packed(t), "version-dependent.json", &out)
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
