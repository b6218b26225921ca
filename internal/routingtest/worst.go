package routingtest

import (
	"fmt"
	"strings"

	"waymark.dev/waymark/routing"
)

// Worst is an expensive request of an attacker, and the rules for which it is expensive.
type Worst struct {
	Name string
	// Most is the largest number of rules with which it is tested.
	Most int
	// Rules makes a configuration of n rules.
	Rules func(n int) *routing.Config
	// Request makes the most expensive request for n rules. Rule returns the index of the rule that it matches, or -1.
	Request func(n int) *routing.Request
	Rule    func(n int) int
	// Grows is why the cost of the request grows with the number of rules, or "" if it must not grow. If it grows, the
	// request must not cost more than trying all rules in turn.
	Grows string
}

func always(r *routing.Request) func(int) *routing.Request {
	return func(int) *routing.Request { return r }
}

func none(int) int { return -1 }

// mixed returns rules of the shape "mixed", on domains that match the hosts of the requests.
func mixed(n int) *routing.Config {
	c := Shaped("mixed").Config(n)
	c.VirtualHosts[0].Domains = append(c.VirtualHosts[0].Domains, "*.dots", "*")
	return c
}

func onePrefix(n int) *routing.Config {
	return List(func(*Rulebook) (rules []routing.Rule) {
		for i := range n {
			u := Path(routing.StringMatch{Prefix: Text("/")})
			u.Headers = []routing.HeaderMatch{{Name: "x-a", StringMatch: routing.StringMatch{Exact: Text("v%d", i)}, Invert: true, MissingAsEmpty: true}, Header("x-b", routing.StringMatch{Exact: Text("v%d", i)})}
			rules = append(rules, u)
		}
		return rules
	})
}

// nested returns rules for prefixes of one path, the longest first. All prefixes can match a long path, but the rules
// also require a header that no request has.
func nested(n int) *routing.Config {
	return List(func(*Rulebook) (rules []routing.Rule) {
		for i := range n {
			u := Path(routing.StringMatch{Prefix: Text("/%s", strings.Repeat("a", n-i))})
			u.Headers = []routing.HeaderMatch{Header("x-never", routing.StringMatch{})}
			rules = append(rules, u)
		}
		return rules
	})
}

// explosive returns patterns that take a backtracking matcher exponential time, or whose automata have very many
// states.
func explosive(n int) *routing.Config {
	famous := []string{`(a+)+b`, `(a|a)*b`, `(a*)*b`, `.*.*.*.*b`, `(.?){500}b`, `(a|b)*a(a|b){20}c`}
	return List(func(b *Rulebook) (rules []routing.Rule) {
		for i := range n - len(famous) {
			rules = append(rules, Path(routing.StringMatch{Regex: b.Regex(".*a.{%d}.*b%d", 10+i%20, i)}))
		}
		for _, p := range famous {
			rules = append(rules, Path(routing.StringMatch{Regex: b.Regex("%s", p)}))
		}
		return rules
	})
}

func sameText(n int) *routing.Config {
	return List(func(b *Rulebook) (rules []routing.Rule) {
		for i := range n {
			rules = append(rules, Path(routing.StringMatch{Regex: b.Regex("/[a-z/]*/item-%d/[0-9]", i)}))
		}
		return rules
	})
}

// with adds a number of headers to a request. line makes the name and the value of header i.
func with(r *routing.Request, headers int, line func(i int) (name, value string)) *routing.Request {
	for i := range headers {
		r.Set(line(i))
	}
	return r
}

func toHost(host string, r *routing.Request) *routing.Request {
	r.Authority = host
	return r
}

// negative returns rules that differ only in inverted conditions, which are not in the index.
func negative(n int) *routing.Config {
	return List(func(*Rulebook) (rules []routing.Rule) {
		for i := range n {
			u := Path(routing.StringMatch{Prefix: Text("/")})
			u.Headers = []routing.HeaderMatch{
				{Name: "x-a", StringMatch: routing.StringMatch{Exact: Text("v%d", i)}, Invert: true, MissingAsEmpty: true},
				{Name: "x-b", Invert: true},
			}
			rules = append(rules, u)
		}
		return rules
	})
}

// pairs returns rules that require two headers, each with one of a hundred values, and a header that no request has.
func pairs(n int) *routing.Config {
	return List(func(*Rulebook) (rules []routing.Rule) {
		for i := range n {
			rules = append(rules, routing.Rule{Headers: []routing.HeaderMatch{
				Header("x-a", routing.StringMatch{Exact: Text("v%d", i%100)}), Header("x-b", routing.StringMatch{Exact: Text("v%d", i/100)}), Header("x-never", routing.StringMatch{}),
			}})
		}
		return rules
	})
}

// valueAndPattern returns rules that the index finds by a header, each with an expression for the path.
func valueAndPattern(n int) *routing.Config {
	return List(func(b *Rulebook) (rules []routing.Rule) {
		for i := range n {
			u := Path(routing.StringMatch{Regex: b.Regex("/(a|b)*c{%d}", 1+i%50)})
			u.Headers = []routing.HeaderMatch{Header("x-a", routing.StringMatch{Exact: Text("v%d", i)})}
			rules = append(rules, u)
		}
		return rules
	})
}

