package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/rollout"
	"waymark.dev/waymark/plan"
)

// envoyEngine is an Envoy of this machine, which watches files that the engine replaces.
type envoyEngine struct {
	options   envoy.Options
	binary    string
	output    io.Writer
	temporary bool // the folder is ours, and goes with us

	mu      sync.Mutex // held while files change, and while Envoy starts
	process *process.Process
	bound   map[string]bool // addresses of the listeners in force
	closed  bool
	gone    chan error // gets the reason when Envoy has ended and is not started again
}

// newEnvoyEngine keeps its files in options.Dir, or in a temporary folder.
func newEnvoyEngine(binary string, o envoy.Options, output io.Writer) (*envoyEngine, error) {
	e := &envoyEngine{options: o, binary: binary, output: output, gone: make(chan error, 1)}
	var err error
	if o.Dir == "" {
		e.temporary = true
		if e.options.Dir, err = os.MkdirTemp("", "waymark-run-"); err != nil {
			return nil, err
		}
	} else if e.options.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if o.AdminPort == 0 {
		ports, err := process.FreePorts(1)
		if err != nil {
			return nil, err
		}
		e.options.AdminPort = ports[0]
	}
	return e, nil
}

func (e *envoyEngine) apply(ctx context.Context, p *plan.Plan) error {
	files, err := envoy.WatchedFiles(p, e.options)
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
		if err := free(l, e.address(l)); err != nil {
			return err
		}
	}
	dir := &rollout.Dir{Path: e.options.Dir}
	if e.process != nil {
		dir.Watcher = &rollout.Admin{Ask: e.process.Admin, Log: e.process.Log, Ended: e.process.Done()}
	}
	before := e.bound
	e.bound = maps.Clone(bound)
	maps.Copy(e.bound, before) // what is taken in part may have bound some
	if err := dir.Apply(ctx, files); err != nil {
		return err
	}
	e.bound = bound
	if e.process != nil {
		return nil
	}
	return e.start(ctx)
}

// free says whether a listener's address can be bound, in one sentence: of an Envoy that cannot bind one, only its log
// would say why.
func free(l *plan.Listener, address string) error {
	socket, err := net.Listen("tcp", address)
	if err != nil {
		var e *net.OpError
		if errors.As(err, &e) {
			err = e.Err
		}
		return &exitError{exitBadInput, fmt.Errorf("listener %s cannot listen on %s: %w; --listen names another address", l.Name, address, err)}
	}
	return socket.Close()
}

// start starts Envoy on the files that are there, and watches over it.
func (e *envoyEngine) start(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(e.options.Dir, envoy.BootstrapFile))
	if err != nil {
		return err
	}
	e.process, err = process.Start(ctx, process.Options{Binary: e.binary, Bootstrap: text, AdminPort: e.options.AdminPort, Output: e.output})
	if err != nil {
		return err
	}
	if n, err := e.process.Stat(ctx, "listener_manager.lds.update_rejected"); err != nil || n > 0 {
		return errors.Join(fmt.Errorf("envoy refuses the listeners:\n%s", e.process.Log()), err)
	}
	go e.watchOver(e.process)
	return nil
}

// restarts is how often in a row Envoy is started again before it is given up, and restartPause the wait before.
const (
	restarts     = 5
	restartPause = 300 * time.Millisecond
)

// watchOver starts Envoy again when it ends by itself, from the files as they are.
func (e *envoyEngine) watchOver(p *process.Process) {
	<-p.Done()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.process != p {
		return
	}
	fmt.Fprintln(os.Stderr, "waymark: envoy has ended; it is started again from the files as they are")
	var err error
	for range restarts {
		time.Sleep(restartPause)
		if err = e.start(context.Background()); err == nil {
			return
		}
	}
	e.gone <- err
}

func (e *envoyEngine) address(l *plan.Listener) string {
	return net.JoinHostPort(l.Bind, strconv.Itoa(int(l.Port)))
}

func (e *envoyEngine) ended() <-chan error { return e.gone }

func (e *envoyEngine) close(context.Context) error {
	e.mu.Lock()
	e.closed = true
	p := e.process
	e.mu.Unlock()
	var err error
	if p != nil {
		err = p.Stop()
	}
	if e.temporary {
		err = errors.Join(err, os.RemoveAll(e.options.Dir))
	}
	return err
}
