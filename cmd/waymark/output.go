package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"waymark.dev/waymark/internal/lines"
)

// output passes lines on without ever making their writer wait. A reader that stalls must hold up neither requests nor
// changes nor signals, and what it has not read must not fill the memory: lines beyond a bound are dropped and counted.
// A write that fails, such as on a full disk, loses its lines, and the next are written again.
type output struct {
	name string       // "standard output"
	to   io.Writer    // may block
	log  *slog.Logger // gets an entry when lines were dropped

	mu      sync.Mutex
	more    *sync.Cond
	lines   lines.Splitter
	queue   [][]byte // whole lines
	size    int      // bytes in the queue
	dropped int      // lines since the last notice
	why     string   // of the last that was dropped
	closed  bool
	idle    chan struct{} // closed when everything was written after close
}

// queueSize bounds the bytes that wait for a reader.
const queueSize = 1 << 20

// tellEvery is how long lines are counted before the next notice.
const tellEvery = 5 * time.Second

func newOutput(name string, to io.Writer, log *slog.Logger) *output {
	o := &output{name: name, to: to, log: log, idle: make(chan struct{})}
	o.more = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// Write never blocks and never fails.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if whole := o.lines.Add(b); whole != nil {
		o.add(whole)
	}
	return len(b), nil
}

// add queues whole lines, or counts them as dropped.
func (o *output) add(lines []byte) {
	if o.closed || o.size+len(lines) > queueSize {
		o.drop(lines, "they are read too slowly")
		return
	}
	o.queue = append(o.queue, lines)
	o.size += len(lines)
	o.more.Signal()
}

func (o *output) drop(lines []byte, why string) {
	o.dropped += bytes.Count(lines, []byte{'\n'})
	o.why = why
}

func (o *output) run() {
	defer close(o.idle)
	var told time.Time
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.closed {
			o.more.Wait()
		}
		if len(o.queue) == 0 {
			last := o.notice()
			o.mu.Unlock()
			o.say(last)
			return
		}
		lines := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()

		_, err := o.to.Write(lines)

		o.mu.Lock()
		o.size -= len(lines)
		if err != nil {
			o.drop(lines, err.Error())
		}
		var notice string
		if time.Since(told) > tellEvery {
			if notice = o.notice(); notice != "" {
				told = time.Now()
			}
		}
		o.mu.Unlock()
		o.say(notice)
	}
}

// notice is what is to be told of dropped lines, or "".
func (o *output) notice() string {
	if o.dropped == 0 {
		return ""
	}
	text := fmt.Sprintf("%d lines for %s were dropped: %s", o.dropped, o.name, o.why)
	o.dropped = 0
	return text
}

func (o *output) say(notice string) {
	if notice != "" {
		o.log.Warn(notice)
	}
}

// close writes what waits, for a limited time.
func (o *output) close(limit time.Duration) {
	o.mu.Lock()
	if rest := o.lines.Rest(); len(rest) > 0 {
		o.add(rest)
	}
	o.closed = true
	o.more.Signal()
	o.mu.Unlock()
	select {
	case <-o.idle:
	case <-time.After(limit):
	}
}
