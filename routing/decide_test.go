package routing

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func table(t testing.TB, config string) *Table {
	x, err := Compile([]byte(config))
	require.NoError(t, err)
	return x
}

func (t *Table) hostName(d Decision) string {
	return t.texts.of(t.virtualHosts.at(int32(d.VirtualHost)).name)
}

func request(authority, path string, headers ...[2]string) *Request {
	r := &Request{}
	r.Set(":authority", authority)
	r.Set(":path", path)
	r.Set(":method", "GET")
	r.Set(":scheme", "http")
	for _, h := range headers {
		r.Set(h[0], h[1])
	}
	return r
}

// VS-GW-05, VS-GW-04, GW-HCM-09, VS-GW-06
func TestVirtualHosts(t *testing.T) {
	x := table(t, `{"version":1,"virtualHosts":[
		{"name":"exact","domains":["a.test","[::1]"],"rules":[]},
		{"name":"short","domains":["*.test"],"rules":[]},
		{"name":"long","domains":["*.b.test","*-c.test"],"rules":[]},
		{"name":"any","domains":["*"],"rules":[]}]}`)
	for authority, want := range map[string]string{
		"a.test": "exact", "A.TEST": "exact", "a.test:8080": "exact", "a.test:": "exact", "[::1]:80": "exact", "[::1]": "exact",
		"x.test": "short", ".test": "any", "b.test": "short", "x.b.test": "long", "x.y.b.test": "long", "x-c.test": "long", "-c.test": "short",
		"a.test.": "any", "": "any", "other": "any", "test": "any", "..........": "any",
	} {
		d := x.Decide(request(authority, "/"), Dice{})
		assert.Equal(t, want, x.hostName(d), "%q", authority)
		assert.Equal(t, -1, d.Rule, "a virtual host without rules does not fall through")
	}
	long := string(make([]byte, 300)) + ".b.test"
	assert.Equal(t, "long", x.hostName(x.Decide(request(long, "/"), Dice{})))
	none := table(t, `{"version":1,"virtualHosts":[{"name":"exact","domains":["a.test"],"rules":[]}]}`)
	assert.Equal(t, -1, none.Decide(request("b.test", "/"), Dice{}).VirtualHost)
	assert.Equal(t, -1, none.Decide(&Request{}, Dice{}).VirtualHost, "no authority")
}

// VS-MATCH-04 to VS-MATCH-10
func TestPaths(t *testing.T) {
	for rule, paths := range map[string]map[string]bool{
		`{"exact":"/foo"}`:                       {"/foo": true, "/foo?x=1": true, "/foo#f": true, "/foo/": false, "/Foo": false, "/fo": false},
		`{"exact":"/foo","ignoreCase":true}`:     {"/FOO": true, "/foo/": false, "/fo\u00d6": false},
		`{"prefix":"/foo"}`:                      {"/foo": true, "/foobar": true, "/foo/bar": true, "/fo": false, "/x/foo": false},
		`{"prefix":"/foo","ignoreCase":true}`:    {"/FOObar": true, "/fo": false},
		`{"prefix":""}`:                          {"/": true, "": true},
		`{"separated":"/foo"}`:                   {"/foo": true, "/foo/": true, "/foo/x": true, "/foo?q": true, "/foobar": false, "/fo": false},
		`{"separated":"/foo","ignoreCase":true}`: {"/FOO/x": true, "/FOOx": false},
	} {
		x := table(t, one(`{"outcome":"k","path":`+rule+`}`))
		for path, want := range paths {
			assert.Equal(t, want, x.Decide(request("a", path), Dice{}).Rule == 0, "%s on %s", rule, path)
		}
	}
}

