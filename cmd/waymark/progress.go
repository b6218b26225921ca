package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// progress appears on a terminal once a command has run for a second, and names what takes long.
type progress struct {
	mu    sync.Mutex
	stage string
	begun time.Time
	stop  chan struct{}
	done  sync.WaitGroup
}

// quiet is how long a command may run before progress appears.
const quiet = time.Second

func newProgress() *progress {
	p := &progress{begun: time.Now(), stop: make(chan struct{})}
	if !isTerminal(os.Stderr) {
		return p
	}
	p.done.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		said := false
		for {
			select {
			case <-p.stop:
				if said {
					fmt.Fprint(os.Stderr, "\r\x1b[K")
				}
				return
			case <-tick.C:
				if time.Since(p.begun) > quiet {
					p.mu.Lock()
					fmt.Fprintf(os.Stderr, "\r\x1b[Kwaymark: %s ... %.0f s", p.stage, time.Since(p.begun).Seconds())
					p.mu.Unlock()
					said = true
				}
			}
		}
	})
	return p
}

// at names what is being done now.
func (p *progress) at(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage = fmt.Sprintf(format, args...)
}

// end takes what was said off the terminal.
func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
}
