package plan

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every reason has words: the constants are read from the source, so that none is forgotten.
func TestEveryReasonHasWords(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "origin.go", nil, 0)
	require.NoError(t, err)
	codes := map[DropCode]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "DropCode" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			codes[DropCode(text)] = true
		}
		return true
	})
	require.Greater(t, len(codes), 15)
	for code := range codes {
		assert.NotEmpty(t, Dropped{Code: code}.Why(), code)
	}
	assert.Len(t, whyDropped, len(codes))
	by := Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: EntryPath("http", 1)}
	assert.Equal(t, "an earlier rule of its VirtualService takes every request (default/a.http[1])", Dropped{Code: DropBehindCatchAll, By: by}.Why())
}
