package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
)

// String is the request on one line, for people: GET shop.test/api?v=1 with x-user: jason.
func (r Request) String() string {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	text := method + " " + r.Authority + r.Path
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		for _, v := range r.Headers[name] {
			headers = append(headers, name+": "+v)
		}
	}
	if len(headers) > 0 {
		text += " with " + strings.Join(headers, ", ")
	}
	if r.Scheme != "" {
		text += fmt.Sprintf(" (scheme %s)", r.Scheme)
	}
	return diag.Printable(text)
}
