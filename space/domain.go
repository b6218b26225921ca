package space

import "strings"

// domain is the language of the authorities that reach a domain: the name in any case, with or without a port. Of a wildcard,
// the name has at least one byte before the suffix. What follows the last colon is the port, unless a bracket follows (see
// routing.Host), so a colon may turn out to belong to the name.
type domain struct {
	name     string // in lower case, without the star
	wildcard bool
	fall     []int32 // of a wildcard: the longest beginning of the name that ends at each of its bytes (Knuth, Morris, Pratt)
	byClass  *[256]uint8
}

func newDomain(text string) *domain {
	name, wildcard := strings.CutPrefix(strings.ToLower(text), "*")
	d := &domain{name: name, wildcard: wildcard}
	if wildcard {
		d.fall = make([]int32, len(name)+1)
		for i, k := 1, int32(0); i < len(name); i++ {
			for k > 0 && name[i] != name[k] {
				k = d.fall[k]
			}
			if name[i] == name[k] {
				k++
			}
			d.fall[i+1] = k
		}
	}
	return d
}

// The states are a number for the name times three, and one of these.
const (
	beforePort   = iota
	portOfName   // after a colon before which the name was complete
	portOfOthers // after another colon
	portStates
)

// numbers for the name: 0 is the begin; 1+k is that its first k bytes were read last; then comes that it cannot be the name
// any more.
func (d *domain) other() int32 { return int32(len(d.name)) + 2 }

func (d *domain) complete(number int32) bool { return number == int32(len(d.name))+1 }

func (d *domain) start() int32 {
	if d.wildcard {
		return 0
	}
	return 1 * portStates
}

func (d *domain) next(state int32, b byte) int32 {
	b = lower(b)
	if !isAuthorityByte(b) {
		return dead
	}
	number, port := state/portStates, state%portStates
	switch {
	case b == ':' && d.complete(number):
		port = portOfName
	case b == ':':
		port = portOfOthers
	case b == ']':
		port = beforePort
	}
	if number = d.read(number, b); !d.wildcard && number == d.other() && port != portOfName {
		return dead
	}
	return number*portStates + port
}

// read is the number for the name after one more byte.
func (d *domain) read(number int32, b byte) int32 {
	switch n := int32(len(d.name)); {
	case number == 0:
		return 1 // a byte before the suffix
	case !d.wildcard:
		if k := number - 1; k < n && d.name[k] == b {
			return number + 1
		}
		return d.other()
	default:
		k := number - 1
		for k > 0 && (k == n || d.name[k] != b) {
			k = d.fall[k]
		}
		if k < n && d.name[k] == b {
			k++
		}
		return k + 1
	}
}

func (d *domain) accepts(state int32) bool {
	number, port := state/portStates, state%portStates
	return port == portOfName || port == beforePort && d.complete(number)
}

func (d *domain) isFull(int32) bool { return false }

func (d *domain) classes() *[256]uint8 {
	if d.byClass != nil {
		return d.byClass
	}
	d.byClass = &[256]uint8{}
	n := uint8(2) // 0 are the bytes that no authority has, 1 those that the name does not have
	for b := range 256 {
		if isAuthorityByte(lower(byte(b))) {
			d.byClass[b] = 1
		}
	}
	for _, b := range []byte(d.name + ":]") {
		if d.byClass[b] == 1 {
			d.byClass[b] = n
			if 'a' <= b && b <= 'z' {
				d.byClass[b-'a'+'A'] = n
			}
			n++
		}
	}
	return d.byClass
}

func isAuthorityByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || strings.IndexByte("!$%&'()*+,-.:;=@[]_~", b) >= 0
}