// VS-MATCH-13 to VS-MATCH-20
func TestHeaders(t *testing.T) {
	type values = []string
	for condition, cases := range map[string][]struct {
		values values
		want   bool
	}{
		`{"name":"X-A","exact":"v"}`:                                     {{nil, false}, {values{"v"}, true}, {values{"V"}, false}, {values{""}, false}},
		`{"name":"x-a","prefix":"v"}`:                                    {{nil, false}, {values{"vw"}, true}, {values{"w"}, false}},
		`{"name":"x-a"}`:                                                 {{nil, false}, {values{""}, true}, {values{"v"}, true}},
		`{"name":"x-a","invert":true}`:                                   {{nil, true}, {values{""}, false}},
		`{"name":"x-a","exact":"v","invert":true}`:                       {{nil, false}, {values{"v"}, false}, {values{"w"}, true}},
		`{"name":"x-a","exact":"v","invert":true,"missingAsEmpty":true}`: {{nil, true}, {values{"v"}, false}, {values{"w"}, true}},
		`{"name":"x-a","exact":"","invert":true,"missingAsEmpty":true}`:  {{nil, false}, {values{""}, false}, {values{"w"}, true}},
		`{"name":"x-a","exact":"b"}`:                                     {{values{"a", "b"}, true}, {values{"a", "c"}, false}},
		`{"name":"x-a","exact":"b","invert":true}`:                       {{values{"a", "b"}, false}, {values{"a", "c"}, true}},
		`{"name":":method","exact":"GET"}`:                               {{nil, true}},
		`{"name":":authority","prefix":"a.test:"}`:                       {{nil, true}},
		`{"name":"host","exact":"a.test:80"}`:                            {{nil, true}},
		`{"name":":path","exact":"/p?q=1"}`:                              {{nil, true}},
		`{"name":":scheme","exact":"https"}`:                             {{nil, false}},
		`{"name":":status"}`:                                             {{nil, false}},
	} {
		x := table(t, one(`{"outcome":"k","headers":[`+condition+`]}`))
		for _, c := range cases {
			r := request("a.test:80", "/p?q=1")
			for _, v := range c.values {
				r.Set("x-a", v)
			}
			assert.Equal(t, c.want, x.Decide(r, Dice{}).Rule == 0, "%s on %q", condition, c.values)
		}
	}
}

// VS-MATCH-16, as Envoys before 1.39 read it
func TestRepeatedHeadersJoinedByCommas(t *testing.T) {
	x := table(t, `{"version":1,"repeatedHeaders":"joined","virtualHosts":[{"name":"h","domains":["*"],"rules":[
		{"outcome":"joined","headers":[{"name":"x-a","exact":"a,b"}]},
		{"outcome":"not b","headers":[{"name":"x-a","exact":"b","invert":true}]}]}]}`)
	assert.Equal(t, "joined", x.Decide(request("a", "/", [2]string{"x-a", "a"}, [2]string{"x-b", "z"}, [2]string{"x-a", "b"}), Dice{}).Outcome)
	assert.Equal(t, "not b", x.Decide(request("a", "/", [2]string{"x-a", "b"}, [2]string{"x-a", "b"}), Dice{}).Outcome)
	assert.Equal(t, "", x.Decide(request("a", "/", [2]string{"x-a", "b"}), Dice{}).Outcome)
}

// VS-MATCH-23, VS-MATCH-24
func TestQueryParameters(t *testing.T) {
	for condition, paths := range map[string]map[string]bool{
		`{"name":"k","exact":"v"}`:  {"/?k=v": true, "/?a=b&k=v": true, "/?k=v&k=w": true, "/?k=w&k=v": false, "/?K=v": false, "/?k=%76": false, "/": false, "/?k": false, "/?": false, "/?&k=v": true},
		`{"name":"k","exact":""}`:   {"/?k": true, "/?k=": true, "/?k=v": false, "/?a": false},
		`{"name":"k"}`:              {"/?k": true, "/?k=v": true, "/?kk=v": false, "/k": false},
		`{"name":"k","prefix":"v"}`: {"/?k=vw": true, "/?k=w": false},
	} {
		x := table(t, one(`{"outcome":"k","query":[`+condition+`]}`))
		for path, want := range paths {
			assert.Equal(t, want, x.Decide(request("a", path), Dice{}).Rule == 0, "%s on %s", condition, path)
		}
	}
}

// VS-MATCH-01
func TestTheFirstRuleThatMatchesWins(t *testing.T) {
	x := table(t, one(`{"outcome":"a","path":{"prefix":"/api"}},{"outcome":"b","path":{"prefix":"/api/v2"}},{"outcome":"c"}`))
	assert.Equal(t, "a", x.Decide(request("h", "/api/v2"), Dice{}).Outcome)
	assert.Equal(t, "c", x.Decide(request("h", "/x"), Dice{}).Outcome)
}

