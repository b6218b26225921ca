package regex

// Fallbacks are the patterns that have no automaton of bearable size, after Write.
func (c *Collection) Fallbacks() []string {
	var all []string
	for _, p := range c.patterns {
		if p.fallback {
			all = append(all, p.source)
		}
	}
	return all
}

// Parses counts how often a pattern is parsed while f runs.
func Parses(pattern string, f func()) (n int) {
	onParse = func(source string) {
		if source == pattern {
			n++
		}
	}
	defer func() { onParse = nil }()
	f()
	return n
}

// Explorations counts how often the states of automata are looked for while f runs.
func Explorations(f func()) (n int) {
	onExplore = func() { n++ }
	defer func() { onExplore = nil }()
	f()
	return n
}

// Forget forgets all expressions.
func Forget() {
	expressions.mu.Lock()
	defer expressions.mu.Unlock()
	clear(expressions.known)
	clear(expressions.remainders)
	clear(expressions.merges)
	clear(expressions.checked)
	expressions.size = 0
}

// Remembered is how many expressions are remembered, and MaxRemembered how many instructions may be.
func Remembered() int { return len(expressions.known) }

// MaxRemembered is how many instructions may be remembered.
const MaxRemembered = maxRemembered
