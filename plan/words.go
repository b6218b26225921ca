package plan

import "fmt"

// The enumerations of the model are printed as words, in text and in JSON.

func word(words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

// String is the word by which it is printed.
func (k MatchKind) String() string {
	return word([]string{"present", "exact", "prefix", "separated-prefix", "regex"}, uint8(k))
}

// MarshalText writes the word.
func (k MatchKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String is the word by which it is printed.
func (d Discovery) String() string {
	return word([]string{"static", "strict-dns", "logical-dns", "original-destination"}, uint8(d))
}

// MarshalText writes the word.
func (d Discovery) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the word by which it is printed.
func (l LoadBalancing) String() string {
	return word([]string{"least-request", "round-robin", "random", "ring-hash", "maglev"}, uint8(l))
}

// MarshalText writes the word.
func (l LoadBalancing) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
