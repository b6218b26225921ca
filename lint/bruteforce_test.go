package lint_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/internal/bruteforce"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/space"
	"waymark.dev/waymark/verdict"
)

// checked translates resources and checks them.
func checked(t *testing.T, text string, intake effect.Intake) (*verdict.Judge, *lint.Report) {
	t.Helper()
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
	require.False(t, in.Findings.HasErrors(), in.Findings)
	w := gateway.All(in.Set, translate.Options{})
	require.NotNil(t, w.Plan)
	j, err := verdict.New(w.Plan, intake)
	require.NoError(t, err)
	return j, lint.Check(j, lint.Options{Written: translate.Written(in.Set, "cluster.local")})
}

// TestFindingsAreTrueAndComplete holds every finding about generated rules against all requests that can make a difference.
func TestFindingsAreTrueAndComplete(t *testing.T) {
	dead, contested, idle := 0, 0, 0
	for seed := range bruteforce.Sets(t) {
		truth := checkSeed(t, uint64(seed))
		if truth == nil {
			continue
		}
		dead, contested, idle = dead+len(truth.dead), contested+len(truth.contested), idle+len(truth.idle)
	}
	assert.Positive(t, dead)
	assert.Positive(t, contested)
	assert.Positive(t, idle)
}

func FuzzFindings(f *testing.F) {
	f.Add(uint64(14))
	f.Fuzz(func(t *testing.T, seed uint64) { checkSeed(t, seed) })
}

// checkSeed checks one generated set of rules. It returns what is true of it, or nil if it has too many requests.
func checkSeed(t *testing.T, seed uint64) *facts {
	t.Helper()
	text := bruteforce.Resources(rand.New(rand.NewPCG(14, seed)))
	j, report := checked(t, text, effect.Intake{})
	truth := truthOf(j)
	if truth == nil {
		return nil
	}
	said := saidIn(report)
	if !assert.Equal(t, truth.dead, said.dead, "dead rules") || !assert.Equal(t, truth.contested, said.contested, "order") ||
		!assert.Equal(t, truth.idle, said.idle, "idle conditions") || !truth.check(t, j, report) {
		t.Fatalf("seed %d:\n%s", seed, text)
	}
	return truth
}

// facts are what is true of a set of rules.
type facts struct {
	dead, contested, idle []string
	places                []place
}

// place is where rules stand, with all requests that reach it.
type place struct {
	space.Place
	requests *bruteforce.Requests
	list     *bruteforce.List
}

func (p *place) String() string { return fmt.Sprintf("%s:%d", p.Domain, p.Listener.Port) }

// mostRequests bounds the requests of a place: sets with more are left out.
const mostRequests = 150_000

func truthOf(j *verdict.Judge) *facts {
	out := &facts{}
	live, stands := map[string]bool{}, map[string]int{}
	always := map[string]int{}
	contested := map[string]bool{}
	for _, at := range space.AllPlaces(j.Plan()) {
		rules := at.Host.Rules
		reaches := func(authority string) bool {
			return effect.HostFor(at.Chain.Routes, authority) == at.Host && effect.Domain(at.Host, authority) == at.Domain
		}
		p := place{at, bruteforce.Make(at.Listener.Port, at.Domain, reaches, 3, rules), nil}
		if p.requests.Count() > mostRequests {
			return nil
		}
		p.list = p.requests.List(rules)
		out.places = append(out.places, p)
		for _, r := range rules {
			stands[r.String()]++
			for _, field := range p.requests.Idle(r) {
				always[r.String()+" "+field]++
			}
		}
		p.requests.Each(func(q bruteforce.Request) {
			first := p.list.First(q, nil)
			if first < 0 {
				return
			}
			live[rules[first].String()] = true
			a := rules[first]
			second := p.list.First(q, func(i int) bool { return rules[i].VirtualService() == a.VirtualService() })
			if second < 0 {
				return
			}
			if b := rules[second]; a.Match.IsCatchAll() == b.Match.IsCatchAll() && bruteforce.Outcome(a, q) != bruteforce.Outcome(b, q) {
				contested[fmt.Sprintf("%s %s %v", a.VirtualService(), b.VirtualService(), &p)] = true
			}
		})
	}
	for name := range stands {
		if !live[name] {
			out.dead = append(out.dead, name)
		}
	}
	for key, n := range always {
		name, _, _ := strings.Cut(key, " ")
		if live[name] && n == stands[name] {
			out.idle = append(out.idle, key)
		}
	}
	for key := range contested {
		out.contested = append(out.contested, key)
	}
	out.sort()
	return out
}

func (f *facts) sort() {
	slices.Sort(f.dead)
	slices.Sort(f.contested)
	slices.Sort(f.idle)
}