// VS-SPLIT-06: within the binomial 99.99 % interval, for weights that do and do not sum to 100.
func TestSharesFollowWeights(t *testing.T) {
	const n = 100_000
	for _, weights := range [][]float64{{90, 9, 1}, {1, 2, 4}} {
		x := table(t, one(`{"split":[{"outcome":"0","weight":`+text(weights[0])+`},{"outcome":"1","weight":`+text(weights[1])+`},{"outcome":"2","weight":`+text(weights[2])+`}]}`))
		dice := rand.New(rand.NewPCG(1, 2))
		var got [3]float64
		r := request("h", "/")
		for range n {
			got[x.Decide(r, Dice{Split: dice.Uint32()}).Share]++
		}
		for i, w := range weights {
			p := w / (weights[0] + weights[1] + weights[2])
			assert.InDelta(t, n*p, got[i], 3.9*math.Sqrt(n*p*(1-p)), "weights %v", weights)
		}
	}
	x := table(t, one(`{"split":[{"outcome":"0","weight":1},{"outcome":"1","weight":1}]}`))
	assert.Equal(t, 0, x.Decide(request("h", "/"), Dice{Split: 1<<31 - 1}).Share)
	assert.Equal(t, 1, x.Decide(request("h", "/"), Dice{Split: 1 << 31}).Share)
	assert.Equal(t, 1, x.Decide(request("h", "/"), Dice{Split: math.MaxUint32}).Share)
}

func text(f float64) string { return itoa(int(f)) }

// VS-FAULT-02, VS-FAULT-06
func TestFaultsAreDrawnIndependently(t *testing.T) {
	x := table(t, one(`{"outcome":"k","fault":{"delay":{"ms":7,"perMillion":500000},"abort":{"httpStatus":503,"perMillion":250000}}}`))
	const half, quarter, most = 1 << 31, 1 << 30, math.MaxUint32
	for dice, want := range map[Dice][2]uint32{
		{}: {7, 503}, {Delay: half}: {0, 503}, {Abort: quarter}: {7, 0}, {Delay: most, Abort: most}: {0, 0},
	} {
		d := x.Decide(request("h", "/"), dice)
		assert.Equal(t, want, [2]uint32{d.Delay, d.AbortHTTP}, "%v", dice)
	}
	never := table(t, one(`{"outcome":"k","fault":{"abort":{"grpcStatus":14,"perMillion":0}}}`))
	assert.False(t, never.Decide(request("h", "/"), Dice{}).HasAbortGRPC)
	always := table(t, one(`{"outcome":"k","fault":{"abort":{"grpcStatus":14,"perMillion":1000000}}}`))
	d := always.Decide(request("h", "/"), Dice{Abort: most})
	assert.True(t, d.HasAbortGRPC)
	assert.Equal(t, uint32(14), d.AbortGRPC)
}

func TestADecisionAllocatesNothing(t *testing.T) {
	x := table(t, `{"version":1,"repeatedHeaders":"joined","virtualHosts":[{"name":"h","domains":["a.test"],"rules":[
		{"outcome":"x","headers":[{"name":"x-a","exact":"a,b,c"}]},{"outcome":"y","query":[{"name":"q","exact":"1"}]},{"outcome":"z"}]}]}`)
	r := request("A.test:80", "/p?q=2", [2]string{"x-a", "a"}, [2]string{"x-a", "b"})
	x.Decide(r, Dice{}) // grows the scratch once
	assert.Zero(t, testing.AllocsPerRun(1000, func() { x.Decide(r, Dice{}) }))
}

// A request that was emptied has nothing of the earlier one: no pseudo-header, no header.
func TestResetForgetsEverything(t *testing.T) {
	r := request("a", "/x?q=1", [2]string{"x-a", "1"})
	x := table(t, one(`{"outcome":"k","rule":"first","headers":[{"name":":method"}]},{"outcome":"l"}`))
	assert.Equal(t, 0, x.Decide(r, Dice{}).Rule)
	r.Reset()
	assert.Equal(t, [4]bool{}, [4]bool{r.HasMethod, r.HasScheme, r.HasAuthority, r.HasPath})
	assert.Equal(t, [4]string{}, [4]string{r.Method, r.Scheme, r.Authority, r.Path})
	assert.Empty(t, r.Headers)
	assert.Equal(t, -1, x.Decide(r, Dice{}).VirtualHost, "no authority")
	r.Set(":authority", "a")
	assert.Equal(t, -1, x.Decide(r, Dice{}).Rule, "no path")
	r.Set(":path", "/")
	assert.Equal(t, 1, x.Decide(r, Dice{}).Rule, "no method")
}

// The first rule has a name, and no rule has none.
func TestRuleNames(t *testing.T) {
	x := table(t, one(`{"outcome":"k","rule":"first","path":{"exact":"/a"}},{"outcome":"l","rule":"second","path":{"exact":"/b"}}`))
	for path, want := range map[string]string{"/a": "first", "/b": "second", "/c": ""} {
		assert.Equal(t, want, x.RuleName(x.Decide(request("a", path), Dice{})), path)
	}
}
