package resource

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

// FuzzRead: no text makes reading panic or take long, and every finding about a document has a place in the text.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		rule(served), virtualService("a") + virtualService("b"), "[" + virtualService("a") + "]",
		rule("match: [{uri: {exact: yes, prefix: /}, headers: {\"a.b\": null, y: {}}}]\n    timeout: 1s\n    timeout: 2s"),
		head + "spec:\n  hosts: &h [a.test]\n  gateways: *h\n  http:\n  - &r {timeout: 1s}\n  - {<<: [*r, *r], timeout: x}\n",
		head + "a: &a {<<: *a}\n", head + "a: &a [*a]\n", head + "a: *b\n",
		"apiVersion: v1\nkind: List\nitems:\n- apiVersion: networking.istio.io/v1\n  kind: Gateway\n  spec: {servers: [null]}\n- a: [\n- {}\nmetadata: {}\n",
		`{"apiVersion":"networking.istio.io/v1","kind":"VirtualServiceList","items":[{"metadata":{"name":"v"},"spec":{"hosts":"a","more":[{}]}}]}`,
		"%YAML 1.1\n--- |\n a\n...\n---\n" + rule("{timeout: '"), utf16Text(rule(served), true), "\uFEFF" + rule("\tx"),
		virtualService("a") + "\n# x\n" + virtualService("b") + ",\n{\"a\": ${X}} {{ y }}\n[1", "{a: b}\nc: [", "  a: b\nc: {null: .inf, ~: !!int x}\n",
		strings.ReplaceAll(rule("unknown: 1"), "\n", "\r\n"), strings.ReplaceAll(rule("unknown: 1"), "\n", "\r"), strings.ReplaceAll(rule("u: 1"), "\n", "\u2028"),
		"kind: Secret\napiVersion: v1\nmetadata: {name: s}\ndata: {a: 1}\n---\n- op: add\n  path: /\n",
		head + "spec: {hosts: ['{{ .Values.host }}', '${HOST}']}\n---\n{% if a %}\n" + head,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		begin := time.Now()
		in := Read([]string{"-"}, Options{Stdin: strings.NewReader(string(data))})
		require.Less(t, time.Since(begin), 20*time.Second)
		lines := lineEnd.Split(plainText(string(data)), -1)
		for _, finding := range in.Findings {
			require.NotContains(t, finding.Message, "\n")
			if finding.Place.Line == 0 {
				require.Nil(t, finding.About, "%s", finding)
				continue
			}
			requireInside(t, finding, lines)
		}
		for _, o := range in.Objects {
			for _, field := range []string{"", "spec", "metadata.name", "spec.hosts[0]", "spec.http[1].match[0]"} {
				requireInside(t, diag.Finding{Place: o.Place(field), Field: field}, lines)
			}
		}
	})
}

// lineEnd matches YAML's line ends.
var lineEnd = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]")

func requireInside(t *testing.T, f diag.Finding, lines []string) {
	require.True(t, f.Place.Line >= 1 && f.Place.Line <= len(lines), "%s: there are %d lines", f, len(lines))
	line := lines[f.Place.Line-1]
	require.True(t, f.Place.Column >= 0 && f.Place.Column <= utf8.RuneCountInString(line)+1, "%s: the line is %q", f, line)
}
