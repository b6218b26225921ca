package routing

import "unsafe"

// expression is the compiled form of [Regex].
type expression struct {
	prefix span
	// index.texts[from:ends] are [Regex].Contains, and index.texts[ends:to] are [Regex].EndsWith.
	from, ends, to int32
	program        int32
	set            int32 // the set that the expression is in, or -1
}

// In range: s was compared with the length n, and a program without code has a number in large.
func (e *expression) matches(t *Table, s string, m *Machine) bool {
	n := int(e.prefix.size)
	m.work.readBytes(n)
	if len(s) < n || s[:n] != t.texts.of(e.prefix) {
		return false
	}
	p := t.programs.at(e.program)
	if p.code.size > 0 {
		return m.spend(compactStep*(len(s)-n)) && compact(t.texts.of(p.code)).match(s[n:])
	}
	return t.large[p.large].match(s[n:], m)
}

// program is one entry of Config.Programs: a [compact], or an index into Table.large if code is empty.
type program struct {
	code  span
	large int32
}

// largeProgram is a program that is decoded before it is run: one of the two fields is set.
type largeProgram struct {
	automaton *Automaton
	program   *Program
}

func (p *largeProgram) match(s string, m *Machine) bool {
	if p.automaton != nil {
		return m.spend(len(s)) && p.automaton.Match(s)
	}
	return p.program.Match(m, s)
}

// maxTexts bounds the texts in Contains, and those in EndsWith, of one expression.
const maxTexts = 8

// expressionSet is the compiled form of [RegexSet].
type expressionSet struct {
	automaton *Automaton
	members   []int32 // indexes into Config.Regexes
}

func (c *compiler) program() {
	var p program
	start := len(c.changed)
	code, ok := appendBase64(c.changed, c.readText())
	if text := code[start:]; ok && len(text) > 0 {
		var large largeProgram
		switch text[0] {
		case kindProgram:
			large.program, ok = unmarshalProgram(text[1:])
		case kindAutomaton:
			if c.classes == nil {
				c.classes = map[string]*[256]uint8{}
			}
			large.automaton, ok = unmarshalAutomaton(text[1:], c.classes)
		case kindCompact:
			c.changed = code // the code is run from there
			p.code = span{uint32(len(c.text) + start + 1), uint32(len(text) - 1)}
			c.isState, ok = compact(unsafe.String(unsafe.SliceData(text[1:]), len(text)-1)).valid(c.isState)
		default:
			ok = false
		}
		if p.code.size == 0 {
			p.large = int32(len(c.table.large))
			c.table.large = append(c.table.large, large)
		}
	} else {
		ok = false
	}
	if !ok {
		c.problem("is not a compiled regular expression")
	}
	c.table.programs.add(p)
}

func (c *compiler) regex() {
	e := expression{set: -1}
	hasProgram := false
	contains, endsWith := c.contains[:0], c.endsWith[:0]
	var o object
	for c.member(&o) {
		switch o.key {
		case "pattern":
			c.readSpan()
		case "prefix":
			e.prefix = c.readSpan()
		case "contains":
			contains = c.pieces(contains)
		case "endsWith":
			endsWith = c.pieces(endsWith)
		case "program":
			hasProgram = true
			e.program = int32(max(0, c.below(int(c.table.programs.count), "programs")))
		default:
			c.unknown()
		}
	}
	if !hasProgram {
		c.problem("program is missing")
	}
	all := &c.table.index.texts
	e.from = int32(len(*all))
	*all = append(*all, contains...)
	e.ends = int32(len(*all))
	*all = append(*all, endsWith...)
	e.to = int32(len(*all))
	c.table.expressions.add(e)
	c.contains, c.endsWith = contains, endsWith
}

// pieces reads a list of texts of 2, 4 or 8 bytes and appends it to all.
func (c *compiler) pieces(all []span) []span {
	var a array
	for c.element(&a) {
		s := c.readSpan()
		if n := s.size; n != 2 && n != 4 && n != 8 {
			c.problem("want 2, 4 or 8 bytes, got " + itoa(int(n)))
		}
		all = append(all, s)
	}
	if len(all) > maxTexts {
		c.problem("want at most " + itoa(maxTexts) + " texts")
	}
	return all
}

func (c *compiler) set() {
	var s expressionSet
	id := int32(len(c.table.sets))
	hasProgram := false
	var o object
	for c.member(&o) {
		switch o.key {
		case "regexes":
			var a array
			for c.element(&a) {
				i := c.below(int(c.table.expressions.count), "regexes")
				if i < 0 {
					continue
				}
				e := c.table.expressions.at(int32(i))
				if e.set >= 0 {
					c.problem("regex " + itoa(i) + " is in two sets")
				}
				e.set = id
				s.members = append(s.members, int32(i))
			}
		case "program":
			hasProgram = true
			if i := c.below(int(c.table.programs.count), "programs"); i >= 0 {
				if p := c.table.programs.at(int32(i)); p.code.size == 0 {
					s.automaton = c.table.large[p.large].automaton
				}
			}
			if s.automaton == nil {
				c.problem("is not an automaton")
			}
		default:
			c.unknown()
		}
	}
	if !hasProgram {
		c.problem("program is missing")
	} else if s.automaton != nil && !s.automaton.names(len(s.members)) {
		c.problem("the automaton does not belong to the regexes")
	}
	c.table.sets = append(c.table.sets, s)
}

// names reports whether all numbers of expressions in the automaton are below count.
func (a *Automaton) names(count int) bool {
	for _, list := range a.Lists {
		for _, n := range list {
			if int(n) >= count {
				return false
			}
		}
	}
	return true
}
