package process

import (
	"io"
	"sync"

	"waymark.dev/waymark/internal/lines"
)

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if len(t.kept) > tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

// wholeLines passes whole lines of one stream on, so that those of two streams do not mix, and never fails: an error would end
// the stream, and with it the log of an Envoy whose disk was full for a moment.
type wholeLines struct {
	next  io.Writer // nil drops them
	lines lines.Splitter
}

func newLines(next io.Writer) *wholeLines { return &wholeLines{next: next} }

// outputs keeps the lines of one stream apart from those of another: a Write of theirs need not be safe for both.
var outputs sync.Mutex

func (l *wholeLines) Write(b []byte) (int, error) {
	if l.next == nil {
		return len(b), nil
	}
	if whole := l.lines.Add(b); whole != nil {
		outputs.Lock()
		defer outputs.Unlock()
		_, _ = l.next.Write(whole) // see above
	}
	return len(b), nil
}
