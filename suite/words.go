package suite

import (
	"encoding/json"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
)

// inWords is an expected or actual value in one line, for people.
func inWords(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return `""`
		}
		return diag.Printable(v)
	case []Destination:
		parts := make([]string, len(v))
		for i, d := range v {
			if parts[i] = d.String(); d.Weight != 0 {
				parts[i] = strconv.FormatUint(uint64(d.Weight), 10) + " " + parts[i]
			}
		}
		return diag.Printable(strings.Join(parts, ", "))
	case map[string]any: // of a check that is reversed
		return "not " + inWords(v["not"])
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic("suite: " + err.Error()) // never: checks have plain values
	}
	return string(text)
}
