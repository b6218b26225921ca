package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reader takes what is written once it is let to, with the errors that it is given.
type reader struct {
	mu    sync.Mutex
	text  bytes.Buffer
	fails error
	hold  chan struct{}
}

func (r *reader) Write(b []byte) (int, error) {
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil {
		return 0, r.fails
	}
	return r.text.Write(b)
}

func (r *reader) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *reader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails = err
}

// A reader that stalls holds nobody up and fills no memory; whole lines are missing then, and their number is told.
func TestAReaderThatStalls(t *testing.T) {
	r, tell := &reader{hold: make(chan struct{})}, &reader{}
	o := newOutput("standard output", r, newTestLogger(tell))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 200_000
	begun := time.Now()
	for i := range n {
		fmt.Fprintf(o, "line %06d %s", i, strings.Repeat("x", 80)) // in two writes, as pipes may cut them
		fmt.Fprintln(o, "end")
	}
	assert.Less(t, time.Since(begun), 10*time.Second)
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4<<20))
	close(r.hold)
	o.close(10 * time.Second)
	lines := strings.Split(strings.TrimSuffix(r.got(), "\n"), "\n")
	for _, l := range lines {
		require.Regexp(t, "^line [0-9]{6} x+end$", l)
	}
	assert.Greater(t, len(lines), 5000)
	var dropped, sum int
	for line := range strings.Lines(tell.got()) {
		_, err := fmt.Sscanf(line, "level=WARN msg=\"%d lines for standard output were dropped: they are read too slowly\"", &dropped)
		require.NoError(t, err)
		sum += dropped
	}
	assert.Equal(t, n, len(lines)+sum)
}

// An error loses the lines that it is about, and no others.
func TestAFullDiskDoesNotEndTheLog(t *testing.T) {
	t.Parallel()
	r, tell := &reader{}, &reader{}
	o := newOutput("standard output", r, newTestLogger(tell))
	fmt.Fprintln(o, "before")
	require.Eventually(t, func() bool { return r.got() != "" }, 5*time.Second, time.Millisecond)
	r.fail(errors.New("no space left on device"))
	fmt.Fprintln(o, "lost")
	require.Eventually(t, func() bool { return tell.got() != "" }, 5*time.Second, time.Millisecond)
	r.fail(nil)
	fmt.Fprintln(o, "after")
	o.close(5 * time.Second)
	assert.Equal(t, "before\nafter\n", r.got())
	assert.Equal(t, "level=WARN msg=\"1 lines for standard output were dropped: no space left on device\"\n", tell.got())
}

// Closing does not wait for a reader that never reads.
func TestClosingDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	r := &reader{hold: make(chan struct{})}
	defer close(r.hold)
	o := newOutput("standard output", r, newTestLogger(io.Discard))
	fmt.Fprintln(o, "line")
	begun := time.Now()
	o.close(50 * time.Millisecond)
	assert.Less(t, time.Since(begun), 5*time.Second)
}
