package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// listOf is a document with an anchor and a list of aliases of it: each alias stands for nodes nodes of size bytes, with the
// brackets and commas of the JSON.
func listOf(t *testing.T, anchor string, aliases int) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte("anchor: &a "+anchor+"\nlist: []\n"), &doc))
	root := doc.Content[0]
	list := root.Content[3]
	for range aliases {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.AliasNode, Alias: root.Content[1]})
	}
	return root
}

// What the aliases of a document stand for is counted in nodes: at the limit it is read, one more is refused.
func TestNodesOfAliases(t *testing.T) {
	const nodes = 8 // a list of seven
	anchor := "[1, 1, 1, 1, 1, 1, 1]"
	require.Zero(t, maxAliasNodes%nodes)
	u := &unfolder{}
	text, err := u.JSON(listOf(t, anchor, maxAliasNodes/nodes))
	require.NoError(t, err)
	assert.Equal(t, maxAliasNodes, u.all)
	assert.Equal(t, maxAliasNodes/nodes+1, strings.Count(string(text), "[1,1,1,1,1,1,1]"), "they are written out, and the anchor")
	_, err = (&unfolder{}).JSON(listOf(t, anchor, maxAliasNodes/nodes+1))
	assert.Equal(t, errAliases, err)
	one := listOf(t, anchor, maxAliasNodes/nodes)
	one.Content[3].Content = append(one.Content[3].Content, &yaml.Node{Kind: yaml.AliasNode, Alias: one.Content[0]})
	_, err = (&unfolder{}).JSON(one)
	assert.Equal(t, errAliases, err, "one node more")
	assert.Equal(t, "its aliases expand to more than 400000 nodes or 16 MiB; write the objects without aliases, or in several documents", errAliases.Error())
}

// ... and in bytes of the JSON, those of the alias that is being written among them.
func TestBytesOfAliases(t *testing.T) {
	const size = 1 << 16
	text := strings.Repeat("x", size-2) // and two quotes
	require.Zero(t, maxAliasBytes%size)
	for _, c := range []struct {
		aliases int
		want    error
	}{
		// What an alias comes to is known once it is written, so the next one is refused.
		{maxAliasBytes / size, nil}, {maxAliasBytes/size + 1, nil}, {maxAliasBytes/size + 2, errAliases},
	} {
		_, err := (&unfolder{}).JSON(listOf(t, text, c.aliases))
		assert.Equal(t, c.want, err, "%d aliases", c.aliases)
	}
	within := "[" + strings.TrimSuffix(strings.Repeat(text+", ", 2*maxAliasBytes/size), ", ") + "]"
	out, err := (&unfolder{}).JSON(listOf(t, within, 1))
	assert.Equal(t, errAliases, err, "one alias alone")
	assert.Less(t, len(out)-len(within), maxAliasBytes+2*size, "it is not written to its end")
	out, err = (&unfolder{}).JSON(listOf(t, within, 0))
	require.NoError(t, err, "what no alias stands for is not bounded here")
	assert.Greater(t, len(out), 2*maxAliasBytes)
}

// Nodes of the aliases of all documents are counted together; a document without aliases adds nothing.
func TestAliasesOfAllDocuments(t *testing.T) {
	const each = 250_000
	require.Zero(t, maxAllAliases%each)
	u := &unfolder{}
	for i := range maxAllAliases / each {
		_, err := u.JSON(listOf(t, "1", each))
		require.NoError(t, err, "document %d", i)
		_, err = u.JSON(listOf(t, "1", 0))
		require.NoError(t, err)
	}
	_, err := u.JSON(listOf(t, "1", 1))
	assert.Equal(t, errAll, err)
	assert.Equal(t, "the aliases of all documents together expand to more than 1000000 nodes", errAll.Error())
}

// Nesting is bounded, with aliases and without: an alias may be a part of what it stands for.
func TestNesting(t *testing.T) {
	nested := func(levels int) *yaml.Node {
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "x"}
		for range levels {
			n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
		}
		return n
	}
	text, err := (&unfolder{}).JSON(nested(maxNesting))
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("[", maxNesting)+`"x"`+strings.Repeat("]", maxNesting), string(text))
	_, err = (&unfolder{}).JSON(nested(maxNesting + 1))
	assert.Equal(t, errNesting, err)
	itself := &yaml.Node{Kind: yaml.SequenceNode}
	itself.Content = []*yaml.Node{{Kind: yaml.AliasNode, Alias: itself}}
	_, err = (&unfolder{}).JSON(itself)
	assert.Equal(t, errNesting, err)
}

// Scalars become what Kubernetes makes of them; keys are texts whatever they look like.
func TestScalars(t *testing.T) {
	for yamlText, want := range map[string]string{
		"a: 1": `{"a":1}`, "1: a": `{"1":"a"}`, "true: ~": `{"true":null}`, "a: 0x10": `{"a":16}`, "a: 1.5": `{"a":1.5}`,
		"a: .inf": `{"a":".inf"}`, "a: 'no'": `{"a":"no"}`, "a: yes": `{"a":"yes"}`, "a: true": `{"a":true}`, "a: {b: [1, x]}": `{"a":{"b":[1,"x"]}}`,
		"a: 18446744073709551615": `{"a":18446744073709551615}`, "a: {}": `{"a":{}}`, "a: []": `{"a":[]}`, `a: "\n"`: `{"a":"\n"}`,
	} {
		var doc yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte(yamlText), &doc))
		got, err := (&unfolder{}).JSON(doc.Content[0])
		require.NoError(t, err)
		assert.Equal(t, want, string(got), yamlText)
	}
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte("a: !!bool secret"), &doc))
	_, err := (&unfolder{}).JSON(doc.Content[0])
	assert.EqualError(t, err, "line 1: the value is not of type !!bool")
	assert.NotContains(t, fmt.Sprint(err), "secret")
}