// GivenUp returns rules whose expression is tried for each of them, a request for which the steps of all these attempts
// do not fit into 32 bits, and a last rule that takes every request. Matching must be given up: no rule is chosen.
func GivenUp() (*routing.Config, *routing.Request) {
	const rules, length = 20_000, 60_000
	c := List(func(b *Rulebook) (all []routing.Rule) {
		pattern := b.Regex("/(a|b)*c")
		for i := range rules {
			u := Path(routing.StringMatch{Regex: pattern})
			u.Headers = []routing.HeaderMatch{Header("x-a", routing.StringMatch{Exact: Text("v%d", i)})}
			u.Headers[0].Invert = true // so the index does not tell the rules apart
			all = append(all, u)
		}
		return append(all, Path(routing.StringMatch{Prefix: Text("/")}))
	})
	return c, Ask("/" + strings.Repeat("a", length))
}

// Wordy returns n rules whose patterns have no text that distinguishes them.
func Wordy(n int) func(b *Rulebook) []routing.Rule {
	return func(b *Rulebook) (rules []routing.Rule) {
		for i := range n {
			rules = append(rules, Path(routing.StringMatch{Regex: b.Regex("/[a-z]+/[%c-%c]{%d}[0-9]+", 'a'+i%13, 'm'+i%13, 1+i/13)}))
		}
		return rules
	}
}

func everyValue(name string) func(i int) (string, string) {
	return func(i int) (string, string) { return name, fmt.Sprintf("v%d", i) }
}

// Worsts are the requests that tests try, with their rules.
var Worsts = []Worst{
	{"a path of 60 KB", 10_000, mixed, always(Ask("/team-1/items/" + strings.Repeat("/x", 30<<10))), func(int) int { return 1 }, ""},
	{"a path of 60 KB that nothing takes", 10_000, mixed, always(Ask("/" + strings.Repeat("/x", 30<<10))), none, ""},
	{"a path of no bytes", 10_000, mixed, always(Ask("")), none, ""},
	{"a host of dots", 10_000, mixed, always(toHost(strings.Repeat(".", 60_000), Ask("/"))), none, ""},
	{"1,000 headers", 10_000, mixed, always(with(Ask("/nothing"), 1000, func(i int) (string, string) { return fmt.Sprintf("x-%d", i), "v" })), none, ""},
	{"1,000 headers of one name", 10_000, mixed, always(with(Ask("/shared/x"), 1000, func(i int) (string, string) { return "x-tenant", fmt.Sprintf("no-%d", i) })), none, ""},
	{"1,000 headers that rules ask for", 10_000, Shaped("same-path-header-name").Config, func(n int) *routing.Request {
		return with(Ask("/api"), 1000, func(i int) (string, string) { return fmt.Sprintf("x-tenant-%d", 10*i%n), "1" })
	}, func(int) int { return 0 }, ""},
	{"100 query parameters of one name", 10_000, Shaped("query").Config, always(Ask("/shared/x?" + strings.Repeat("q=1&", 100) + "tenant=tenant-7")), func(int) int { return 7 }, ""},
	{"rules with one prefix", 10_000, onePrefix, func(n int) *routing.Request { return Ask("/x", "x-b", fmt.Sprintf("v%d", n-1)) }, func(n int) int { return n - 1 }, ""},
	{"prefixes of a path that is as long as the shortest hundred", 2000, nested, always(Ask("/" + strings.Repeat("a", 100))), none, ""},
	{"patterns made to explode", 300, explosive, always(Ask(strings.Repeat("a", 2000))), none, ""},
	{"a text that many patterns look for", 2000, sameText, always(Ask(strings.Repeat("/item-7", 8000))), none, ""},

	{"prefixes of one path", 2000, nested, always(Ask("/" + strings.Repeat("a", 60_000))), none, "each prefix that matches leads to a rule, so the length of the path bounds how many rules are tried"},
	{"rules that differ in what must not be there", 10_000, negative, always(Ask("/x", "x-b", "1")), none, "inverted conditions are not in the index, so all rules are tried"},
	{"rules for pairs of values, and every value", 10_000, pairs, always(with(with(Ask("/"), 100, everyValue("x-a")), 100, everyValue("x-b"))), none, "each pair of values leads to a rule, so the square of the number of headers bounds the cost"},
	{"patterns that no text tells apart, on a path of 60 KB", 300, func(n int) *routing.Config { return List(Wordy(n)) }, always(Ask("/" + strings.Repeat("a", 60_000))), none, "one set has some hundred of such patterns, so the number of sets grows"},
	{"values that each lead to a pattern for a long path", 200, valueAndPattern, always(with(Ask("/"+strings.Repeat("ab", 5000)), 200, everyValue("x-a"))), none, "each value leads to a rule that reads the path, so their number times the length of the path bounds the cost"},
}
