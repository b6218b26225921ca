package routing

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestACompactAutomatonThatLeadsAstrayIsRefused(t *testing.T) {
	good := map[string]string{
		"takes nothing but the empty value": "\x01\x80",
		"a":                                 "\x01\x08a\x04\x80",
		"a, with places of two bytes":       "\x02\x08a\x05\x00\x80",
		"nothing at all":                    "\x01\x08a\x00",
		"a chain, else another state":       "\x01\x7f\x07\x02ab\x80\x08a\x00",
	}
	bad := map[string]string{
		"nothing":                         "",
		"no state":                        "\x01",
		"places of three bytes":           "\x03\x80",
		"an edge without place":           "\x01\x08a",
		"a place in the middle":           "\x01\x08a\x02",
		"a place behind the end":          "\x01\x08a\x04",
		"a range that leads astray":       "\x01\x01az\x03",
		"a chain of nothing":              "\x01\x3f\x00\x80",
		"a chain that is cut off":         "\x01\x3f\x05ab",
		"a chain without length":          "\x01\x3f",
		"a chain that leads nowhere":      "\x01\x3f\x02ab",
		"else nowhere":                    "\x01\xc0\x00",
		"else to itself":                  "\x01\xc0\x01",
		"else to a chain":                 "\x01\xc0\x03\x3f\x01a\x80",
		"else to a state with else":       "\x01\xc0\x03\xc0\x05\x80",
		"a second byte that leads astray": "\x02\x08a\x01\x01",
	}
	for valid, codes := range map[bool]map[string]string{true: good, false: bad} {
		for what, code := range codes {
			_, ok := compact(code).valid(nil)
			assert.Equal(t, valid, ok, what)
		}
	}
}

// FuzzCompact: what is valid can be run on any value.
func FuzzCompact(f *testing.F) {
	f.Add("\x01\x08a\x04\x80", "a")
	f.Add("\x01\x7f\x0a\x04user\x80\x89a\x00az\x0a", "users")
	f.Fuzz(func(t *testing.T, code, value string) {
		if _, ok := compact(code).valid(nil); ok {
			compact(code).match(value)
		}
	})
}
