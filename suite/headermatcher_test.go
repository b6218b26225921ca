package suite

import (
	"testing"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
)

// Matchers of headers compare as Envoy does.
func TestHeaderMatcher(t *testing.T) {
	t.Parallel()
	value := func(s string) *string { return &s }
	for what, c := range map[string]struct {
		matcher string
		meets   []*string
		fails   []*string
	}{
		"presence without words":               {`{}`, []*string{value("")}, []*string{nil}},
		"presence":                             {`{"presentMatch": true}`, []*string{value("a")}, []*string{nil}},
		"absence":                              {`{"presentMatch": true, "invertMatch": true}`, []*string{nil}, []*string{value("a")}},
		"absence in the other form":            {`{"presentMatch": false}`, []*string{nil}, []*string{value("a")}},
		"a value":                              {`{"stringMatch": {"exact": "a"}}`, []*string{value("a")}, []*string{value("A"), nil}},
		"a value in any case":                  {`{"stringMatch": {"exact": "Ab", "ignoreCase": true}}`, []*string{value("aB")}, []*string{value("b")}},
		"a prefix":                             {`{"stringMatch": {"prefix": "a"}}`, []*string{value("ab")}, []*string{value("ba")}},
		"a suffix":                             {`{"stringMatch": {"suffix": "a"}}`, []*string{value("ba")}, []*string{value("ab")}},
		"a part":                               {`{"stringMatch": {"contains": "a"}}`, []*string{value("bab")}, []*string{value("b")}},
		"an expression is for the whole value": {`{"stringMatch": {"safeRegex": {"regex": "a|ab"}}}`, []*string{value("ab")}, []*string{value("abc"), value("xa")}},
		"another value, of a header that is":   {`{"stringMatch": {"exact": "a"}, "invertMatch": true}`, []*string{value("b")}, []*string{value("a"), nil}},
		"another value, absent as empty":       {`{"stringMatch": {"exact": "a"}, "invertMatch": true, "treatMissingHeaderAsEmpty": true}`, []*string{nil}, []*string{value("a")}},
		"a range without its end":              {`{"rangeMatch": {"start": -1, "end": 3}}`, []*string{value("-1"), value("2")}, []*string{value("3"), value("x")}},
		"a value, older":                       {`{"exactMatch": "a"}`, []*string{value("a")}, []*string{value("b")}},
		"a prefix, older":                      {`{"prefixMatch": "a"}`, []*string{value("ab")}, []*string{value("b")}},
		"a suffix, older":                      {`{"suffixMatch": "a"}`, []*string{value("ba")}, []*string{value("b")}},
		"a part, older":                        {`{"containsMatch": "a"}`, []*string{value("bab")}, []*string{value("b")}},
		"an expression, older":                 {`{"safeRegexMatch": {"regex": "a+"}}`, []*string{value("aa")}, []*string{value("ab")}},
		"presence where absent is as empty":    {`{"presentMatch": true, "treatMissingHeaderAsEmpty": true}`, []*string{nil}, nil},
		"a value where absent is as empty":     {`{"stringMatch": {"exact": ""}, "treatMissingHeaderAsEmpty": true}`, []*string{nil, value("")}, []*string{value("a")}},
		"a value where absent is not as empty": {`{"stringMatch": {"exact": ""}}`, []*string{value("")}, []*string{nil}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := &route.HeaderMatcher{}
			require.NoError(t, protojson.Unmarshal([]byte(c.matcher), m))
			match, err := headerMatcher(m)
			require.NoError(t, err)
			for _, v := range c.meets {
				assert.True(t, match(v), "%v", v)
			}
			for _, v := range c.fails {
				assert.False(t, match(v), "%v", v)
			}
		})
	}
	_, err := headerMatcher(&route.HeaderMatcher{HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{}})
	require.EqualError(t, err, "string_match has none of exact, prefix, suffix, contains and safe_regex")
}
