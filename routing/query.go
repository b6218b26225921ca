package routing

import "strings"

// queryCondition compares the first query parameter of a name. Nothing is decoded, names are case-sensitive, and a
// parameter without "=" has the empty value (VS-MATCH-23, VS-MATCH-24).
type queryCondition struct {
	stringCondition
	name string
}

func (c *queryCondition) matches(path string, m *Machine) bool {
	q := strings.IndexByte(path, '?')
	if q < 0 {
		return false
	}
	for rest := path[q+1:]; rest != ""; {
		param := rest
		if i := strings.IndexByte(rest, '&'); i >= 0 {
			param, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		name, value := param, ""
		if i := strings.IndexByte(param, '='); i >= 0 {
			name, value = param[:i], param[i+1:]
		}
		if name == c.name {
			return c.stringCondition.matches(value, m)
		}
	}
	return false
}
