package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/space"
	"waymark.dev/waymark/verdict"
)

// Report is what differs between two plans.
type Report struct {
	Same bool `json:"same"`
	// Loss is set if a request that had a destination has no rule now.
	Loss  bool   `json:"loss"`
	Hosts []Host `json:"hosts"`
	// Unknown are the pairs of rules of which it is not known whether a request is answered in another way.
	Unknown []string `json:"unknown"`
}

// Host is a domain on a port.
type Host struct {
	Port    uint32   `json:"port"`
	Proxy   string   `json:"proxy,omitempty"` // if the plans have several
	Domain  string   `json:"domain"`
	Same    bool     `json:"same"`
	Changes []Change `json:"changes"`
}

// Change is a pair of rules with the requests that one took before and the other one takes now.
type Change struct {
	Old     Side            `json:"old"`
	New     Side            `json:"new"`
	Witness verdict.Request `json:"witness"`
	// Whole is set if it is known that all requests of the pair are answered in another way.
	Whole bool `json:"whole"`
	Loss  bool `json:"loss"`
	When  When `json:"when"`
	// Text is the witness on one line.
	Text string `json:"text"`
}

// Side is one side of a change: Rule is nil if no rule takes the request.
type Side struct {
	Rule     *string          `json:"rule"`
	Decision *verdict.Verdict `json:"decision"`
}

// When are the conditions that the requests of a pair meet: those of both rules, and none of some other matches.
type When struct {
	Match Match   `json:"match"`
	Not   []Match `json:"not,omitempty"`
}

// Options are what a comparison needs beside the plans.
type Options struct {
	// Progress is called now and then with how many domains were compared.
	Progress func(done, all int)
}

// mostNot bounds the other matches in [When].
const mostNot = 8

type comparer struct {
	Options
	old, now  *verdict.Judge
	languages space.Languages
	report    *Report
}

// Compare compares the plans of two judges, which stand for the same version of Envoy.
func Compare(old, now *verdict.Judge, o Options) *Report {
	c := &comparer{o, old, now, space.Languages{}, &Report{Hosts: []Host{}, Unknown: []string{}}}
	pairs := c.pairs()
	for i, p := range pairs {
		if c.Progress != nil {
			c.Progress(i, len(pairs))
		}
		c.compare(p)
	}
	c.forwarded()
	slices.SortStableFunc(c.report.Hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Proxy, b.Proxy), strings.Compare(a.Domain, b.Domain))
	})
	c.report.Same = len(c.report.Unknown) == 0
	for _, h := range c.report.Hosts {
		c.report.Same = c.report.Same && h.Same
		for _, change := range h.Changes {
			c.report.Loss = c.report.Loss || change.Loss
		}
	}
	return c.report
}

// NotCompared adds what was not compared, so that nothing is said to be the same.
func (r *Report) NotCompared(what string) {
	r.Unknown = append(r.Unknown, what)
	r.Same = false
}

// pair is a domain with its places on both sides, one of which may not have it.
type pair struct {
	domain   string
	old, now space.Place
}

// pairs are the domains that either side has, on each listener and chain.
func (c *comparer) pairs() (out []pair) {
	type key struct {
		port                  uint32
		proxy, bind, chain, d string
	}
	seen := map[key]bool{}
	of := func(at space.Place) key {
		return key{at.Listener.Port, at.Listener.Proxy, at.Listener.Bind, fmt.Sprint(at.Chain.TLS != nil, at.Chain.ServerNames), at.Domain}
	}
	for _, at := range c.places(c.old) {
		seen[of(at)] = true
		out = append(out, pair{at.Domain, at, space.Partner(at, c.now.Plan())})
	}
	for _, at := range c.places(c.now) {
		partner := space.Partner(at, c.old.Plan())
		if k := of(at); seen[k] || partner.Chain != nil && partner.Domain == at.Domain && seen[of(partner)] {
			continue
		}
		out = append(out, pair{at.Domain, partner, at})
	}
	return out
}

// places are the places of a side, without what a sidecar does with hosts that it does not know.
func (c *comparer) places(j *verdict.Judge) []space.Place {
	return slices.DeleteFunc(space.AllPlaces(j.Plan()), func(at space.Place) bool { return space.IsOther(at.Host) })
}

// compare compares one domain.
func (c *comparer) compare(p pair) {
	at := p.old
	if at.Chain == nil || at.Host == nil {
		at = p.now
	}
	host := Host{Port: at.Listener.Port, Proxy: at.Listener.Proxy, Domain: p.domain, Same: true, Changes: []Change{}}
	var specific []string
	for _, side := range []space.Place{p.old, p.now} {
		if side.Chain != nil {
			specific = append(specific, space.MoreSpecific(side.Chain.Routes, p.domain)...)
		}
	}
	redirects := [2]bool{isRedirected(p.old), isRedirected(p.now)}
	if !redirects[0] || !redirects[1] { // else no rule is tried
		c.comparePairs(&host, p, specific, redirects)
	}
	host.Same = len(host.Changes) == 0
	c.report.Hosts = append(c.report.Hosts, host)
}

