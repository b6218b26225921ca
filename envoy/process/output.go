package process

import (
	"bytes"
	"io"
	"sync"
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

// lines passes whole lines of one stream on, so that those of two streams do not mix, and never fails: an error would end
// the stream, and with it the log of an Envoy whose disk was full for a moment.
type lines struct {
	next io.Writer // nil drops them
	part []byte
}

// lineSize bounds a line that has no end.
const lineSize = 64 << 10

func newLines(next io.Writer) *lines { return &lines{next: next} }

// outputs keeps the lines of one stream apart from those of another: a Write of theirs need not be safe for both.
var outputs sync.Mutex

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	if l.next == nil {
		return n, nil
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 && len(l.part)+n > lineSize {
		end = n
	}
	if end > 0 {
		l.pass(append(l.part, b[:end]...))
		l.part, b = nil, b[end:]
	}
	l.part = append(l.part, b...)
	return n, nil
}

func (l *lines) pass(text []byte) {
	outputs.Lock()
	defer outputs.Unlock()
	_, _ = l.next.Write(text) // see above
}
