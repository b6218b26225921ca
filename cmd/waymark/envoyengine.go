package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/process/scratch"
	"waymark.dev/waymark/internal/listening"
	"waymark.dev/waymark/plan"
)

// envoyEngine is an Envoy of this machine, which watches files that the engine replaces.
type envoyEngine struct {
	options envoy.Options
	binary  string
	mode    fs.FileMode
	output  io.Writer
	log     *slog.Logger
	scratch *scratch.Dir // the folder, where it goes with us
	lock    *os.File     // of the folder, where it stays

	// Ends what is tried for a process that has ended.
	ctx    context.Context
	cancel context.CancelFunc
	gone   chan error // gets the reason when Envoy has ended and is not started again

	mu        sync.Mutex // held while files change, and while Envoy starts
	process   *process.Process
	listeners int             // in force
	watches   int             // instances of inotify that its files need
	bound     map[string]bool // addresses of the listeners in force
	restarts  backoff
}

// newEnvoyEngine keeps its files in options.Dir, or in a temporary folder.
func newEnvoyEngine(binary string, o envoy.Options, mode fs.FileMode, output io.Writer, log *slog.Logger) (*envoyEngine, error) {
	e := &envoyEngine{options: o, binary: binary, mode: mode, output: output, log: log, gone: make(chan error, 1)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	err := e.makeDir()
	if write := nameModule(&e.options); err == nil && write != nil {
		err = write()
	}
	if err == nil && o.AdminPort == 0 {
		e.options.AdminSocket, err = adminSocket(e.options.Dir)
	}
	if err == nil && e.options.AdminSocket == "" {
		err = freeAddress("the admin interface", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.AdminPort))), "--admin-port names another", false)
	}
	if err != nil {
		return nil, errors.Join(err, e.removeDir())
	}
	return e, nil
}

func (e *envoyEngine) makeDir() (err error) {
	if e.options.Dir == "" {
		if e.scratch, err = scratch.New("run"); err == nil {
			e.options.Dir = e.scratch.Path
		}
		return err
	}
	scratch.Sweep() // what a process left that had a temporary one
	if e.options.Dir, err = filepath.Abs(e.options.Dir); err != nil {
		return err
	}
	if err := (&files.Dir{Path: e.options.Dir, Mode: e.mode}).Make(); err != nil {
		return err
	}
	e.lock, err = scratch.Lock(e.options.Dir)
	return err
}

func (e *envoyEngine) removeDir() error {
	if e.lock == nil {
		return e.scratch.Remove()
	}
	if e.options.AdminSocket != "" {
		_ = os.Remove(e.options.AdminSocket) // the next Envoy would, too
	}
	return e.lock.Close()
}

// socketPathSize bounds the path of a Unix socket (unix(7)).
const socketPathSize = 107

// adminSocket is the path of the admin interface's socket, which only this user can open.
func adminSocket(dir string) (string, error) {
	path := filepath.Join(dir, "admin.sock")
	if len(path) > socketPathSize {
		return "", &exitError{exitBadInput, fmt.Errorf("--admin-port 0: the path %s is longer than the %d bytes that a socket may have; "+
			"choose a shorter folder with --dynamic or TMPDIR, or a port", path, socketPathSize)}
	}
	return path, nil
}

// apply changes the files, after Envoy itself has looked at what they will hold: what it refuses changes nothing.
func (e *envoyEngine) apply(ctx context.Context, p *plan.Plan) error {
	resources, err := envoy.Build(p, e.options)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	bound := map[string]bool{}
	for _, l := range p.Listeners {
		bound[e.address(l)] = true
		if e.bound[e.address(l)] {
			continue
		}
		if err := freeAddress("listener "+l.Name, e.address(l), "--listen names another address", e.hasPort(l.Port)); err != nil {
			return err
		}
	}
	if err := enoughWatches(files.Watches(resources) - e.watches); err != nil {
		return err
	}
	if err := validatePlan(ctx, e.binary, p, e.options, process.Validation{Dir: e.options.Dir, Mode: e.mode}); err != nil {
		return e.readable(err)
	}
	dir := &files.Dir{Path: e.options.Dir, Mode: e.mode}
	running := e.process != nil && e.process.Running()
	if running {
		dir.Watcher = e.watcher()
	}
	if err := dir.Apply(ctx, resources); err != nil {
		return err
	}
	before := e.listeners
	e.listeners = len(p.Listeners)
	if !running {
		if err := e.start(ctx); err != nil {
			e.listeners = before
			return errors.Join(err, dir.Undo())
		}
	}
	e.bound, e.watches = bound, files.Watches(resources)
	return nil
}

// hasPort reports whether a listener in force has a port, on any address.
func (e *envoyEngine) hasPort(port uint32) bool {
	for address := range e.bound {
		if _, own, err := net.SplitHostPort(address); err == nil && own == strconv.Itoa(int(port)) {
			return true
		}
	}
	return false
}