// comparePairs compares each pair of rules of a domain. A side on which every request is redirected to https has no rules.
func (c *comparer) comparePairs(host *Host, p pair, specific []string, redirects [2]bool) {
	old, now := p.old, p.now
	if redirects[0] {
		old.Host = nil
	}
	if redirects[1] {
		now.Host = nil
	}
	s := space.NewPair(c.old, c.now, old, now, p.domain, specific, c.languages)
	add := func(a, b int, r space.Result) {
		switch {
		case r.Found:
			host.Changes = append(host.Changes, c.change(s, a, b, r.Request, redirects))
		case r.Unknown != "":
			c.report.Unknown = append(c.report.Unknown, fmt.Sprintf("%s on port %d: %s, now %s: %s", p.domain, host.Port, name(s, 0, a), name(s, 1, b), r.Unknown))
		}
	}
	s.Candidates(func(a, b int) { add(a, b, s.Differing(a, b)) })
	if redirects[0] != redirects[1] { // what no rule takes is answered in another way as well
		add(-1, -1, s.Both(-1, -1))
	}
}

// isRedirected reports whether every request is redirected to https before rules are tried.
func isRedirected(at space.Place) bool {
	return at.Host != nil && at.Host.RequireTLS && at.Chain.TLS == nil
}

// change describes a pair of rules.
func (c *comparer) change(s *space.Space, a, b int, request verdict.Request, redirects [2]bool) Change {
	out := Change{
		Old: side(s, 0, a, request), New: side(s, 1, b, request), Witness: request, Text: request.String(),
		Loss: b < 0 && a >= 0 && s.Rule(0, a).Route != nil && !redirects[1],
		When: When{Match: Match{}},
	}
	like := s.Likeness(a, b)
	out.Whole = !like.Unsure
	if like.Path != "" && !like.Unsure {
		r := s.Both(a, b, space.Except{Path: like.Path, Only: true})
		out.Whole = !r.Found && r.Unknown == ""
	}
	if b >= 0 {
		out.When.Match.add(&s.Rule(1, b).Match)
	}
	if a >= 0 {
		out.When.Match.add(&s.Rule(0, a).Match)
	}
	for _, r := range s.Earlier(a, b, mostNot) {
		m := Match{}
		m.add(&r.Match)
		out.When.Not = append(out.When.Not, m)
	}
	return out
}

func side(s *space.Space, view, i int, request verdict.Request) Side {
	out := Side{Decision: s.Decide(view, request)}
	if i >= 0 {
		rule := s.Rule(view, i).String()
		out.Rule = &rule
	}
	return out
}

func name(s *space.Space, view, i int) string {
	if i < 0 {
		return "no rule"
	}
	return s.Rule(view, i).String()
}

// forwarded compares the chains that forward connections.
func (c *comparer) forwarded() {
	type key struct {
		port        uint32
		proxy, name string
	}
	seen := map[key]bool{}
	for _, j := range []*verdict.Judge{c.old, c.now} {
		for _, l := range j.Plan().Listeners {
			for _, chain := range l.Chains {
				if chain.TCP == nil {
					continue
				}
				names := chain.ServerNames
				if len(names) == 0 {
					names = []string{""}
				}
				for _, n := range names {
					if k := (key{l.Port, l.Proxy, n}); !seen[k] {
						seen[k] = true
						c.connection(l, chain, n)
					}
				}
			}
		}
	}
}

// connection compares what happens to the connections of a server name.
func (c *comparer) connection(l *plan.Listener, chain *plan.FilterChain, serverName string) {
	request := verdict.Request{
		GatewayPort: l.Port, TLS: serverName != "" || chain.TLS != nil || chain.Passthrough, SNI: strings.Replace(serverName, "*", "any", 1),
		Method: "GET", Authority: strings.Replace(serverName, "*", "any", 1), Path: "/",
	}
	old, now := connectionOn(c.old, l, request), connectionOn(c.now, l, request)
	host := Host{Port: l.Port, Proxy: l.Proxy, Domain: cmp.Or(serverName, "*"), Same: forwards(old) == forwards(now), Changes: []Change{}}
	if !host.Same {
		host.Changes = append(host.Changes, Change{
			Old: Side{taker(old), old}, New: Side{taker(now), now}, Witness: request, Whole: true, Loss: old.Kind == verdict.TCP && now.Kind != verdict.TCP && now.Kind != verdict.Route,
			When: When{Match: Match{}}, Text: "connections to " + cmp.Or(serverName, "any server name"),
		})
	}
	c.report.Hosts = append(c.report.Hosts, host)
}

// connectionOn is the verdict of the listener of a plan that stands for another one.
func connectionOn(j *verdict.Judge, l *plan.Listener, r verdict.Request) *verdict.Verdict {
	if o := space.PartnerOf(l, j.Plan()); o != nil {
		return j.On(o, r)
	}
	return &verdict.Verdict{Kind: verdict.NoListener}
}

// forwards is what happens to a connection, in a form that can be compared.
func forwards(v *verdict.Verdict) string {
	total := uint64(0)
	for _, c := range v.Clusters {
		total += uint64(c.Weight)
	}
	shares := map[string]uint64{}
	for _, c := range v.Clusters {
		shares[c.Name] += uint64(c.Weight) * 1_000_000 / max(1, total)
	}
	return fmt.Sprint(v.Kind, shares)
}

// taker is the rule that took a connection.
func taker(v *verdict.Verdict) *string {
	name := v.TCPRule()
	if name == "" {
		return nil
	}
	return &name
}