// saidIn is the same of a report. Rules that are dropped stand nowhere, and are left to other tests.
func saidIn(report *lint.Report) *facts {
	out := &facts{}
	for _, f := range report.Findings {
		switch f.Code {
		case lint.Covered, lint.Contradictory:
			out.dead = append(out.dead, f.Rule)
		case lint.AlwaysMet, lint.Implied:
			out.idle = append(out.idle, f.Rule+" "+f.Condition)
		case lint.OrderDecides:
			for _, w := range f.Where {
				out.contested = append(out.contested, fmt.Sprintf("%s %s %s:%d", f.VirtualServices[0], f.VirtualServices[1], w.Domain, w.Port))
			}
		}
	}
	out.sort()
	return out
}

// check tries out what the findings prove: every witness, every cover, and every place where a live rule is dead.
func (f *facts) check(t *testing.T, j *verdict.Judge, report *lint.Report) bool {
	t.Helper()
	ok := true
	takes := func(rule string, r *verdict.Request) {
		for _, l := range j.Plan().Listeners {
			if l.Port == r.GatewayPort {
				taken := j.Take(l.Chains[0], *r)
				ok = ok && assert.GreaterOrEqual(t, taken.Rule, 0, "%s: %v", rule, r) && assert.Equal(t, rule, taken.Host.Rules[taken.Rule].String(), r)
			}
		}
	}
	for _, r := range report.Rules {
		ok = ok && assert.False(t, r.Unknown, r.Rule)
		if r.Live {
			takes(r.Rule, r.Witness)
		}
	}
	for _, finding := range report.Findings {
		switch finding.Code {
		case lint.Covered:
			var names []string
			for _, c := range finding.CoveredBy {
				names = append(names, c.Rule)
				takes(c.Rule, c.Witness)
			}
			ok = ok && assert.True(t, f.covered(finding.Rule, names), "%s is not covered by %v", finding.Rule, names)
			for i := range names {
				less := slices.Delete(slices.Clone(names), i, i+1)
				ok = ok && assert.False(t, f.covered(finding.Rule, less), "%s is covered by %v alone", finding.Rule, less)
			}
			ok = ok && assert.Equal(t, f.differs(finding.Rule), *finding.Differs, "%s: differs", finding.Rule)
		case lint.DeadSomewhere:
			for _, w := range finding.Where {
				ok = ok && assert.False(t, f.lives(finding.Rule, fmt.Sprintf("%s:%d", w.Domain, w.Port)), "%s lives on %v", finding.Rule, w)
			}
		}
	}
	for _, p := range f.places {
		for _, r := range p.Host.Rules {
			if slices.Contains(f.dead, r.String()) || f.lives(r.String(), p.String()) {
				continue
			}
			ok = ok && assert.True(t, slices.ContainsFunc(report.Findings, func(finding lint.Finding) bool {
				return finding.Code == lint.DeadSomewhere && finding.Rule == r.String() && slices.Contains(finding.Where, lint.Where{Port: p.Listener.Port, Domain: p.Domain})
			}), "%s is dead on %v", r, &p)
		}
	}
	return ok
}

// covered reports whether rules take all that a rule matches, wherever it stands.
func (f *facts) covered(rule string, by []string) bool {
	for _, p := range f.places {
		i := slices.IndexFunc(p.Host.Rules, func(r *plan.Rule) bool { return r.String() == rule })
		if i < 0 {
			continue
		}
		open := false
		p.requests.Each(func(q bruteforce.Request) {
			first := p.list.First(q, func(k int) bool { return k > i || k < i && !slices.Contains(by, p.Host.Rules[k].String()) })
			open = open || first == i
		})
		if open {
			return false
		}
	}
	return true
}

// differs reports whether a dead rule would do something else with some request.
func (f *facts) differs(rule string) (out bool) {
	for _, p := range f.places {
		i := slices.IndexFunc(p.Host.Rules, func(r *plan.Rule) bool { return r.String() == rule })
		if i < 0 {
			continue
		}
		p.requests.Each(func(q bruteforce.Request) {
			if p.list.Matches(i, q) {
				out = out || bruteforce.Outcome(p.Host.Rules[i], q) != bruteforce.Outcome(p.Host.Rules[p.list.First(q, nil)], q)
			}
		})
	}
	return out
}

// lives reports whether a rule takes a request at a place.
func (f *facts) lives(rule, at string) (out bool) {
	for _, p := range f.places {
		if p.String() == at {
			p.requests.Each(func(q bruteforce.Request) {
				first := p.list.First(q, nil)
				out = out || first >= 0 && p.Host.Rules[first].String() == rule
			})
		}
	}
	return out
}