func (e *envoyEngine) watcher() *files.Admin {
	return &files.Admin{Ask: e.process.Admin, Log: e.process.Log, Ended: e.process.Done()}
}

// freeAddress returns an error of one sentence where an address cannot be bound: of an Envoy that cannot, only its log would
// say why. With shared, the port is that Envoy's own, on another address.
func freeAddress(who, address, wayOut string, shared bool) error {
	socket, err := listening.Listen(context.Background(), address, shared)
	if err != nil {
		var e *net.OpError
		if errors.As(err, &e) {
			err = e.Err
		}
		return &exitError{exitBadInput, fmt.Errorf("%s cannot listen on %s: %w; %s", who, address, err, wayOut)}
	}
	return socket.Close()
}

// start starts Envoy on the files that are there, and watches over it.
func (e *envoyEngine) start(ctx context.Context) error {
	p, err := process.Start(ctx, process.Options{
		Binary: e.binary, Config: filepath.Join(e.options.Dir, envoy.BootstrapFile),
		AdminPort: e.options.AdminPort, AdminSocket: e.options.AdminSocket, Output: e.output,
	})
	if err != nil {
		return e.readable(err)
	}
	e.process = p
	if err := e.watcher().Started(ctx, e.listeners); err != nil {
		e.process = nil
		return errors.Join(e.readable(err), p.Stop())
	}
	go e.watchOver(p, time.Now())
	return nil
}

// unreadable is the message in Envoy's log for a file that it may not read.
var unreadable = regexp.MustCompile("unable to read file: ([^\\s`]+)")

// readable adds the way out to an error of an Envoy that may not read a file of the folder.
func (e *envoyEngine) readable(err error) error {
	m := unreadable.FindStringSubmatch(err.Error())
	if m == nil || !strings.HasPrefix(m[1], e.options.Dir) {
		return err
	}
	return fmt.Errorf("%w\nenvoy cannot read %s, whose mode is %04o: where it runs as another user, --dynamic with --file-mode lets it", err, m[1], e.mode)
}

// watchOver starts Envoy again when it ends by itself, from the files as they are.
func (e *envoyEngine) watchOver(p *process.Process, begun time.Time) {
	select {
	case <-p.Done():
	case <-e.ctx.Done():
		return
	}
	e.restarts.ran(time.Since(begun))
	reason := fmt.Errorf("envoy has ended:\n%s", p.Log())
	for {
		pause, ok := e.restarts.next()
		if !ok {
			e.gone <- fmt.Errorf("envoy has ended %d times within %s of its start, and is not started again; the last time: %w", restartLimit+1, restartSteady, reason)
			return
		}
		e.log.Warn(fmt.Sprintf("envoy has ended; in %s it is started again from the files as they are", pause))
		select {
		case <-time.After(pause):
		case <-e.ctx.Done():
			return
		}
		e.mu.Lock()
		if e.ctx.Err() != nil || e.process != p && e.process != nil { // a change has started one
			e.mu.Unlock()
			return
		}
		reason = e.start(e.ctx)
		e.mu.Unlock()
		if reason == nil {
			return
		}
	}
}

// Envoy is started again after restartPause, then after twice as long, and so on up to restartLongest; restartLimit times
// in a row. One that has run for restartSteady has left its start behind: what ends it then is counted anew.
const (
	restartPause   = 300 * time.Millisecond
	restartLongest = 10 * time.Second
	restartLimit   = 6
	restartSteady  = 30 * time.Second
)

// backoff counts the starts in a row that did not last.
type backoff struct {
	mu     sync.Mutex
	failed int
}

// ran counts an Envoy that has ended.
func (b *backoff) ran(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d >= restartSteady {
		b.failed = 0
	}
}

// next is how long to wait before the next start; false: there is none.
func (b *backoff) next() (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed >= restartLimit {
		return 0, false
	}
	pause := min(restartPause<<b.failed, restartLongest)
	b.failed++
	return pause, true
}

func (e *envoyEngine) address(l *plan.Listener) string {
	return net.JoinHostPort(l.Bind, strconv.Itoa(int(l.Port)))
}

func (e *envoyEngine) admin() string {
	if e.options.AdminSocket != "" {
		return "the socket " + e.options.AdminSocket
	}
	return fmt.Sprintf("http://127.0.0.1:%d", e.options.AdminPort)
}

func (e *envoyEngine) ended() <-chan error { return e.gone }

// close lets what is in flight end, as long as the context allows.
func (e *envoyEngine) close(ctx context.Context) error {
	e.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	if p := e.process; p != nil {
		if left := p.Drain(ctx); left > 0 {
			e.log.Warn(fmt.Sprintf("%d requests or connections are cut", left))
			err = p.Kill()
		} else {
			err = p.Stop()
		}
	}
	return errors.Join(err, e.removeDir())
}
