package routing

// headerCondition is one header matcher, with Envoy's rules for absent and repeated headers:
//
//	                                  absent     present, matches   present, differs
//	value                             no         yes                no
//	value, invert                     no         no                 yes
//	value, invert, missing as empty   as for ""  no                 yes               (VS-MATCH-19)
//	presence                          no         yes                yes
//	presence, invert                  yes        no                 no
type headerCondition struct {
	stringCondition
	name           string
	pseudo         pseudo
	invert         bool
	missingAsEmpty bool
}

// pseudo says which field of [Request] a name stands for.
type pseudo uint8

const (
	notPseudo pseudo = iota
	pseudoMethod
	pseudoScheme
	pseudoAuthority
	pseudoPath
)

func pseudoOf(name string) pseudo {
	switch name {
	case ":method":
		return pseudoMethod
	case ":scheme":
		return pseudoScheme
	case ":authority", "host": // Envoy's header map knows "host" as :authority
		return pseudoAuthority
	case ":path":
		return pseudoPath
	default:
		return notPseudo
	}
}

func (c *headerCondition) matches(r *Request, joined bool) bool {
	var value string
	var present bool
	switch c.pseudo {
	case pseudoMethod:
		value, present = r.Method, r.HasMethod
	case pseudoScheme:
		value, present = r.Scheme, r.HasScheme
	case pseudoAuthority:
		value, present = r.Authority, r.HasAuthority
	case pseudoPath:
		value, present = r.Path, r.HasPath
	default:
		return c.matchesHeaders(r, joined)
	}
	return c.judge(value, present, &r.machine)
}

// judge applies the condition to the one value that counts.
func (c *headerCondition) judge(value string, present bool, m *Machine) bool {
	if c.kind == matchAny {
		return present != c.invert
	}
	if !present {
		if !c.missingAsEmpty {
			return false
		}
		value = ""
	}
	return c.stringCondition.matches(value, m) != c.invert
}

// matchesHeaders compares a header that may occur several times. From Envoy 1.39 on each value is tried alone and one
// match suffices; joined says that the values are compared as one, joined by commas (VS-MATCH-16).
func (c *headerCondition) matchesHeaders(r *Request, joined bool) bool {
	first := -1
	for i := range r.Headers {
		if r.Headers[i].Name != c.name {
			continue
		}
		if first < 0 {
			first = i
			if c.kind == matchAny {
				return !c.invert
			}
			if joined {
				break
			}
		}
		if c.stringCondition.matches(r.Headers[i].Value, &r.machine) {
			return !c.invert
		}
	}
	if first < 0 {
		return c.judge("", false, &r.machine)
	}
	if !joined {
		return c.invert // present, and no value matched
	}
	value := r.Headers[first].Value
	rest := r.Headers[first+1:]
	for i := range rest {
		if rest[i].Name == c.name {
			return c.stringCondition.matches(r.join(first, c.name), &r.machine) != c.invert
		}
	}
	return c.stringCondition.matches(value, &r.machine) != c.invert
}
