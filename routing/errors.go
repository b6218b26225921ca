package routing

import "strings"

// Problem is one reason to refuse a configuration.
type Problem struct {
	// Field is the path of the field, such as virtualHosts[3].rules[0].path.regex; "" is the whole document.
	Field string
	// Message is what is wrong with the field, value included.
	Message string
}

func (p Problem) String() string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

// ConfigError is every problem of a configuration that was refused, in the order of the document.
type ConfigError struct{ Problems []Problem }

// shownProblems is how many problems the text of an error lists; of the others it has only the number.
const shownProblems = 20

func (e *ConfigError) Error() string {
	var b strings.Builder
	b.WriteString("plugin configuration refused: ")
	for i, p := range e.Problems {
		if i == shownProblems {
			b.WriteString("; and " + itoa(len(e.Problems)-i) + " more")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}
