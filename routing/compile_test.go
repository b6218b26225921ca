package routing

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// one wraps a rule into a whole configuration.
func one(rule string) string {
	return `{"version":1,"virtualHosts":[{"name":"h","domains":["*"],"rules":[` + rule + `]}]}`
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	never := base64.StdEncoding.EncodeToString((&Program{Code: []Instruction{{Op: OpFail}}}).Marshal())
	every := base64.StdEncoding.EncodeToString(anything().Marshal())
	for text, want := range map[string]string{
		``:                "not a JSON document",
		`{"version":1`:    "not a JSON document",
		`{"version":1}{}`: "not a JSON document",
		`[]`:              "want an object",
		`{}`:              "version is missing; virtualHosts is missing",
		`{"version":2,"virtualHosts":[],"unheardOf":1}`:                                            "version: this filter reads version 1, got 2",
		`{"version":1,"requires":["one","two"],"unheardOf":1,"virtualHosts":[]}`:                   `requires: this filter does not know "one", "two"; use the module of the Waymark that wrote the configuration`,
		`{"version":1,"requires":"one","virtualHosts":[]}`:                                         "requires: want an array, got the string",
		`{"version":1,"version":1,"virtualHosts":[]}`:                                              `key "version" occurs twice`,
		`{"version":1,"virtualHosts":[],"x":1}`:                                                    `unknown field "x"`,
		`{"version":"1","virtualHosts":[]}`:                                                        `version: want a whole number between 1 and 1, got "1"`,
		`{"version":1,"virtualHosts":{}}`:                                                          "virtualHosts: want an array, got an object",
		`{"version":1,"repeatedHeaders":"some","virtualHosts":[]}`:                                 `repeatedHeaders: want each or joined, got "some"`,
		strings.Repeat("[", 100000):                                                                "nested deeper than 32 levels",
		`{"version":1,"virtualHosts":[{"name":"h","rules":[]}]}`:                                   "virtualHosts[0]: domains is missing or empty",
		`{"version":1,"virtualHosts":[{"domains":["A"],"rules":[]}]}`:                              `domains[0]: want a domain in lower case, got "A"`,
		`{"version":1,"virtualHosts":[{"domains":["a"],"rules":[]},{"domains":["a"],"rules":[]}]}`: `virtualHosts[1].domains[0]: domain "a" occurs twice`,
		`{"version":1,"virtualHosts":[{"domains":["*","*"],"rules":[]}]}`:                          `domain "*" occurs twice`,
		one(`{"rule":"r"}`): "rules[0]: want an outcome or a split",
		one(`{"outcome":"k","split":[{"outcome":"a","weight":1}]}`):           "want either an outcome or a split, got both",
		one(`{"outcome":"k","path":{}}`):                                      "rules[0].path: want one of exact, prefix, separated and regex",
		one(`{"outcome":"k","path":{"exact":"/","prefix":"/"}}`):              "want only one of exact",
		one(`{"outcome":"k","path":{"regex":0}}`):                             "rules[0].path.regex: there are no regexes",
		one(`{"outcome":"k","headers":[{"exact":"x"}]}`):                      "headers[0]: name is missing",
		one(`{"outcome":"k","headers":[{"name":"x","missingAsEmpty":true}]}`): "missingAsEmpty needs exact, prefix or regex",
		one(`{"outcome":"k","query":[{"name":"x","exact":7}]}`):               "query[0].exact: want a string, got 7",
		one(`{"outcome":""}`):                                                 "an outcome has a non-empty id",
		one(`{"split":[{"outcome":"a","weight":0}]}`):                         "weight: want a whole number between 1",
		one(`{"split":[{"outcome":"a","weight":2147483647},{"outcome":"b","weight":2147483647},{"outcome":"c","weight":2147483647}]}`):  "more than 4294967295",
		one(`{"outcome":"k","fault":{"delay":{"perMillion":1}}}`):                                                                       "fault.delay: ms is missing",
		one(`{"outcome":"k","fault":{"abort":{"perMillion":1}}}`):                                                                       "fault.abort: want one of httpStatus and grpcStatus",
		one(`{"outcome":"k","fault":{"abort":{"httpStatus":42,"perMillion":1}}}`):                                                       "httpStatus: want a whole number between 200 and 600, got 42",
		one(`{"outcome":"k","fault":{"abort":{"httpStatus":500,"perMillion":1000001}}}`):                                                "perMillion: want a whole number between 0 and 1000000",
		`{"version":1,"virtualHosts":[],"regexes":[]}`:                                                                                  "want the regexes before the virtualHosts",
		`{"version":1,"programs":["TgAA"],"virtualHosts":[]}`:                                                                           "programs[0]: is not a compiled regular expression",
		`{"version":1,"regexes":[{"pattern":"a","program":0}],"virtualHosts":[]}`:                                                       "regexes[0].program: there are no programs",
		`{"version":1,"programs":["` + never + `"],"regexes":[{"program":1}],"virtualHosts":[]}`:                                        "regexes[0].program: want a whole number between 0 and 0, got 1",
		`{"version":1,"programs":["` + never + `"],"regexes":[{"program":0,"contains":["abc"]}],"virtualHosts":[]}`:                     "regexes[0].contains[0]: want 2, 4 or 8 bytes, got 3",
		`{"version":1,"programs":["` + never + `"],"regexes":[{"program":0}],"sets":[{"regexes":[0],"program":0}],"virtualHosts":[]}`:   "sets[0].program: is not an automaton",
		`{"version":1,"programs":["` + every + `"],"sets":[{"regexes":[],"program":0}],"virtualHosts":[]}`:                              "sets[0]: the automaton does not belong to the regexes",
		`{"version":1,"programs":["` + every + `"],"regexes":[{"program":0}],"sets":[{"regexes":[0,0],"program":0}],"virtualHosts":[]}`: "regex 0 is in two sets",
	} {
		_, err := Compile([]byte(text))
		var e *ConfigError
		if assert.True(t, errors.As(err, &e), text) {
			assert.Contains(t, err.Error(), want, text)
		}
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	_, err := Compile([]byte(one(`{"a":1,"outcome":2},{"outcome":"k","b":1}`)))
	var e *ConfigError
	require.True(t, errors.As(err, &e))
	assert.Equal(t, []string{
		`virtualHosts[0].rules[0]: unknown field "a"`,
		`virtualHosts[0].rules[0].outcome: want a string, got 2`,
		`virtualHosts[0].rules[1]: unknown field "b"`,
	}, []string{e.Problems[0].String(), e.Problems[1].String(), e.Problems[2].String()})
	assert.Len(t, e.Problems, 3)
}

// TestEveryFieldIsRead holds the reader against the type that writers marshal.
func TestEveryFieldIsRead(t *testing.T) {
	text := "/a"
	regex, status, grpc := 0, uint32(503), uint32(14)
	c := Config{
		Version: 1, Name: "n", RepeatedHeaders: RepeatedHeadersJoined,
		Programs: [][]byte{(&Program{Code: []Instruction{{Op: OpMatch}}}).Marshal(), anything().Marshal()},
		Regexes:  []Regex{{Pattern: "a", Prefix: "/", Contains: []string{"ab"}, EndsWith: []string{"abcd"}, Program: 0}},
		Sets:     []RegexSet{{Regexes: []int{0}, Program: 1}},
		VirtualHosts: []VirtualHost{{Name: "h", Domains: []string{"a.test", "*.test", "*"}, Rules: []Rule{
			{Name: "r", Path: &PathMatch{Separated: &text, IgnoreCase: true}, Outcome: "k",
				Headers: []HeaderMatch{{Name: "x", StringMatch: StringMatch{Exact: &text}, Invert: true, MissingAsEmpty: true}, {Name: "y", StringMatch: StringMatch{Regex: &regex}}},
				Query:   []QueryMatch{{Name: "q", StringMatch: StringMatch{Prefix: &text}}},
				Fault:   &Fault{Delay: &Delay{Milliseconds: 1, PerMillion: 2}, Abort: &Abort{HTTPStatus: &status, PerMillion: 3}}},
			{Name: "s", Never: true, Path: &PathMatch{StringMatch: StringMatch{Exact: &text}}, Split: []Share{{"a", 1}, {"b", 2}}, Fault: &Fault{Abort: &Abort{GRPCStatus: &grpc}}},
			{Name: "t", Path: &PathMatch{StringMatch: StringMatch{Regex: &regex}}, Outcome: "k"},
		}}},
	}
	doc, err := json.Marshal(&c)
	require.NoError(t, err)
	table, err := Compile(doc)
	require.NoError(t, err)
	assert.Equal(t, 3, table.Rules())
	u := table.rules.at(0)
	assert.EqualValues(t, 32, unsafe.Sizeof(*u), "two rules are one line of a processor's cache")
	assert.Equal(t, comparison{kind: matchSeparated, value: u.path.value, ignoreCase: true}, u.path)
	assert.Equal(t, "/a", table.texts.of(u.path.value))
	h := table.conditions.at(0)
	assert.Equal(t, condition{comparison: comparison{kind: matchExact, value: h.value}, subject: table.names.find("x", false), invert: true, missingAsEmpty: true}, *h)
	assert.Equal(t, fault{delay: 1, delayPerMillion: 2, abortStatus: 503, abortPerMillion: 3}, table.extras.at(u.extra).fault)
	shares := table.extras.at(table.rules.at(1).extra).split
	assert.Equal(t, split{0, 2}, shares)
	assert.Equal(t, []uint32{1, 3}, []uint32{table.shares.at(0).end, table.shares.at(1).end})
	assert.Equal(t, int32(unmet), table.rules.at(1).to)
	e := table.expressions.at(0)
	assert.Equal(t, expression{prefix: e.prefix, from: 0, ends: 1, to: 2, program: 0, set: 0}, *e)
	assert.Equal(t, []string{"/", "ab", "abcd"}, []string{table.texts.of(e.prefix), table.texts.of(table.index.texts[0]), table.texts.of(table.index.texts[1])})
	assert.Equal(t, anything(), table.sets[0].automaton)
}

// anything is an automaton that takes every value.
func anything() *Automaton {
	return &Automaton{Classes: new([256]uint8), Width: 1, Start: 1, Next: []uint16{0, 1}, Accept: []uint16{0, 1}, Lists: [][]uint16{{}, {0}}}
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(one(`{"outcome":"k","path":{"prefix":"/"}}`)), "/a", "a.test")
	f.Add([]byte(`{"version":1,"virtualHosts":[{"name":"h","domains":["*.a"],"rules":[]}]}`), "", "")
	f.Fuzz(func(t *testing.T, config []byte, path, host string) {
		table, err := Compile(config)
		if err != nil {
			return
		}
		var r Request
		r.Set(":path", path)
		r.Set(":authority", host)
		d := table.Decide(&r, Dice{Split: 1 << 31})
		if d.Rule >= 0 && d.Outcome == "" {
			t.Error("a rule without an outcome")
		}
	})
}

