package regex_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// TestLazy holds the automaton that is made while it is used against the program that it is made from.
func TestLazy(t *testing.T) {
	for _, pattern := range []string{"", "a", "a*b", "(a|b)*abb", ".*x.*", "(?i)ab+", `\bab\b.*`, "^a$|b", "[^a]*", "a{2,3}", `a\n?.`} {
		program, err := regex.Compile(pattern, regex.Latin1)
		require.NoError(t, err)
		l := regex.NewLazy(program)
		var machine routing.Machine
		var try func(text string, state int)
		try = func(text string, state int) {
			assert.Equal(t, program.Match(&machine, text), l.Accepts(state), "%s %q", pattern, text)
			if l.IsFull(state) {
				assert.True(t, program.Match(&machine, text+"zz a"), "%s %q", pattern, text)
			}
			if len(text) == 4 {
				return
			}
			for _, c := range []byte("abAx \n") {
				next := l.Step(state, c)
				if next == regex.Dead {
					assert.False(t, program.Match(&machine, text+string(c)), "%s %q", pattern, text)
				}
				try(text+string(c), next)
			}
		}
		try("", l.Start())
		assert.False(t, l.Exceeded())
		classes := l.Classes()
		assert.Equal(t, l.Step(l.Start(), 'q'), l.Step(l.Start(), 'w'), "%s: bytes that the pattern does not name", pattern)
		assert.Equal(t, classes['q'], classes['w'])
	}
}
