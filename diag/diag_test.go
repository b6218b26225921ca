package diag

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// object is a subject as the resources of a package are one: its methods work on nil.
type object struct{ name string }

func (o *object) String() string {
	if o == nil {
		return ""
	}
	return o.name
}

func (o *object) Place(string) Place {
	if o == nil {
		return Place{}
	}
	return Place{"a.yaml", 2, 4}
}

func TestFindingsAreAboutSubjects(t *testing.T) {
	var fs Findings
	fs.Add(Error, "VAL-1", &object{"Gateway a/b"}, "spec.x", "%q is wrong", "v")
	fs.Add(Warning, "", nil, "", "no subject")
	fs.Add(Notice, "", (*object)(nil), "spec", "a subject of nil")
	fs.Add(Error, "", Name("cluster c"), "TLS", "not there")
	fs.AddAt(Place{File: "b.yaml", Line: 7}, Error, "", nil, "", "two\nlines")
	var text strings.Builder
	for _, f := range fs {
		text.WriteString(f.String() + "\n")
	}
	assert.Equal(t, `a.yaml:2:4: error: Gateway a/b: spec.x: "v" is wrong
warning: no subject
notice: spec: a subject of nil
error: cluster c: TLS: not there
b.yaml:7: error: two\nlines
`, text.String())
	assert.True(t, fs.HasErrors())
	assert.False(t, fs[1:3].HasErrors())
	require.EqualError(t, fs[:1].Err(), fs[0].String())
	require.NoError(t, fs[:0].Err())
}

func TestMergeSortsByPlace(t *testing.T) {
	at := func(file string, line, column int, field, code, message string) Finding {
		return Finding{Place: Place{file, line, column}, Field: field, Code: code, Message: message}
	}
	want := Findings{
		at("", 0, 0, "", "", "m"), at("a", 1, 9, "", "", ""), at("a", 2, 1, "f", "", ""), at("a", 2, 1, "g", "", ""),
		at("a", 2, 1, "g", "C", ""), at("a", 2, 1, "g", "C", "m"), at("a", 2, 2, "", "", ""), at("b", 1, 1, "", "", ""),
	}
	assert.Equal(t, want, Merge(Findings{want[7], want[5], want[3], want[1]}, Findings{want[6], want[4], want[2], want[0]}))
}

func TestFindingsAreBounded(t *testing.T) {
	var fs Findings
	for range maxFindings + 100 {
		fs.Add(Warning, "", nil, "", "again")
	}
	assert.Len(t, fs, maxFindings+1)
	assert.Equal(t, Finding{Severity: Error, Message: "there are more than 50000 findings; the rest is not reported"}, fs[maxFindings])
}

func TestExcerpts(t *testing.T) {
	long := strings.Repeat("ä", 5000) + "X" + strings.Repeat("b", 5000)
	var texts Texts
	assert.Empty(t, texts.Excerpt(Place{"a", 1, 1}), "no text at all")
	texts.Add("a", "first\n\tsecond \x1b[31m\r\nthird\u2028fourth  \n"+long+"\nkey\nname: \"-----BEGIN PRIVATE KEY-----\\nMII\"\nname: LS0tLS1CRUdJTiBQUklWQVRF\n")
	texts.Hide("a", 6, 6)
	for what, c := range map[string]struct {
		place Place
		want  string
	}{
		"the beginning of a line":           {Place{"a", 1, 1}, "first\n^\n"},
		"a tab stays one, control does not": {Place{"a", 2, 2}, "\tsecond ?[31m\n\t^\n"},
		"lines end as in YAML":              {Place{"a", 3, 3}, "third\n  ^\n"},
		"blanks at the end":                 {Place{"a", 4, 7}, "fourth\n      ^\n"},
		"a long line is cut around a place": {Place{"a", 5, 5001}, strings.Repeat("ä", 60) + "X" + strings.Repeat("b", 59) + "\n" + strings.Repeat(" ", 60) + "^\n"},
		"the end of a long line":            {Place{"a", 5, 10001}, strings.Repeat("b", 61) + "\n" + strings.Repeat(" ", 60) + "^\n"},
		"a column beyond the line":          {Place{"a", 1, 99}, "first\n     ^\n"},
		"a hidden line":                     {Place{"a", 6, 1}, ""},
		"a key where none belongs":          {Place{"a", 7, 7}, ""},
		"one in base64":                     {Place{"a", 8, 7}, ""},
		"no such line":                      {Place{"a", 10, 1}, ""},
		"no column":                         {Place{"a", 1, 0}, ""},
		"no line":                           {Place{"a", 0, 1}, ""},
		"another file":                      {Place{"b", 1, 1}, ""},
	} {
		assert.Equal(t, c.want, texts.Excerpt(c.place), what)
	}
}

func TestWritePrintsCodeAndCaret(t *testing.T) {
	var texts Texts
	texts.Add("a.yaml", "x\n   y: z\n")
	var fs Findings
	fs.Add(Error, "VAL-1", &object{"Gateway a/b"}, "spec.y", "is wrong")
	fs.Add(Notice, "WM-1", &object{"Gateway a/b"}, "spec.y", "is there")
	var b strings.Builder
	require.NoError(t, fs.Write(&b, &texts))
	assert.Equal(t, "a.yaml:2:4: error: Gateway a/b: spec.y: is wrong [VAL-1]\n   y: z\n   ^\na.yaml:2:4: notice: Gateway a/b: spec.y: is there [WM-1]\n", b.String())
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain ü": "plain ü", "\xff": `\xff`, `a "quoted" text`: `a "quoted" text`, "tab\tbed\u2028": `tab\tbed\u2028`, "\x1b[31m": `\x1b[31m`,
	} {
		assert.Equal(t, want, Printable(text))
	}
}
