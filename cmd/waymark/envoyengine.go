package main

import (
	"cmp"
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

	"google.golang.org/grpc"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/process/scratch"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/internal/listening"
	"waymark.dev/waymark/plan"
)

// envoyEngine is an Envoy of this machine, and a control plane for it alone on a Unix socket.
type envoyEngine struct {
	options envoy.Options
	binary  string
	mode    fs.FileMode
	output  io.Writer
	log     *slog.Logger
	scratch *scratch.Dir // the folder, where it goes with us
	lock    *os.File     // of the folder, where it stays
	server  *xds.Server
	grpc    *grpc.Server

	// Ends what is tried for a process that has ended.
	ctx    context.Context
	cancel context.CancelFunc
	gone   chan error // gets the reason when Envoy has ended and is not started again

	change sync.Mutex // held while a plan is applied; guards inForce and bound

	mu       sync.Mutex // held while Envoy starts; guards process
	process  *process.Process
	inForce  *envoy.Resources
	bound    map[string]bool // addresses of the listeners in force
	restarts backoff
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
		e.options.AdminSocket, err = socketPath(e.options.Dir, "admin.sock")
	}
	if err == nil && e.options.AdminSocket == "" {
		err = freeAddress("the admin interface", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.AdminPort))), "--admin-port names another", false)
	}
	if err == nil {
		err = e.serveControl()
	}
	if err != nil {
		return nil, errors.Join(err, e.removeDir())
	}
	return e, nil
}

// serveControl serves the control plane, and writes the bootstrap that names it.
func (e *envoyEngine) serveControl() error {
	path, err := socketPath(e.options.Dir, "xds.sock")
	if err != nil {
		return err
	}
	e.options.Control = &envoy.Control{Socket: path, Node: envoy.Node{ID: "waymark", Cluster: "waymark"}}
	bootstrap, err := envoy.ControlledBootstrap(e.options)
	if err != nil {
		return err
	}
	text, err := envoy.JSON(bootstrap)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(e.options.Dir, envoy.BootstrapFile), text, e.mode); err != nil {
		return err
	}
	_ = os.Remove(path) // of a process that was killed: the folder is ours
	socket, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, socketMode(e.mode)); err != nil {
		return errors.Join(err, socket.Close())
	}
	e.server = xds.New(xds.Options{Log: e.log})
	e.grpc = e.server.GRPC()
	go func() { _ = e.grpc.Serve(socket) }() // it ends with close
	return nil
}

// socketMode lets those connect to a socket who may read files.
func socketMode(mode fs.FileMode) fs.FileMode {
	mode = cmp.Or(mode, 0o600)
	return mode | mode&0o444>>1
}

// writeFile replaces a file.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	beside := path + ".new"
	if err := os.WriteFile(beside, content, cmp.Or(mode, 0o600)); err != nil {
		return err
	}
	if err := os.Chmod(beside, cmp.Or(mode, 0o600)); err != nil { // the umask may have removed bits
		return err
	}
	return os.Rename(beside, path)
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
	for _, socket := range []string{"admin.sock", "xds.sock"} {
		_ = os.Remove(filepath.Join(e.options.Dir, socket)) // the next process would, too
	}
	return e.lock.Close()
}

// socketPathSize bounds the path of a Unix socket (unix(7)).
const socketPathSize = 107

// socketPath is the path of a socket in the folder.
func socketPath(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	if len(path) > socketPathSize {
		return "", &exitError{exitBadInput, fmt.Errorf("the path %s is longer than the %d bytes that a socket may have; "+
			"choose a shorter folder with --dynamic or TMPDIR", path, socketPathSize)}
	}
	return path, nil
}

// apply gives Envoy a plan, after Envoy itself has looked at it: what it refuses changes nothing.
func (e *envoyEngine) apply(ctx context.Context, p *plan.Plan) error {
	resources, err := envoy.Build(p, e.options)
	if err != nil {
		return err
	}
	e.change.Lock()
	defer e.change.Unlock()
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
	watches := len(resources.OfType(envoy.SecretType)) // at most: those that name files
	if e.inForce != nil {
		watches -= len(e.inForce.OfType(envoy.SecretType))
	}
	if err := enoughWatches(watches); err != nil {
		return err
	}
	if err := validatePlan(ctx, e.binary, p, e.options, process.Validation{Dir: e.options.Dir, Mode: e.mode}); err != nil {
		return e.readable(err)
	}
	if err := e.give(ctx, resources); err != nil {
		if e.inForce == nil {
			return err
		}
		return errors.Join(err, e.give(ctx, e.inForce))
	}
	e.bound, e.inForce = bound, resources
	return nil
}

