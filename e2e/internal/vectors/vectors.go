// Package vectors has the cases that Waymark is held against: resources, and what Istio's own code says about them.
package vectors

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
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

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// File is one file of vectors: resources, requests, and Istio's own verdicts on them.
type File struct {
	Name     string
	Plan     *plan.Plan
	Requests []verdict.Request
	Expected []Expectation
}

// Expectation are the fields of a verdict that can be seen from outside a proxy.
type Expectation struct {
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
		ResponseHeaders Operations          `json:"responseHeaders"`
		ResponseSample  map[string][]string `json:"responseSample"`
	} `json:"clusters"`
	ResponseHeaders Operations `json:"responseHeaders"`
}

// Open gives a folder of vectors: NAME.yaml, NAME.requests.json and NAME.verdicts.json. It is the packed one, or the one
// that WAYMARK_CASES names ('make conformance CASES=DIR').
func Open(t testing.TB) fs.FS {
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

//go:embed testdata
var archives embed.FS

// packed reads the archive of vectors.
func packed(t testing.TB) fs.FS { return Unpack(t, "conformance.tar.gz") }

// Unpack reads one of the archives of testdata.
func Unpack(t testing.TB, name string) fs.FS {
	archive, err := archives.ReadFile("testdata/" + name)
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

// ReadJSON reads a file of vectors.
func ReadJSON(t testing.TB, files fs.FS, name string, into any) {
	text, err := fs.ReadFile(files, name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into), name)
}

// Load translates all files of a folder of vectors.
func Load(t testing.TB, files fs.FS) []*File {
	dir := t.TempDir()
	var cases []*File
	for _, base := range Names(t, files) {
		text, err := fs.ReadFile(files, base+".yaml")
		require.NoError(t, err)
		file := filepath.Join(dir, base+".yaml")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		in := gateway.Load([]string{file}, resource.Options{}, version.All)
		p, _ := translate.Plan(in.Set, translate.Options{}) // destinations that do not exist are part of the vectors
		c := &File{Name: base, Plan: p}
		ReadJSON(t, files, base+".requests.json", &c.Requests)
		for i := range c.Requests {
			if !slices.Contains(StandardMethods, c.Requests[i].Method) {
				c.Requests[i].Protocol = verdict.HTTP2 // Istio's oracle knows no codec: a method is any word
			}
		}
		var doc struct{ Verdicts []Expectation }
		ReadJSON(t, files, base+".verdicts.json", &doc)
		c.Expected = doc.Verdicts
		require.Len(t, c.Expected, len(c.Requests))
		cases = append(cases, c)
	}
	return cases
}

// Sidecar gives the vectors of sidecars. Each has its proxy in NAME.proxy.json.
func Sidecar(t testing.TB) fs.FS {
	sub, err := fs.Sub(Unpack(t, "sidecar.tar.gz"), "sidecar")
	require.NoError(t, err)
	return sub
}

// Names are the names of the sets in a folder of vectors.
func Names(t testing.TB, files fs.FS) []string {
	names, err := fs.Glob(files, "*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, names, "there are no vectors")
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".yaml")
	}
	return names
}

// LoadSidecar reads one set of the vectors of sidecars. What Istio's validation refuses is left out, as it is there.
func LoadSidecar(t testing.TB, files fs.FS, name string) (*resource.Set, translate.Options) {
	text, err := fs.ReadFile(files, name+".yaml")
	require.NoError(t, err)
	var proxy struct {
		Namespace             string
		Labels                map[string]string
		OutboundTrafficPolicy translate.OutboundTrafficPolicy
	}
	ReadJSON(t, files, name+".proxy.json", &proxy)
	return gateway.Load([]string{"-"}, resource.Options{Stdin: bytes.NewReader(text)}, version.All).Set, translate.Options{
		Proxy: translate.SidecarProxy, Namespace: proxy.Namespace, Labels: proxy.Labels, OutboundTrafficPolicy: proxy.OutboundTrafficPolicy,
	}
}

// Joined are the requests whose verdict differs where repeated headers are compared joined: before Envoy 1.39.
func Joined(t testing.TB) map[string][]int {
	out := map[string][]int{}
	ReadJSON(t, packed(t), "version-dependent.json", &out)
	return out
}

// ExpectationOf is our own verdict in the form of an expectation.
func ExpectationOf(t testing.TB, v *verdict.Verdict) Expectation {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var e Expectation
	require.NoError(t, json.Unmarshal(text, &e))
	return e
}

// Operations are the header operations of a verdict, which say what a made-up response must hold.
type Operations struct {
	Add    []struct{ Key string } `json:"add"`
	Remove []string               `json:"remove"`
}

// Names are the headers that are mentioned.
func (o Operations) Names() []string {
	var out []string
	for _, a := range o.Add {
		out = append(out, strings.ToLower(a.Key))
	}
	for _, name := range o.Remove {
		out = append(out, strings.ToLower(name))
	}
	return out
}

// StandardMethods are those that Envoy's HTTP/1 codec lets through.
var StandardMethods = []string{"", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
