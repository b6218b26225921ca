package plan

import "fmt"

// The enumerations of the model are written as words, in text and in JSON.

// word is the word for a value, or unknown(N).
func word(words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

// String is the word for the kind, such as "prefix".
func (k MatchKind) String() string {
	return word([]string{"present", "exact", "prefix", "separated-prefix", "regex"}, uint8(k))
}

// MarshalText returns the word.
func (k MatchKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String is the word for the discovery, such as "strict-dns".
func (d Discovery) String() string {
	return word([]string{"static", "strict-dns", "logical-dns", "original-destination"}, uint8(d))
}

// MarshalText returns the word.
func (d Discovery) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the word for the policy, such as "round-robin".
func (l LoadBalancing) String() string {
	return word([]string{"least-request", "round-robin", "random", "ring-hash", "maglev"}, uint8(l))
}

// MarshalText returns the word.
func (l LoadBalancing) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
