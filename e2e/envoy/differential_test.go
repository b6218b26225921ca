package envoy

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/verdict"
)

// comparedPlane is the embedded data plane with the same rules.
func comparedPlane(t testing.TB, yaml string, o *envoy.Options) compared {
	_, wasm := program.ReadModule(t)
	r := rawTestbed(t, yaml)
	ctx := context.Background()
	p, err := proxy.New(ctx, wasm, proxy.Options{Intake: o.Intake()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
	require.NoError(t, p.Apply(ctx, r.plan))
	return compared{"embedded", fmt.Sprintf("127.0.0.1:%d", r.ports[""])}
}

// judged is what decide says, in the form of an answer.
func judged(v *verdict.Verdict, method string) reply {
	out := reply{Outcome: fmt.Sprint(v.Status), Location: v.Location}
	if v.Body != nil {
		out.Body = *v.Body
	}
	if method == http.MethodHead {
		out.Body = ""
	}
	if v.GRPCStatus != "" {
		out.Outcome, out.GRPC, out.Body = "200", v.GRPCStatus, ""
	}
	if v.Kind == verdict.Route {
		c := v.Clusters[0]
		out.Outcome = "200"
		out.Seen = &echo.Request{Destination: c.Name, Authority: c.Upstream.Authority, Path: c.Upstream.Path, Headers: c.Upstream.Headers}
		text, _ := json.Marshal(out.Seen)   // as the echo does
		_ = json.Unmarshal(text, &out.Seen) // which makes all texts UTF-8
	}
	return out
}

// added are headers that connection managers, routers and codecs add or write anew, and that decide leaves out.
var added = []string{"x-request-id", "x-envoy-external-address", "x-forwarded-proto", "x-forwarded-for", "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms", "x-envoy-original-host", "x-envoy-original-path", "grpc-timeout", "content-length", "transfer-encoding"}

// essence is what must be the same of an answer, whoever gave it.
func essence(r reply, all bool) string {
	if r.Outcome == "0" || r.Outcome == "reset" || r.Outcome == "closed" {
		return "refused"
	}
	if r.Seen == nil {
		if !strings.HasPrefix(r.Body, "rule:") || r.Outcome == "400" {
			r.Body = ""
		}
		if !strings.HasPrefix(r.Outcome, "30") {
			r.Location = ""
		}
		return fmt.Sprintf("%s %s %s %s", r.Outcome, r.GRPC, r.Location, r.Body)
	}
	seen := *r.Seen
	var lines []string
	for name, values := range seen.Headers {
		if all || !slices.Contains(added, name) {
			lines = append(lines, fmt.Sprintf("%s=%q", name, values))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s %s %q %q %s", r.Outcome, seen.Destination, seen.Authority, seen.Path, strings.Join(lines, " "))
}

// met is a request with all the answers to it, by name; "decide" is the verdict's.
type met struct {
	nasty
	protocol string
	answers  map[string]reply
}

func (m met) is(who, text string) bool { return m.answers[who].Outcome == text }

// explained are the classes of requests that are not answered alike, each with the reason. One that no request is of does
// not belong here.
var explained = []struct {
	why string
	// fits says whether it explains that an answer differs from Envoy's own with a list of routes.
	fits func(m met, who string) bool
}{
	{
		"Envoy refuses an upgrade where it knows a route. With a list it knows that no rule takes the request (404); with the filter, nothing is decided yet (403). Both refuse.",
		func(m met, who string) bool {
			return who != "embedded" && m.answers["native"].Seen == nil && m.is("native", "404") && m.is(who, "403") && m.has("Upgrade")
		},
	},
	{
		"The embedded data plane refuses what net/http refuses before it is asked (targets with stray percent signs or tabs, hosts with user information, CR in values, Expect, codings of the transfer), and websockets. Nothing is forwarded.",
		func(m met, who string) bool {
			refused := m.answers[who].Seen == nil && (m.is(who, "400") || m.is(who, "417") || m.is(who, "501") || essence(m.answers[who], false) == "refused")
			return who == "embedded" && refused && (!netHTTPTakes(m.nasty) || m.has("Upgrade"))
		},
	},
	{
		"The embedded data plane refuses as Envoy does, with another status: it looks at what is wrong in another order.",
		func(m met, who string) bool {
			return who == "embedded" && m.answers[who].Seen == nil && m.answers["native"].Seen == nil && m.answers["native"].Outcome >= "400" && m.answers[who].Outcome >= "400"
		},
	},
	{
		"net/http keeps Trailer to itself, and sends no empty User-Agent: the embedded data plane chooses alike and forwards without them.",
		func(m met, who string) bool {
			native, got := m.answers["native"], m.answers[who]
			return who == "embedded" && native.Seen != nil && got.Seen != nil && essence(without(native, "trailer", "user-agent"), false) == essence(without(got, "trailer", "user-agent"), false)
		},
	},
}

// netHTTPTakes says whether a server of net/http shows a request to its handler.
func netHTTPTakes(n nasty) bool {
	q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(n.String())))
	if err != nil || n.has("Expect") || n.has("Transfer-Encoding") || !httpguts.ValidHostHeader(n.host) || strings.Contains(n.host, "@") {
		return false
	}
	for name, values := range q.Header {
		if !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return false
		}
	}
	return true
}

// without is an answer without some headers that a destination saw.
func without(r reply, names ...string) reply {
	seen := *r.Seen
	seen.Headers = maps.Clone(seen.Headers)
	for _, n := range names {
		delete(seen.Headers, n)
	}
	r.Seen = &seen
	return r
}

// TestNastyRequests compares what becomes of nasty requests: decide, the embedded data plane, and Envoys that match by the
// filter, by a list, by trees, and by all of them. All must agree, or one of the classes above says why not.
func TestNastyRequests(t *testing.T) {
	for _, b := range envoys(t) {
		if len(envoys(t)) > 1 && (b.Minor == 37 || b.Minor == 38) {
			continue // between the others: they agree as well, and take their time
		}
		t.Run(b.Version, func(t *testing.T) { nastyOn(t, b, envoy.Options{Minor: b.Minor}) })
		if b.Minor == 40 {
			t.Run(b.Version+" plain", func(t *testing.T) { nastyOn(t, b, envoy.Options{Minor: b.Minor, Profile: envoy.ProfilePlain}) })
		}
	}
}

// together does something to each of a list, several at a time: most of it is waiting, since Envoy closes a connection of
// HTTP/2 a second after an error.
func together[T any](list []T, do func(T)) {
	next := make(chan T)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for x := range next {
				do(x)
			}
		})
	}
	for _, x := range list {
		next <- x
	}
	close(next)
	workers.Wait()
}

