package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
)

// engine serves a plan, and another one after it without dropping a request.
type engine interface {
	// apply serves a plan. On an error the one before goes on being served.
	apply(ctx context.Context, p *plan.Plan) error
	// address is where a listener is bound.
	address(l *plan.Listener) string
	// ended is closed when the engine has ended by itself.
	ended() <-chan struct{}
	close(ctx context.Context) error
}

// listenAddress is the flag --listen: an address to bind instead of the plan's, with or without a port.
type listenAddress struct{ host, port string }

func parseListen(text string) (listenAddress, error) {
	if text == "" {
		return listenAddress{}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = text, ""
	}
	if net.ParseIP(host) == nil {
		return listenAddress{}, usageError("--listen %q is not ADDRESS or ADDRESS:PORT", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
		return listenAddress{}, usageError("--listen %q: %q is no port", text, port)
	}
	if port == "0" { // any free one, and the same after every change
		ports, err := process.FreePorts(1)
		if err != nil {
			return listenAddress{}, err
		}
		port = strconv.Itoa(int(ports[0]))
	}
	return listenAddress{host, port}, nil
}

// place writes the address into a plan's listeners.
func (a listenAddress) place(p *plan.Plan) error {
	if a.host == "" {
		return nil
	}
	if a.port != "" && len(p.Listeners) > 1 {
		return &exitError{exitBadInput, fmt.Errorf("--listen names a port, and there are %d listeners; choose one Gateway with --gateway, or name an address alone", len(p.Listeners))}
	}
	for _, l := range p.Listeners {
		l.Bind = a.host
		if a.port != "" {
			port, _ := strconv.ParseUint(a.port, 10, 16) // checked by parseListen
			l.Port = uint32(port)
		}
	}
	return nil
}

// wasmEngine is the embedded data plane.
type wasmEngine struct{ proxy *proxy.Proxy }

func newWasmEngine(ctx context.Context, module []byte, o envoy.Options, access func(proxy.Access), log io.Writer) (*wasmEngine, error) {
	p, err := proxy.New(ctx, module, proxy.Options{
		Access: access, Normalization: o.Normalization, Era: o.Era(),
		Log: func(message string) { fmt.Fprintln(log, message) },
	})
	if err != nil {
		return nil, err
	}
	return &wasmEngine{p}, nil
}

func (e *wasmEngine) apply(ctx context.Context, p *plan.Plan) error { return e.proxy.Apply(ctx, p) }
func (e *wasmEngine) address(l *plan.Listener) string               { return e.proxy.Address(l.Name) }
func (e *wasmEngine) ended() <-chan struct{}                        { return nil }
func (e *wasmEngine) close(ctx context.Context) error               { return e.proxy.Close(ctx) }

// envoyEngine is an Envoy of this machine, which watches files that the engine replaces.
type envoyEngine struct {
	options  envoy.Options
	binary   string
	output   io.Writer
	dir      string
	process  *process.Process
	clusters []*anypb.Any // in the file now
}

// findEnvoy looks for Envoy: the flag, ENVOY_BIN, the path.
func findEnvoy(flag string) (string, error) {
	for _, name := range []string{flag, os.Getenv("ENVOY_BIN")} {
		if name != "" {
			if _, err := os.Stat(name); err != nil {
				return "", &exitError{exitBadInput, fmt.Errorf("envoy: %w", err)}
			}
			return name, nil
		}
	}
	name, err := exec.LookPath("envoy")
	if err != nil {
		return "", &exitError{exitBadInput, errors.New("no envoy is on the path; name one with --envoy or ENVOY_BIN, or run 'make envoy' and take what it prints")}
	}
	return name, nil
}

func newEnvoyEngine(binary string, o envoy.Options, output io.Writer) (*envoyEngine, error) {
	dir, err := os.MkdirTemp("", "waymark-run-")
	if err != nil {
		return nil, err
	}
	if o.AdminPort == 0 {
		ports, err := process.FreePorts(1)
		if err != nil {
			return nil, err
		}
		o.AdminPort = ports[0]
	}
	return &envoyEngine{options: o, binary: binary, output: output, dir: dir}, nil
}

func (e *envoyEngine) file(name string) string { return filepath.Join(e.dir, name) }

func (e *envoyEngine) apply(ctx context.Context, p *plan.Plan) error {
	w, err := envoy.WatchedFiles(p, e.options, e.file("listeners.json"), e.file("clusters.json"))
	if err != nil {
		return err
	}
	if e.process == nil {
		return e.start(ctx, w)
	}
	// Clusters, then listeners, then the clusters that nothing needs any more (make before break).
	both, err := envoy.MergeClusters(e.clusters, w.Clusters)
	if err != nil {
		return err
	}
	if err := e.replace(ctx, "clusters.json", both, "cluster_manager.cds"); err != nil {
		return err
	}
	if err := e.replace(ctx, "listeners.json", w.Listeners, "listener_manager.lds"); err != nil {
		return err
	}
	e.clusters = w.Clusters
	return e.replace(ctx, "clusters.json", w.Clusters, "cluster_manager.cds")
}

func (e *envoyEngine) start(ctx context.Context, w *envoy.Watched) error {
	for name, list := range map[string][]*anypb.Any{"clusters.json": w.Clusters, "listeners.json": w.Listeners} {
		if _, err := e.write(name, list); err != nil {
			return err
		}
	}
	text, err := envoy.JSON(w.Bootstrap)
	if err != nil {
		return err
	}
	e.process, err = process.Start(ctx, process.Options{Binary: e.binary, Bootstrap: text, AdminPort: e.options.AdminPort, Output: e.output})
	if err != nil {
		return err
	}
	e.clusters = w.Clusters
	if n, err := e.process.Stat(ctx, "listener_manager.lds.update_rejected"); err != nil || n > 0 {
		return errors.Join(fmt.Errorf("envoy refuses the listeners:\n%s", e.process.Log()), err)
	}
	return nil
}

// write replaces a file by renaming; an unchanged one is left alone.
func (e *envoyEngine) write(name string, resources []*anypb.Any) (changed bool, err error) {
	text, err := envoy.ResourceFile(resources)
	if err != nil {
		return false, err
	}
	if old, err := os.ReadFile(e.file(name)); err == nil && string(old) == string(text) {
		return false, nil
	}
	if err := os.WriteFile(e.file(name+".new"), text, 0o600); err != nil {
		return false, err
	}
	return true, os.Rename(e.file(name+".new"), e.file(name))
}

// envoyTakes bounds the wait for Envoy to take a file.
const envoyTakes = 30 * time.Second

// replace writes a file and waits until Envoy has taken or refused it.
func (e *envoyEngine) replace(ctx context.Context, name string, resources []*anypb.Any, stats string) error {
	count := func(what string) int64 {
		n, err := e.process.Stat(ctx, stats+"."+what)
		if err != nil {
			return -1
		}
		return n
	}
	taken, refused := count("update_success"), count("update_rejected")
	changed, err := e.write(name, resources)
	if err != nil || !changed {
		return err
	}
	deadline := time.Now().Add(envoyTakes)
	for time.Now().Before(deadline) {
		if n := count("update_rejected"); n > refused {
			return fmt.Errorf("envoy refuses %s, the configuration in force goes on:\n%s", name, e.process.Log())
		}
		if n := count("update_success"); n > taken {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-e.process.Done():
			return fmt.Errorf("envoy ended:\n%s", e.process.Log())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("envoy has not taken %s after %s", name, envoyTakes)
}

func (e *envoyEngine) address(l *plan.Listener) string {
	return net.JoinHostPort(l.Bind, strconv.Itoa(int(l.Port)))
}

func (e *envoyEngine) ended() <-chan struct{} {
	if e.process == nil {
		return nil
	}
	return e.process.Done()
}

func (e *envoyEngine) close(context.Context) error {
	var err error
	if e.process != nil {
		err = e.process.Stop()
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}
