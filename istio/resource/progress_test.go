package resource

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Progress is reported within a file, in whichever form its documents are, and goes on where the file before ended.
func TestProgressWithinAFile(t *testing.T) {
	const n, size = 4000, 4 << 20
	padding := strings.Repeat("x", size/n-150)
	document := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, annotations: {note: " + padding + "}}\nspec: {hosts: [a.test]}\n"
	item := "- " + strings.ReplaceAll(strings.TrimSuffix(document, "\n"), "\n", "\n  ") + "\n"
	value := strings.Replace(virtualService("v"), `"name":`, `"annotations":{"note":"`+padding+`"},"name":`, 1)
	for what, text := range map[string]string{
		"documents":                strings.Repeat(document+"---\n", n),
		"a List that is printed":   "apiVersion: v1\nkind: List\nitems:\n" + strings.Repeat(item, n),
		"a List in JSON":           `{"apiVersion":"v1","kind":"List","items":[` + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + `]}`,
		"a stream of JSON":         strings.Repeat(value+"\n", n),
		"a List in flow style":     "apiVersion: v1\nkind: List\nitems: [" + strings.TrimSuffix(strings.Repeat(value+",\n  ", n), ",\n  ") + "]\n",
		"documents that are aside": strings.Repeat(strings.Replace(document, "VirtualService", "ProxyConfig", 1)+"---\n", n),
	} {
		dir := write(t, map[string]string{"a.yaml": text, "b.yaml": virtualService("w")})
		type report struct {
			file string
			at   int64
		}
		var all []report
		Read([]string{dir}, Options{Progress: func(file string, at int64) { all = append(all, report{strings.TrimPrefix(file, dir+"/"), at}) }})
		require.Greater(t, len(all), 4, what)
		assert.Equal(t, report{"a.yaml", 0}, all[0], what)
		assert.Equal(t, report{"b.yaml", int64(len(text))}, all[len(all)-1], what)
		for i := 1; i < len(all)-1; i++ {
			assert.Equal(t, "a.yaml", all[i].file, what)
			assert.InDelta(t, all[i-1].at+progressEvery, all[i].at, 20_000, what)
			assert.LessOrEqual(t, all[i].at, int64(len(text)), what)
		}
	}
}
