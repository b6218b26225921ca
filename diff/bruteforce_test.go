package diff_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diff"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/internal/bruteforce"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/space"
	"waymark.dev/waymark/verdict"
)

// judges makes the judges of two sets of resources.
func judges(t *testing.T, before, after string) (old, now *verdict.Judge) {
	t.Helper()
	load := func(text string) *resource.Set {
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
		require.False(t, in.Findings.HasErrors(), in.Findings)
		return in.Set
	}
	a, b := gateway.Pair(load(before), load(after), translate.Options{})
	var out [2]*verdict.Judge
	for i, w := range []*gateway.Whole{a, b} {
		require.NotNil(t, w.Plan)
		j, err := verdict.New(w.Plan, effect.Intake{})
		require.NoError(t, err)
		out[i] = j
	}
	return out[0], out[1]
}

// changed makes a change of generated resources: documents and rules that move, appear, vanish or differ in one value.
func changed(r *rand.Rand, text string) string {
	documents := strings.Split(text, "---\n")
	i := 1 + 3 + r.IntN(len(documents)-4) // after the Gateway and the Services
	head, rules, _ := strings.Cut(documents[i], "  http:\n")
	list := strings.SplitAfter(rules, "\n  - ")
	for k := range list {
		if k < len(list)-1 {
			list[k] = strings.TrimSuffix(list[k], "  - ")
		}
		if k > 0 {
			list[k] = "  - " + list[k]
		}
	}
	k := r.IntN(len(list))
	switch r.IntN(6) {
	case 0:
		list = append(list[:k:k], append([]string{bruteforce.Rule(r)}, list[k:]...)...)
	case 1:
		if len(list) > 1 {
			list = slices.Delete(list, k, k+1)
		}
	case 2:
		m := r.IntN(len(list))
		list[k], list[m] = list[m], list[k]
	case 3:
		list[k] = strings.NewReplacer("s0", "s1", "s1", "s2", "s2", "s0").Replace(list[k])
	case 4:
		list[k] = bruteforce.Rule(r)
	case 5:
		head = strings.NewReplacer("a.test", "b.test", "b.test", "a.test").Replace(head)
	}
	documents[i] = head + "  http:\n" + strings.Join(list, "")
	return strings.Join(documents, "---\n")
}

// TestChangesAreTrueAndComplete holds the changes between generated sets of rules against all requests that can make a
// difference.
func TestChangesAreTrueAndComplete(t *testing.T) {
	differing, same := 0, 0
	for seed := range bruteforce.Sets(t) {
		r := rand.New(rand.NewPCG(41, uint64(seed)))
		before := bruteforce.Resources(r)
		after := changed(r, before)
		old, now := judges(t, before, after)
		want, ok := truth(old, now)
		if !ok {
			continue
		}
		report := diff.Compare(old, now, diff.Options{})
		var got []string
		for _, h := range report.Hosts {
			for _, c := range h.Changes {
				got = append(got, fmt.Sprint(h.Port, " ", h.Domain, " ", name(c.Old), " ", name(c.New)))
				checkWitness(t, old, now, c)
			}
		}
		slices.Sort(got)
		if !assert.Equal(t, want, got) || !assert.Empty(t, report.Unknown) || !assert.Equal(t, len(want) == 0, report.Same) || t.Failed() {
			t.Fatalf("seed %d:\n%s\n=====\n%s", seed, before, after)
		}
		if report.Same {
			same++
		} else {
			differing++
		}
	}
	assert.Positive(t, differing)
	assert.Positive(t, same)
}

func name(s diff.Side) string {
	if s.Rule == nil {
		return "none"
	}
	return *s.Rule
}

// checkWitness holds the request of a change against the engine.
func checkWitness(t *testing.T, old, now *verdict.Judge, c diff.Change) {
	t.Helper()
	for _, x := range []struct {
		judge *verdict.Judge
		side  diff.Side
	}{{old, c.Old}, {now, c.New}} {
		got := "none"
		for _, l := range x.judge.Plan().Listeners {
			if taken := x.judge.Take(l.Chains[0], c.Witness); l.Port == c.Witness.GatewayPort && taken.Rule >= 0 {
				got = taken.Host.Rules[taken.Rule].String()
			}
		}
		assert.Equal(t, name(x.side), got, c.Witness)
	}
}

// mostRequests bounds the requests of a domain: changes with more are left out.
const mostRequests = 100_000

