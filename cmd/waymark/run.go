package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/proxy/standin"
)

// road is everything that serves: an engine, and the stand-ins of services.
type road struct {
	in       *input
	listen   listenAddress
	engine   engine
	services *standin.Services // nil: the real ones
	plan     *plan.Plan        // in force
}

// runFlags are the flags that run and demo share.
type runFlags struct {
	envoyFlags
	engine, binary, listen, backends, dir string
}

func (f *runFlags) add(c *cobra.Command, backends string) {
	f.envoyFlags.add(c)
	c.Flags().StringVar(&f.engine, "engine", "wasm", "wasm: the embedded data plane; envoy: a real Envoy")
	c.Flags().StringVar(&f.binary, "envoy", "", "Envoy's program (default: ENVOY_BIN, or envoy on the path)")
	c.Flags().StringVar(&f.dir, "dynamic", "", "folder for the files that Envoy watches (default: a temporary one)")
	c.Flags().StringVar(&f.listen, "listen", "", "address to bind instead of the listeners' own, ADDRESS or ADDRESS:PORT; port 0 is any free one")
	c.Flags().StringVar(&f.backends, "backends", backends, "demo: stand-ins answer on the services' loopback endpoints; none: the services run elsewhere")
}

// build makes the engine that the flags name.
func (f *runFlags) build(ctx context.Context, in *input, access func(proxy.Access), envoyOutput io.Writer) (*road, error) {
	r := &road{in: in}
	var err error
	if r.listen, err = parseListen(f.listen); err != nil {
		return nil, err
	}
	switch f.backends {
	case "demo":
		r.services = standin.New()
	case "none":
	default:
		return nil, usageError("--backends %q is neither demo nor none", f.backends)
	}
	o, err := f.options(in)
	if err != nil {
		return nil, err
	}
	reportLimits(os.Stderr, &o)
	module, err := readModule(f.module)
	if err != nil {
		return nil, err
	}
	switch f.engine {
	case "wasm":
		if o.Matching == envoy.MatchingNative {
			return nil, usageError("--matching %s needs --engine envoy: the embedded data plane has the filter alone", o.Matching)
		}
		r.engine, err = newWasmEngine(ctx, module, o, access, os.Stderr)
	case "envoy":
		var binary string
		if binary, err = findEnvoy(f.binary); err == nil {
			err = fitEnvoy(ctx, binary, &o, f.givenVersion())
		}
		if err == nil {
			o.Dir = f.dir
			r.engine, err = newEnvoyEngine(binary, o, envoyOutput)
		}
	default:
		return nil, usageError("--engine %q is neither wasm nor envoy", f.engine)
	}
	return r, err
}

// load reads, translates and serves what the files say now.
func (r *road) load(ctx context.Context) error {
	p, err := r.in.translate(true)
	if err != nil {
		return err
	}
	if len(p.Listeners) == 0 {
		if r.in.proxy == string(gateway.SidecarProxy) {
			return &exitError{exitBadInput, errors.New("no service declares HTTP on a port, so there is nothing to listen on; see the notices")}
		}
		return &exitError{exitBadInput, errors.New("no Gateway selects this proxy, so there is nothing to listen on; see --labels and --gateway")}
	}
	if err := r.listen.place(p); err != nil {
		return err
	}
	if r.services != nil {
		if err := r.services.Serve(p); err != nil {
			return err
		}
	}
	if err := r.engine.apply(ctx, p); err != nil {
		return err
	}
	r.plan = p
	return nil
}

func (r *road) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := r.engine.close(ctx)
	if r.services != nil {
		r.services.Close(ctx)
	}
	return err
}

func newRun() *cobra.Command {
	var in input
	var f runFlags
	c := &cobra.Command{
		Use:   "run -f FILE|DIR",
		Short: "Serve the rules until Ctrl-C",
		Long: `Run serves the rules and reads changed files again, without dropping a request. Rules that are wrong change nothing:
the ones before go on, and what is wrong is said.

  waymark run -f examples/bookinfo --backends demo
  waymark run -f examples/bookinfo --backends demo --engine envoy --listen 127.0.0.1
  waymark run -f rules.yaml --gateway public --endpoint reviews=127.0.0.1:9080`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if slices.Contains(in.files, "-") {
				return usageError("run reads its files again when they change; standard input cannot be")
			}
			r, err := f.build(ctx, &in, accessLog(c.OutOrStdout()), c.OutOrStdout())
			if err != nil {
				return err
			}
			if err := r.load(ctx); err != nil {
				return errors.Join(err, r.close())
			}
			for _, l := range r.plan.Listeners {
				fmt.Fprintf(os.Stderr, "listening on %s\n", r.engine.address(l))
			}
			return errors.Join(r.watch(ctx), r.close())
		},
	}
	in.addFlags(c)
	f.add(c, "none")
	return c
}

// watchInterval is how often the files are looked at. Looking works on every file system and for every editor, which
// notifications do not.
const watchInterval = 500 * time.Millisecond

// watch loads again whenever the files have changed, until the context ends.
func (r *road) watch(ctx context.Context) error {
	seen := fingerprint(r.in.files)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.engine.ended():
			return errors.New("envoy has ended")
		case <-time.After(watchInterval):
		}
		now := fingerprint(r.in.files)
		if now == seen {
			continue
		}
		seen = now
		if err := r.load(ctx); err != nil {
			if text := err.Error(); text != "" {
				fmt.Fprintln(os.Stderr, "waymark: "+text)
			}
			fmt.Fprintln(os.Stderr, "waymark: the changed files are not used; the rules before go on being served")
			continue
		}
		fmt.Fprintln(os.Stderr, "waymark: the changed files are served now")
	}
}

// fingerprint changes when a file is written, added or removed.
func fingerprint(paths []string) string {
	files, err := gateway.Files(paths)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintln(&b, name, err)
			continue
		}
		fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// accessLog prints a line per request.
func accessLog(w io.Writer) func(proxy.Access) {
	var mu sync.Mutex
	return func(a proxy.Access) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s %s %s%s %d %.1fms rule=%s cluster=%s upstream=%s attempts=%d details=%s\n", a.Time.UTC().Format(time.RFC3339),
			a.Method, a.Authority, a.Path, a.Status, float64(a.Duration.Microseconds())/1000,
			dash(a.Rule), dash(a.Cluster), dash(a.Upstream), a.Attempts, dash(a.Detail))
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
