package process

import (
	"io"
	"sync"

	"waymark.dev/waymark/internal/lines"
)

// tail keeps the last tailSize bytes that are written to it.
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

// wholeLines writes only whole lines of one stream to next, so that lines of two streams do not mix. Its Write never
// fails: after an error, the stream would end, and with it the log of an Envoy whose disk was full for a moment.
type wholeLines struct {
	next  io.Writer // nil drops them
	lines lines.Splitter
}

func newLines(next io.Writer) *wholeLines { return &wholeLines{next: next} }

// outputs is locked during each Write to a next, since two streams may have the same one, which need not be safe for
// concurrent use.
var outputs sync.Mutex

func (l *wholeLines) Write(b []byte) (int, error) {
	if l.next == nil {
		return len(b), nil
	}
	if whole := l.lines.Add(b); whole != nil {
		outputs.Lock()
		defer outputs.Unlock()
		_, _ = l.next.Write(whole) // an error must not end the stream, see wholeLines
	}
	return len(b), nil
}

// logLines is the log of an Envoy: whole lines for the tail and, if it is not nil, for an output.
type logLines struct {
	wholeLines
	once *deprecations
}

func newLog(t *tail, output io.Writer) *logLines {
	var next io.Writer = t
	if output != nil {
		next = io.MultiWriter(t, output)
	}
	once := &deprecations{next: next}
	return &logLines{wholeLines{next: once}, once}
}

// end writes what is left when Envoy has ended: the line without an end, and how much was left out.
func (l *logLines) end() {
	outputs.Lock()
	defer outputs.Unlock()
	if rest := l.lines.Rest(); len(rest) > 0 {
		_, _ = l.once.Write(append(rest, '\n')) // as in wholeLines
	}
	l.once.end()
}