// takenLimit bounds the wait for an Envoy to take a change, in which it may have to load the module.
const takenLimit = time.Minute

// give makes resources those of the Envoy, which is started if it is not running, and waits until it has taken them.
func (e *envoyEngine) give(ctx context.Context, r *envoy.Resources) error {
	number, err := e.server.Update(func(xds.Group) (*envoy.Resources, error) { return r, nil })
	if err != nil {
		return err
	}
	if err := e.startMissing(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, takenLimit)
	defer cancel()
	return e.taken(ctx, number)
}

// startMissing starts Envoy where none runs.
func (e *envoyEngine) startMissing(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process != nil && e.process.Running() {
		return nil
	}
	return e.start(ctx)
}

// running is the Envoy of now, which may have ended.
func (e *envoyEngine) running() *process.Process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.process
}

// taken waits for an Envoy to take a configuration, and then for its listeners.
func (e *envoyEngine) taken(ctx context.Context, number uint64) error {
	for {
		changed := e.server.Changed()
		waiting := envoy.StepKind("to connect")
		for _, s := range e.server.Status() {
			if s.Number < number {
				continue
			}
			if len(s.Refusals) > 0 {
				return &refusedError{s.Refusals[0], e.inForce != nil}
			}
			if s.InSync {
				return e.listening(ctx)
			}
			waiting = cmp.Or(s.Waiting, waiting)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("envoy has not taken the %s after %s:\n%s", waiting, takenLimit, e.running().Log())
			}
			return ctx.Err()
		}
	}
}

// refusedError is the refusal of a resource by Envoy. The same resource would be refused again.
type refusedError struct {
	xds.Refusal
	serves bool // what was before
}

// refusable are the resources of Envoy in the user's words.
var refusable = map[envoy.Type]string{
	envoy.ListenerType: "listener", envoy.ClusterType: "cluster", envoy.RouteType: "routes", envoy.HostType: "virtual host",
	envoy.ExtensionType: "filter's module or its configuration", envoy.SecretType: "certificate", envoy.EndpointType: "endpoints",
}

func (e *refusedError) Error() string {
	goesOn := ""
	if e.serves {
		goesOn = ", and what it had goes on being served"
	}
	return fmt.Sprintf("envoy refuses the %s (%s)%s: %s", refusable[e.Type], strings.Join(e.Names, ", "), goesOn, strings.TrimSpace(e.Message))
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

// start starts Envoy, and watches over it. Where it refuses what it gets, it does not come to serve, and ends.
func (e *envoyEngine) start(ctx context.Context) error {
	ctx, refused := context.WithCancelCause(ctx)
	defer refused(nil)
	serves := e.inForce != nil
	go func() {
		for ctx.Err() == nil {
			changed := e.server.Changed()
			for _, s := range e.server.Status() {
				if len(s.Refusals) > 0 && !s.InSync {
					refused(&refusedError{s.Refusals[0], serves})
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}()
	p, err := process.Start(ctx, process.Options{
		Binary: e.binary, Config: filepath.Join(e.options.Dir, envoy.BootstrapFile),
		AdminPort: e.options.AdminPort, AdminSocket: e.options.AdminSocket, Output: e.output,
	})
	if err != nil {
		if cause := (*refusedError)(nil); errors.As(context.Cause(ctx), &cause) {
			err = cause
		}
		return e.readable(err)
	}
	e.process = p
	go e.watchOver(p, time.Now())
	return nil
}

// listening waits until Envoy has opened its listeners: it acknowledges one before it has the routes of it.
func (e *envoyEngine) listening(ctx context.Context) error {
	for {
		p := e.running()
		warming, err := p.Stat(ctx, "listener_manager.total_listeners_warming")
		if err == nil && warming == 0 {
			return nil
		}
		if err != nil && p.Running() {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("envoy has not opened %d listeners: %w", warming, ctx.Err())
		}
	}
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
		e.log.Warn(fmt.Sprintf("envoy has ended; in %s it is started again", pause))
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
	e.grpc.Stop()
	return errors.Join(err, e.removeDir())
}