// usualSeed makes the requests of every run of the tests; WAYMARK_SEED makes others.
const usualSeed = 1

func nastyOn(t *testing.T, b envoytest.Binary, o envoy.Options) {
	var seed uint64 = usualSeed
	if text := os.Getenv("WAYMARK_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "WAYMARK_SEED")
	}
	const overHTTP1, overHTTP2 = 3400, 300
	envoys := comparedEnvoys(t, b, nastyRules, func(out *envoy.Options) { out.Profile = o.Profile })
	plane := comparedPlane(t, nastyRules, &o)
	r := rawTestbed(t, nastyRules)
	j, err := verdict.New(r.plan, o.Intake())
	require.NoError(t, err)
	all := nastyRequests(overHTTP1, seed)
	require.Len(t, all, overHTTP1)
	var results []*met
	for i, q := range all {
		results = append(results, &met{nasty: q, protocol: verdict.HTTP1, answers: map[string]reply{}})
		ofOnePart := q.target == "/a" && len(q.lines) == 0 // a method or a host
		if (ofOnePart || i%(overHTTP1/overHTTP2) == 0) && q.body == "" {
			results = append(results, &met{nasty: q, protocol: verdict.HTTP2, answers: map[string]reply{}})
		}
	}
	together(results, func(m *met) {
		for _, e := range envoys {
			m.answers[e.name] = m.send(e.address, m.protocol)
		}
		m.answers[plane.name] = m.send(plane.address, m.protocol)
	})

	used, forwarded := map[string]int{}, 0
	for _, m := range results {
		m.answers["decide"] = judged(j.Decide(m.asked(r.ports[""], m.protocol)), m.method)
		native := m.answers["native"]
		if native.Seen != nil {
			forwarded++
		}
		for who, got := range m.answers {
			between := who != "embedded" && who != "decide" // two Envoys agree on every header
			if essence(native, between) == essence(got, between) {
				continue
			}
			i := slices.IndexFunc(explained, func(e struct {
				why  string
				fits func(met, string) bool
			}) bool {
				return e.fits(*m, who)
			})
			if i < 0 {
				t.Errorf("%s differs, %s: %q\n  native: %s\n  %s: %s", who, m.protocol, m.String(), essence(native, between), who, essence(got, between))
				continue
			}
			used[explained[i].why]++
		}
	}
	for _, e := range explained {
		if seed != usualSeed {
			break // a class may be rare
		}
		assert.Positive(t, used[e.why], "nothing is explained by: %s", e.why)
		t.Logf("%4d: %s", used[e.why], e.why)
	}
	t.Logf("%d requests, %d forwarded", len(results), forwarded)
	assert.Greater(t, forwarded, 700)
}