// truth are the pairs of rules that differ, by trying all requests.
func truth(old, now *verdict.Judge) (out []string, ok bool) {
	type domain struct {
		port uint32
		name string
	}
	domains := map[domain]bool{}
	for _, j := range []*verdict.Judge{old, now} {
		for _, at := range space.AllPlaces(j.Plan()) {
			domains[domain{at.Listener.Port, at.Domain}] = true
		}
	}
	for d := range domains {
		// the host of either side, and whether an authority is one of the domain
		host := func(j *verdict.Judge, authority string) (*plan.VirtualHost, string) {
			for _, l := range j.Plan().Listeners {
				if l.Port == d.port {
					if h := effect.HostFor(l.Chains[0].Routes, authority); h != nil {
						return h, effect.Domain(h, authority)
					}
				}
			}
			return nil, ""
		}
		reaches := func(authority string) bool {
			_, a := host(old, authority)
			_, b := host(now, authority)
			return (a == d.name || b == d.name) && len(a) <= len(d.name) && len(b) <= len(d.name)
		}
		sample := strings.Replace(d.name, "*", "zz", 1)
		before, _ := host(old, sample)
		after, _ := host(now, sample)
		lists := [2][]*plan.Rule{}
		for i, h := range []*plan.VirtualHost{before, after} {
			if h != nil {
				lists[i] = h.Rules
			}
		}
		q := bruteforce.Make(d.port, d.name, reaches, 3, lists[0], lists[1])
		if q.Count() > mostRequests {
			return nil, false
		}
		a, b := q.List(lists[0]), q.List(lists[1])
		seen := map[[2]int]bool{}
		q.Each(func(r bruteforce.Request) {
			i, k := a.First(r, nil), b.First(r, nil)
			if seen[[2]int{i, k}] || bruteforce.Outcome(at(lists[0], i), r) == bruteforce.Outcome(at(lists[1], k), r) {
				return
			}
			seen[[2]int{i, k}] = true
			out = append(out, fmt.Sprint(d.port, " ", d.name, " ", ref(lists[0], i), " ", ref(lists[1], k)))
		})
	}
	slices.Sort(out)
	return out, true
}

func at(list []*plan.Rule, i int) *plan.Rule {
	if i < 0 {
		return nil
	}
	return list[i]
}

func ref(list []*plan.Rule, i int) string {
	if i < 0 {
		return "none"
	}
	return list[i].String()
}

// TestSameWithstandsAttacks sends random and targeted requests at both sides of changes. A request that is answered in another
// way must belong to a pair of rules that is reported.
func TestSameWithstandsAttacks(t *testing.T) {
	for seed := range bruteforce.Sets(t) / 8 {
		r := rand.New(rand.NewPCG(11, uint64(seed)))
		before := bruteforce.Resources(r)
		after := changed(r, before)
		old, now := judges(t, before, after)
		report := diff.Compare(old, now, diff.Options{})
		reported := map[string]bool{}
		for _, h := range report.Hosts {
			for _, c := range h.Changes {
				reported[fmt.Sprint(h.Port, name(c.Old), name(c.New))] = true
			}
		}
		texts := append(bruteforce.Texts(old.Plan()), bruteforce.Texts(now.Plan())...)
		for range 10_000 {
			request := bruteforce.Attack(r, 80, []string{"a.test", "b.test", "*.test"}[r.IntN(3)], texts)
			a, b := old.Decide(request), now.Decide(request)
			if does(a) != does(b) && !assert.True(t, reported[fmt.Sprint(80, taker(a), taker(b))], "seed %d: %v\n%s\n%s", seed, request, does(a), does(b)) {
				return
			}
		}
	}
}

// does is what a verdict does, without the names of rules. Both answers 404 are the same.
func does(v *verdict.Verdict) string {
	location := v.Location
	out := fmt.Sprint(v.Kind, v.Status, location, v.Timeout)
	if v.Kind == verdict.NoVirtualHost || v.Kind == verdict.NoRoute {
		return "404"
	}
	for _, c := range v.Clusters {
		out += fmt.Sprint(c.Name, c.Weight, c.Upstream.Path)
	}
	return out
}

func taker(v *verdict.Verdict) string {
	if v.Route == nil {
		return "none"
	}
	return v.Ref()
}

// TestTheSameAnswerEachTime: witnesses do not depend on the order in which maps are visited. The rules have conditions on two
// headers, so that a request needs several values of each.
func TestTheSameAnswerEachTime(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 13))
	values := []string{"exact: u", "exact: v", "prefix: u", "regex: '.*v'", "regex: 'u.+'"}
	for range 40 {
		var list []string
		for i := range 6 {
			list = append(list, fmt.Sprintf("  - match: [{headers: {x-a: {%s}, x-b: {%s}}, withoutHeaders: {x-a: {%s}}}]\n    directResponse: {status: %d}\n",
				values[r.IntN(5)], values[r.IntN(5)], values[r.IntN(5)], 200+i))
		}
		head, _, _ := strings.Cut(rules, "  - match")
		before := head + strings.Join(list, "")
		r.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		old, now := judges(t, before, head+strings.Join(list, ""))
		first, err := json.Marshal(diff.Compare(old, now, diff.Options{}))
		require.NoError(t, err)
		for range 5 {
			again, err := json.Marshal(diff.Compare(old, now, diff.Options{}))
			require.NoError(t, err)
			require.Equal(t, string(first), string(again))
		}
	}
}
