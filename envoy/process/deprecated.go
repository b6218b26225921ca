package process

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"sync"
)

// deprecation is Envoy's warning of a deprecated field in its configuration (message_validator_impl.cc). Envoy logs it for
// every message with the field, in every update: for 400 routes, 400 lines.
var deprecation = regexp.MustCompile(`Using deprecated option '([^']+)'`)

// deprecations passes the lines of an Envoy's log on, the warnings of each deprecated field only once, and counts the rest.
// So the log has room for what matters, and the tail that [Process.Log] returns keeps the reason of a failure.
type deprecations struct {
	next io.Writer

	mu    sync.Mutex
	times map[string]int // warnings of each field
}

// Write takes whole lines.
func (d *deprecations) Write(b []byte) (int, error) {
	if !bytes.Contains(b, []byte("deprecated option")) {
		return d.next.Write(b)
	}
	var kept []byte
	for line := range bytes.Lines(b) {
		if m := deprecation.FindSubmatch(line); m != nil && !d.first(string(m[1])) {
			continue
		}
		kept = append(kept, line...)
	}
	if len(kept) > 0 {
		_, err := d.next.Write(kept)
		return len(b), err
	}
	return len(b), nil
}

// first counts a warning, and reports whether it is the first of its field.
func (d *deprecations) first(field string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times == nil {
		d.times = map[string]int{}
	}
	d.times[field]++
	return d.times[field] == 1
}

// end writes how many warnings were left out.
func (d *deprecations) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, field := range slices.Sorted(maps.Keys(d.times)) {
		if n := d.times[field] - 1; n > 0 {
			_, _ = fmt.Fprintf(d.next, "the warning of the deprecated option '%s' was left out %d more times\n", field, n) // as in wholeLines
		}
	}
}