func TestBase64(t *testing.T) {
	for _, s := range []string{"", "a", "ab", "abc", "abcd", "\x00\xff\xfe"} {
		text, err := json.Marshal([]byte(s))
		require.NoError(t, err)
		got, ok := appendBase64([]byte("before"), strings.Trim(string(text), `"`))
		assert.True(t, ok)
		assert.Equal(t, "before"+s, string(got))
	}
	for _, s := range []string{"a", "a===", "====", "ab!=", "=abc"} {
		_, ok := appendBase64(nil, s)
		assert.False(t, ok, s)
	}
}

// Escapes of JSON, half of a surrogate pair and what is cut off among them.
func TestEscapes(t *testing.T) {
	for text, want := range map[string]string{
		`\u00e9`: "é", `\u0041B`: "AB", `\ud83d\ude00`: "😀", `\ud83d`: "\ufffd", `\ud83dx`: "\ufffdx", `\"\\\/\b\f\n\r\t`: "\"\\/\b\f\n\r\t",
	} {
		assert.Equal(t, want, table(t, `{"version":1,"name":"`+text+`","virtualHosts":[]}`).Name(), text)
	}
	for _, text := range []string{`"\u00e`, `"\u00e"`, `"\u00g9"`, `"\u`, `"\`, `"\x"`, `"\ud83d\u12`} {
		_, err := Compile([]byte(`{"version":1,"virtualHosts":[],"name":` + text))
		assert.ErrorContains(t, err, "not a JSON document", text)
		_, err = Compile([]byte(`{"version":1,"virtualHosts":[],"name":` + text + `}`))
		assert.ErrorContains(t, err, "not a JSON document", text)
	}
}
