package plain

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// TestOrderOfFiles checks that the order of documents decides nothing: the plan of every set of vectors is the same when
// its documents are shuffled, apart from the places of objects in the file.
func TestOrderOfFiles(t *testing.T) {
	const shuffles = 3
	end := time.Now().Add(40 * time.Second) // for slow machines; they shuffle the first sets only
	random := rand.New(rand.NewPCG(1, 2))
	check := func(name string, text []byte, o translate.Options) {
		separator := regexp.MustCompile(`(?m)^---.*\n`)
		docs := separator.Split(string(text), -1)
		want := planText(t, docs, o)
		for range shuffles {
			random.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
			if got := planText(t, docs, o); !assert.JSONEq(t, want, got, name) {
				break
			}
		}
	}
	for _, files := range []fs.FS{vectors.Open(t), vectors.Sidecar(t)} {
		for _, name := range vectors.Names(t, files) {
			if time.Now().After(end) {
				t.Logf("out of time at %s", name)
				return
			}
			text, err := fs.ReadFile(files, name+".yaml")
			require.NoError(t, err)
			o := translate.Options{}
			if _, err := fs.Stat(files, name+".proxy.json"); err == nil {
				_, o = vectors.LoadSidecar(t, files, name)
			}
			check(name, text, o)
		}
	}
}

// planText is the plan of documents as text, without the places of objects in the file and without what was left out of
// the plan, which is a report in the order of the files.
func planText(t *testing.T, docs []string, o translate.Options) string {
	t.Helper()
	var text bytes.Buffer
	for _, d := range docs {
		text.WriteString("---\n" + d + "\n")
	}
	p, _ := translate.Plan(gateway.Load([]string{"-"}, resource.Options{Stdin: &text}, version.All).Set, o)
	p.Dropped = nil
	var any any
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &any))
	out, err := json.Marshal(withoutKeys(any, "Source", "Dropped"))
	require.NoError(t, err)
	return string(out)
}

// withoutKeys removes keys from all objects in a value of JSON.
func withoutKeys(value any, keys ...string) any {
	switch v := value.(type) {
	case map[string]any:
		for _, k := range keys {
			delete(v, k)
		}
		for k := range v {
			v[k] = withoutKeys(v[k], keys...)
		}
	case []any:
		for i := range v {
			v[i] = withoutKeys(v[i], keys...)
		}
	}
	return value
}
