package routing

import "strings"

// expression is the compiled form of [Regex]. One of automaton and program is set.
type expression struct {
	prefix             string
	contains, endsWith []string
	automaton          *Automaton
	program            *Program
	set                int32 // the set it is in, or -1
	index              int32 // in Config.Regexes
}

func (e *expression) matches(s string, m *Machine) bool {
	if !strings.HasPrefix(s, e.prefix) {
		return false
	}
	if e.automaton != nil {
		return e.automaton.Match(s[len(e.prefix):])
	}
	return e.program.Match(m, s[len(e.prefix):])
}

// maxTexts bounds the keys of one expression.
const maxTexts = 8

// expressionSet is the compiled form of [RegexSet].
type expressionSet struct {
	automaton *Automaton
	members   []int32 // indexes into Config.Regexes
}

func (c *compiler) program() {
	text, ok := decodeBase64(c.readText())
	var p program
	if ok = ok && len(text) > 0; ok {
		switch text[0] {
		case kindProgram:
			p.program, ok = unmarshalProgram(text[1:])
		case kindAutomaton:
			if c.classes == nil {
				c.classes = map[string]*[256]uint8{}
			}
			p.automaton, ok = unmarshalAutomaton(text[1:], c.classes)
		default:
			ok = false
		}
	}
	if !ok {
		c.problem("is not a compiled regular expression")
		p = program{}
	}
	c.programs = append(c.programs, p)
}

// programIndex reads an index into the programs, which stand before. What has none or a broken one was refused.
func (c *compiler) programIndex() program {
	if i := c.below(len(c.programs), "programs"); i >= 0 {
		return c.programs[i]
	}
	return program{}
}

func (c *compiler) regex() {
	e := expression{set: -1, index: int32(len(c.table.expressions))}
	hasProgram := false
	c.object(func(key string) bool {
		switch key {
		case "pattern":
			c.readText()
		case "prefix":
			e.prefix = c.readText()
		case "contains":
			e.contains = c.texts()
		case "endsWith":
			e.endsWith = c.texts()
		case "program":
			hasProgram = true
			p := c.programIndex()
			e.automaton, e.program = p.automaton, p.program
		default:
			return false
		}
		return true
	})
	if !hasProgram {
		c.problem("program is missing")
	}
	c.table.expressions = append(c.table.expressions, &e)
}

func (c *compiler) texts() (all []string) {
	c.array(func() {
		s := c.readText()
		if n := len(s); n != 2 && n != 4 && n != 8 {
			c.problem("want 2, 4 or 8 bytes, got " + itoa(n))
		}
		all = append(all, s)
	})
	if len(all) > maxTexts {
		c.problem("want at most " + itoa(maxTexts) + " texts")
	}
	return all
}

func (c *compiler) set() {
	var s expressionSet
	id := int32(len(c.table.sets))
	hasProgram := false
	c.object(func(key string) bool {
		switch key {
		case "regexes":
			c.array(func() {
				i := c.below(len(c.table.expressions), "regexes")
				if i < 0 {
					return
				}
				if c.table.expressions[i].set >= 0 {
					c.problem("regex " + itoa(i) + " is in two sets")
				}
				c.table.expressions[i].set = id
				s.members = append(s.members, int32(i))
			})
		case "program":
			hasProgram = true
			if s.automaton = c.programIndex().automaton; s.automaton == nil {
				c.problem("is not an automaton")
			}
		default:
			return false
		}
		return true
	})
	if !hasProgram {
		c.problem("program is missing")
	} else if s.automaton != nil && !s.automaton.names(len(s.members)) {
		c.problem("the automaton does not belong to the regexes")
	}
	c.table.sets = append(c.table.sets, s)
}

// names says whether all expressions that the automaton names are below count.
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
