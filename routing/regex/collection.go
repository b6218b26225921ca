package regex

import "waymark.dev/waymark/routing"

// single bounds the automaton of one pattern. Beyond, a pattern is run as the program that it was compiled to: slower, and
// linear in the value all the same.
var single = limits{states: 1000, work: 200_000}

// together bounds the automaton of several: patterns that are alike need a few states each, those that are not multiply.
func together(patterns int) limits {
	return limits{states: min(1<<16-1, 2000+6*patterns), work: 400_000 + 1000*patterns}
}

// fewPatterns may share a prefix or a text without being asked together.
const fewPatterns = 4

// Collection is the regular expressions of one plugin configuration, each once.
type Collection struct {
	encoding Encoding
	index    map[string]int
	patterns []*pattern
}

// pattern is an expression in its place.
type pattern struct {
	*expression
	place    string // where it is used first
	clue     clue   // the one that was chosen
	fallback bool
}

// NewCollection makes an empty one.
func NewCollection(encoding Encoding) *Collection {
	return &Collection{encoding: encoding, index: map[string]int{}}
}

// Add returns the index that a pattern has in the configuration. place says what is compared, and in which virtual host:
// expressions that are used in one place are asked together. The error says what is wrong with the pattern.
func (c *Collection) Add(source, place string) (int, error) {
	if i, ok := c.index[source]; ok {
		return i, nil
	}
	e := expressions.of(source, c.encoding)
	if e.err != nil {
		return 0, e.err
	}
	c.index[source] = len(c.patterns)
	c.patterns = append(c.patterns, &pattern{expression: e, place: place})
	return len(c.patterns) - 1, nil
}

// Write fills in the programs, expressions and sets of a configuration.
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
	automata := map[string][]byte{} // by program: many patterns have one rest
	for _, p := range c.patterns {
		text := p.rest.Marshal()
		b, ok := automata[string(text)]
		if !ok {
			b = text
			if a := determinize([]*routing.Program{p.rest}, single); a != nil {
				b = a.MarshalShort()
			}
			automata[string(text)] = b
		}
		p.fallback = string(b) == string(text)
		config.Regexes = append(config.Regexes, routing.Regex{Pattern: p.source, Prefix: p.prefix, Contains: p.clue.contains, EndsWith: p.clue.endsWith, Program: add(b)})
	}
	for _, set := range c.sets() {
		config.Sets = append(config.Sets, routing.RegexSet{Regexes: set.members, Program: add(set.automaton.Marshal())})
	}
}

// choose finds for each pattern that shares its prefix with many others a clue that few have, of the longest texts: a
// value is searched once for each length that texts have.
func (c *Collection) choose() {
	patterns := map[string]int{} // by text: how many have it in some clue
	for _, p := range c.patterns {
		own := map[string]bool{}
		for _, k := range p.clues {
			k.each(func(text string) { own[text] = true })
		}
		for text := range own {
			patterns[text]++
		}
	}
	prefixes := c.prefixes()
	for _, p := range c.patterns {
		if p.prefix != "" && prefixes[p.place+" "+p.prefix] <= fewPatterns {
			continue
		}
		least := fewPatterns + 1
		for _, k := range p.clues {
			most := 0
			k.each(func(text string) { most = max(most, patterns[text]) })
			if most < least || most == least && p.clue.size() > 0 && k.longest() > p.clue.longest() {
				least, p.clue = most, k
			}
		}
	}
}

// each calls f for every text of a clue; one at the end is another than the same within.
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

// prefixes counts the patterns of a place and a prefix.
func (c *Collection) prefixes() map[string]int {
	n := map[string]int{}
	for _, p := range c.patterns {
		n[p.place+" "+p.prefix]++
	}
	return n
}

// set is patterns that are asked together.
type set struct {
	members   []int
	automaton *routing.Automaton
}

// sets groups the patterns that nothing but an expression tells apart, place by place, in the order of their use, for as
// long as the automaton of a group stays small. What does not go together with others stays alone.
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
			members, automaton := c.merge(rest, most)
			if len(members) > 1 {
				all = append(all, set{members, automaton})
			}
			rest = rest[len(members):]
			most = 2 * len(members) // patterns are much like those before
		}
	}
	return all
}

// standsAlone says whether a pattern's prefix or clue leads to it, and to few others.
func (c *Collection) standsAlone(p *pattern, prefixes map[string]int) bool {
	return p.clue.size() > 0 || p.prefix != "" && prefixes[p.place+" "+p.prefix] <= fewPatterns
}

// merge finds how many of the patterns, from the first on, go together: as many as may at most, else half, and so on.
func (c *Collection) merge(patterns []int, most int) (members []int, automaton *routing.Automaton) {
	for n := min(len(patterns), most); n > 1; n = (n + 1) / 2 {
		var programs []*routing.Program
		for _, i := range patterns[:n] {
			programs = append(programs, c.patterns[i].whole)
		}
		if a := determinize(programs, together(n)); a != nil {
			return patterns[:n], a
		}
		if n == 2 {
			break
		}
	}
	return patterns[:1], nil
}