// TestLargeHeaders compares what becomes of requests about as large as Envoy takes them, by the number of lines and by
// their bytes, with what decide says. A direct response answers, so that no upstream has limits of its own.
func TestLargeHeaders(t *testing.T) {
	lines := func(n int, name string) (out [][2]string) {
		for i := range n {
			out = append(out, [2]string{strings.ReplaceAll(name, "N", strconv.Itoa(i)), "v"})
		}
		return out
	}
	var all []nasty
	for n := 94; n <= 102; n++ {
		for _, name := range []string{"x-N", "x-one", "via", "cookie"} {
			all = append(all, nasty{lines: lines(n, name)})
		}
		all = append(all, nasty{lines: append(lines(n, "x-N"), [2]string{"Host", "a.test"})}, nasty{lines: append(lines(n, "x-N"), lines(5, "via")...)})
	}
	for d := -56; d <= -36; d++ { // the other bytes of the request
		long := strings.Repeat("a", 60<<10+d)
		all = append(all, nasty{lines: [][2]string{{"x-long", long}}}, nasty{target: "/admin?" + long})
	}
	long := strings.Repeat("a", 61<<10)
	bad := [2]string{"x a", "1"}
	all = append(all,
		nasty{lines: [][2]string{{"x-long", long}, bad}}, nasty{lines: [][2]string{bad, {"x-long", long}}},
		nasty{lines: append(lines(101, "x-N"), bad)}, nasty{lines: append([][2]string{bad}, lines(101, "x-N")...)},
		nasty{method: "GE(T", lines: [][2]string{{"x-long", long}}}, nasty{method: "CONNECT", lines: [][2]string{{"x-long", long}}},
		nasty{target: "/%00", lines: lines(101, "x-N")}, nasty{host: "a/b", lines: lines(101, "x-N")}, nasty{lines: append(lines(101, "x-N"), [2]string{"Connection", "host"})},
		nasty{lines: [][2]string{{"cookie", long}}}, nasty{lines: [][2]string{{"cookie", strings.Repeat("a", 40<<10)}, {"cookie", strings.Repeat("b", 40<<10)}}},
		nasty{lines: [][2]string{{"via", strings.Repeat("a", 40<<10)}, {"via", strings.Repeat("b", 21<<10)}}},
	)
	for _, target := range []string{"/\x01", "\x01/", "/\x01x", "/\xff", "/a b", "a", "http://", "http://a.test/\x01", "http://a.test\x01/", "*\x01", "*x", "/admin\r"} {
		all = append(all, nasty{target: target, lines: [][2]string{{"x-long", long}}})
	}
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			o := envoy.Options{Minor: b.Minor}
			envoys := comparedEnvoys(t, b, nastyRules, func(*envoy.Options) {})
			r := rawTestbed(t, nastyRules)
			j, err := verdict.New(r.plan, o.Intake())
			require.NoError(t, err)
			var mu sync.Mutex
			outcomes := map[string]int{}
			together(all, func(q nasty) {
				q.method, q.target, q.host = cmp.Or(q.method, "GET"), cmp.Or(q.target, "/admin"), cmp.Or(q.host, "a.test")
				for _, protocol := range []string{verdict.HTTP1, verdict.HTTP2} {
					asked := q.asked(r.ports[""], protocol)
					for _, e := range envoys {
						got := q.send(e.address, protocol)
						mu.Lock() // Judge and testing.T are shared
						assert.Equal(t, essence(judged(j.Decide(asked), q.method), false), essence(got, false), "%s, %s: %.200q", e.name, protocol, q.String())
						outcomes[protocol+" "+essence(got, false)]++
						mu.Unlock()
					}
				}
			})
			t.Log(outcomes)
			assert.Len(t, outcomes, 6) // 403, 400, 404 and 431; over HTTP/2, 403 or no answer
		})
	}
}
