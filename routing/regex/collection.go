package regex

import "waymark.dev/waymark/routing"

// single bounds the automaton of one pattern. A pattern that needs more is run as a [routing.Program], which is slower,
// but still linear in the length of the value.
var single = limits{states: 1000, work: 200_000}

// together bounds the automaton of several patterns. Similar patterns need a few states each; the numbers of states of
// dissimilar patterns multiply.
func together(patterns int) limits {
	return limits{states: min(1<<16-1, 2000+6*patterns), work: 400_000 + 1000*patterns}
}

// fewPatterns is how many patterns may share a prefix or a text and still be evaluated one by one, not as a set.
const fewPatterns = 4

// Collection is the regular expressions of one plugin configuration, each once.
type Collection struct {
	encoding Encoding
	index    map[string]int
	patterns []*pattern
}

// pattern is an expression of a collection.
type pattern struct {
	*expression
	place    string // what the expression is compared with, where it is used first; see Add
	clue     clue   // the clue that choose has chosen
	fallback bool   // there is no automaton; the expression is run as a program
}

// NewCollection makes an empty collection. encoding is that of the Envoy that reads the configuration.
func NewCollection(encoding Encoding) *Collection {
	return &Collection{encoding: encoding, index: map[string]int{}}
}

// Add returns the index that a pattern has in Config.Regexes, and adds it if it is new. place is the virtual host and
// the header, query parameter or path that is compared: expressions for the same place can be evaluated as one set. The
// error says what is wrong with the pattern.
func (c *Collection) Add(source, place string) (int, error) {
	if i, ok := c.index[source]; ok {
		return i, nil
	}
	e := expressions.of(source, c.encoding)
	if e.err != nil {
		return 0, e.err
	}
	c.index[source] = len(c.patterns)
	c.patterns = append(c.patterns, &pattern{expression: e.divide(), place: place})
	return len(c.patterns) - 1, nil
}

// Write sets the programs, expressions and sets of a configuration.
func (c *Collection) Write(config *routing.Config) {
	programs := map[string]int{}
	add := func(b []byte) int {
		i, ok := programs[string(b)]
		if !ok {
			i = len(config.Programs)
			programs[string(b)] = i
			config.Programs = append(config.Programs, b)
		}
		return i
	}
	c.choose()
	for _, p := range c.patterns {
		b := p.rest.automaton()
		if p.fallback = b == nil; p.fallback {
			b = p.rest.program.Marshal()
		}
		config.Regexes = append(config.Regexes, routing.Regex{Pattern: p.source, Prefix: p.prefix, Contains: p.clue.contains, EndsWith: p.clue.endsWith, Program: add(b)})
	}
	for _, set := range c.sets() {
		config.Sets = append(config.Sets, routing.RegexSet{Regexes: set.members, Program: add(set.automaton)})
	}
}

// choose finds a clue for each pattern without prefix, or whose prefix more than fewPatterns patterns have. It prefers
// clues that few patterns have, and among these the one with the longest text: a value is searched once for each length
// of a text.
func (c *Collection) choose() {
	prefixes := c.prefixes()
	var searched []*pattern
	for _, p := range c.patterns {
		if !isPrefixRare(p, prefixes) {
			searched = append(searched, p)
		}
	}
	if len(searched) == 0 {
		return
	}
	type count struct{ patterns, last int } // last is the last pattern that was counted
	counts := map[string]count{}            // by text: how many patterns have it in one of their clues
	for i, p := range c.patterns {
		for _, k := range p.clues {
			k.each(func(text string) {
				if n := counts[text]; n.patterns == 0 || n.last != i {
					counts[text] = count{n.patterns + 1, i}
				}
			})
		}
	}
	for _, p := range searched {
		least := fewPatterns + 1
		for _, k := range p.clues {
			most := 0
			k.each(func(text string) { most = max(most, counts[text].patterns) })
			if most < least || most == least && p.clue.size() > 0 && k.longest() > p.clue.longest() {
				least, p.clue = most, k
			}
		}
	}
}

// each calls f for every text of a clue. A "$" is appended to the texts of endsWith, so that they differ from the same
// texts in contains.
func (c clue) each(f func(text string)) {
	for _, s := range c.contains {
		f(s)
	}
	for _, s := range c.endsWith {
		f(s + "$")
	}
}

// longest is the length of the longest text.
func (c clue) longest() (n int) {
	c.each(func(text string) { n = max(n, len(text)) })
	return n
}

// prefixKey is what patterns of a place have in common that have the same prefix.
type prefixKey struct{ place, prefix string }

// prefixes counts the patterns with the same place and prefix.
func (c *Collection) prefixes() map[prefixKey]int {
	n := map[prefixKey]int{}
	for _, p := range c.patterns {
		n[prefixKey{p.place, p.prefix}]++
	}
	return n
}

// isPrefixRare reports whether few patterns of its place have the prefix of a pattern.
func isPrefixRare(p *pattern, prefixes map[prefixKey]int) bool {
	return p.prefix != "" && prefixes[prefixKey{p.place, p.prefix}] <= fewPatterns
}

// set is a group of patterns that one automaton evaluates together. members are indexes of patterns.
type set struct {
	members   []int
	automaton []byte // as a configuration has it
}

// sets groups the patterns that no prefix and no clue distinguishes from many others, place by place, in the order in
// which they were added, as many as fit into one automaton within the limits. A pattern that fits into no automaton
// together with the next one is in no set.
func (c *Collection) sets() []set {
	var places []string
	open := map[string][]int{}
	prefixes := c.prefixes()
	for i, p := range c.patterns {
		if p.fallback || c.standsAlone(p, prefixes) {
			continue
		}
		if len(open[p.place]) == 0 {
			places = append(places, p.place)
		}
		open[p.place] = append(open[p.place], i)
	}
	var all []set
	for _, place := range places {
		most := len(open[place])
		for rest := open[place]; len(rest) > 1; {
			joined := rest[:min(len(rest), most)]
			n, automaton := expressions.merged(c, joined)
			if n > 1 {
				all = append(all, set{rest[:n], automaton})
			}
			rest = rest[n:]
			most = 2 * n // the next patterns are probably similar
		}
	}
	return all
}

// standsAlone reports whether the prefix or the clue of a pattern leads to it and to few other patterns.
func (c *Collection) standsAlone(p *pattern, prefixes map[prefixKey]int) bool {
	return p.clue.size() > 0 || isPrefixRare(p, prefixes)
}

// merge finds how many of the patterns, from the first on, have an automaton within the limits. It tries all of them,
// then half of them, and so on. For a result of one pattern there is no automaton.
func (c *Collection) merge(patterns []int) (n int, automaton []byte) {
	for n := len(patterns); n > 1; n = (n + 1) / 2 {
		var programs []*routing.Program
		for _, i := range patterns[:n] {
			programs = append(programs, c.patterns[i].whole)
		}
		if a := determinize(programs, together(n)); a != nil {
			return n, a.Marshal()
		}
		if n == 2 {
			break
		}
	}
	return 1, nil
}
