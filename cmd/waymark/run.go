package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/proxy/standin"
)

// service is everything that serves: an engine, and the stand-ins of services.
type service struct {
	in       *input
	log      *slog.Logger
	listen   listenAddress
	engine   engine
	options  envoy.Options
	services *standin.Services // nil: the real ones
	beside   bool              // another process may have the addresses of the services: the stand-ins take free ones
	plan     *plan.Plan        // in force
	failed   bool              // the files that it is from have an error

	unserved *unserved // nil: not looked for

	reloads      reloads
	certificates []string // files that the plan names, which are watched with those of -f
}

// runFlags are the flags that run and demo share.
type runFlags struct {
	envoyFlags
	engine, binary, listen, backends, dir string
	fileMode, logFormat                   string
}

func (f *runFlags) add(c *cobra.Command, backends string) {
	f.envoyFlags.add(c)
	c.Flags().StringVar(&f.engine, "engine", "wasm", "wasm: the embedded data plane; envoy: a real Envoy")
	c.Flags().StringVar(&f.binary, "envoy", "", "Envoy's program (default: ENVOY_BIN, or envoy on the path)")
	c.Flags().StringVar(&f.dir, "dynamic", "", "folder for the files that Envoy watches (default: a temporary one)")
	addFileModeFlag(c, &f.fileMode)
	addLogFormatFlag(c, &f.logFormat)
	c.Flags().StringVar(&f.listen, "listen", "", "address to bind instead of the listeners' own, ADDRESS or ADDRESS:PORT; port 0 is any free one")
	c.Flags().StringVar(&f.backends, "backends", backends, "demo: stand-ins answer for every service that a rule names; none: the services run elsewhere")
}

// lastWords is how long the end waits for readers of what was printed.
const lastWords = time.Second

// serve serves until the first context ends, drains, and ends at the latest with the second.
func (f *runFlags) serve(first, second context.Context, in *input, log *slog.Logger, out io.Writer, settle, drain time.Duration) error {
	seen := newUnserved(log)
	access := accessLog(out)
	r, err := f.build(first, in, log, func(a proxy.Access) { access(a); seen.access(a) }, seen.lines(out))
	if err != nil {
		return unlessEnded(first, err)
	}
	r.unserved = seen
	files := &settling{quiet: settle, look: func() set { return look(in.files, r.certificates) }}
	if err := r.start(first, files); err != nil {
		if err.Error() == "" { // the log has the reasons, which may be entries for programs
			err = &exitError{statusOf(err), errors.New("nothing is served, for the errors above")}
		}
		return errors.Join(unlessEnded(first, err), r.end(second, drain))
	}
	for _, l := range r.plan.Listeners {
		if address := r.engine.address(l); address != "" {
			log.Info("listening on " + address)
		}
	}
	r.reportServed()
	if f.engine == "envoy" {
		reportLimits(func(text string) { log.Info(text) }, &r.options)
	}
	err = r.watch(first, files)
	if first.Err() != nil {
		log.Info(fmt.Sprintf("requests that are under way have %s to end; another signal ends them at once", drain))
	}
	if err := errors.Join(unlessEnded(first, err), r.end(second, drain)); err != nil {
		log.Error(err.Error())
		r.reloads.report(log)
		return &exitError{status: statusOf(err)}
	}
	r.reloads.report(log)
	if r.failed {
		return &exitError{status: exitBadInput}
	}
	return nil
}

// unlessEnded is an error, unless the user has ended what has failed.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// build makes the engine that the flags name.
func (f *runFlags) build(ctx context.Context, in *input, log *slog.Logger, access func(proxy.Access), envoyOutput io.Writer) (*service, error) {
	r := &service{in: in, log: log}
	var err error
	if r.listen, err = parseListen(f.listen); err != nil {
		return nil, err
	}
	switch f.backends {
	case "demo":
		r.services, in.assumed = standin.New(), true
	case "none":
	default:
		return nil, usageError("--backends %q is neither demo nor none", f.backends)
	}
	o, err := f.options(in)
	if err != nil {
		return nil, err
	}
	mode, err := parseFileMode(f.fileMode)
	if err != nil {
		return nil, err
	}
	if f.engine == "wasm" && o.Matching == envoy.MatchingNative {
		return nil, usageError("--matching %s needs --engine envoy: the embedded data plane has the filter alone", o.Matching)
	}
	var module []byte
	if o.Matching != envoy.MatchingNative {
		if module, err = readModule(f.module); err != nil {
			return nil, err
		}
	}
	switch f.engine {
	case "wasm":
		r.engine, err = newWasmEngine(ctx, module, o, r.listen, access, log, in.strict)
	case "envoy":
		var binary string
		if binary, err = findEnvoy(f.binary); err == nil {
			err = fitEnvoy(ctx, binary, &o, f.givenVersion())
		}
		if err == nil {
			o.Dir = f.dir
			r.engine, err = newEnvoyEngine(binary, o, mode, envoyOutput, log)
		}
	default:
		return nil, usageError("--engine %q is neither wasm nor envoy", f.engine)
	}
	r.options, in.envoys, in.local = o, envoyversion.Only(o.Minor), true
	return r, err
}

// errChanged is that the files changed while they were read, and errMore that there are certificates among them that
// have not been looked at.
var (
	errChanged = errors.New("the files changed while they were read")
	errMore    = errors.New("there are more files")
)

// load reads, translates and serves what the files hold, unless they are changing still. The notes are about the files.
func (r *service) load(ctx context.Context, unchanged func() bool) (notes []note, err error) {
	defer func() {
		if p := recover(); p != nil { // a mistake of ours in what the new files lead to; the old ones are served still
			err = fmt.Errorf("internal error, please report it: %v\n%s", p, debug.Stack())
		}
	}()
	p, findings, err := r.in.work()
	if err == nil && !r.in.remoteFiles {
		files := certificateFiles(p)
		if p.ClosesConnections() { // those that cannot be used are not in it, and may be mended
			files = append(files, r.certificates...)
			slices.Sort(files)
			files = slices.Compact(files)
		}
		if !slices.Equal(files, r.certificates) { // they have not been looked at
			r.certificates = files
			return nil, errMore
		}
		err = readCertificates(p)
	}
	if !unchanged() {
		return nil, errChanged
	}
	notes = notesOf(findings, r.in.texts)
	if err != nil {
		return notes, err
	}
	if _, is := r.engine.(*envoyEngine); is { // the embedded data plane has the filter alone
		err := reportStrategies(func(text string) { notes = append(notes, note{level: slog.LevelInfo, text: text}) }, p, r.options)
		if err != nil {
			return notes, err
		}
	}
	if len(p.Listeners) == 0 {
		return notes, r.in.errNothing()
	}
	if r.plan != nil {
		kept := keepCertificates(r.plan, p)
		if len(kept) > 0 && r.in.strict {
			return notes, &exitError{status: exitBadInput}
		}
		for _, server := range kept {
			notes = append(notes, note{level: slog.LevelWarn, text: server + " goes on with the TLS settings and the certificate that it had, since the certificate that it is to have cannot be used"})
		}
	}
	if err := r.listen.place(p); err != nil {
		return notes, err
	}
	if r.services != nil {
		if r.beside {
			if err := standin.Relocate(p, freePort); err != nil {
				return notes, err
			}
		}
		if err := r.services.Place(p); err != nil {
			return notes, err
		}
		if err := r.services.Serve(p); err != nil {
			return notes, err
		}
	}
	if err := r.engine.apply(ctx, p); err != nil {
		return notes, err
	}
	r.plan, r.in.served, r.failed = p, r.in.loaded, findings.HasErrors()
	r.unserved.serve(p)
	return notes, nil
}

// keepCertificates gives the servers of a plan that have no usable certificate the TLS settings that they had in the plan
// before, and returns their names: without, their connections would be closed.
func keepCertificates(before, after *plan.Plan) (kept []string) {
	each := func(p *plan.Plan, visit func(name string, c *plan.FilterChain)) {
		for _, l := range p.Listeners {
			for _, c := range l.Chains {
				if c.TLS != nil {
					visit("port "+strconv.Itoa(int(l.Port))+", "+cmp.Or(strings.Join(c.ServerNames, " "), "any server name"), c)
				}
			}
		}
	}
	had := map[string]*plan.ServerTLS{}
	each(before, func(name string, c *plan.FilterChain) {
		if !c.TLS.Unusable {
			had[name] = c.TLS
		}
	})
	each(after, func(name string, c *plan.FilterChain) {
		if c.TLS.Unusable && had[name] != nil {
			c.TLS = had[name]
			kept = append(kept, name)
		}
	})
	return kept
}

// end is close with a limit of time, at the latest with the context.
func (r *service) end(ctx context.Context, drain time.Duration) error {
	last, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	return r.close(last)
}

// close ends the service: no new requests, and those that have begun are finished, as long as the context allows.
func (r *service) close(ctx context.Context) error {
	err := r.engine.close(ctx)
	if r.services != nil {
		r.services.Close(ctx)
	}
	return err
}

func newRun() *cobra.Command {
	var in input
	var f runFlags
	var settle, drain time.Duration
	c := &cobra.Command{
		Use:   "run -f FILE|DIR",
		Short: "Serve the rules until Ctrl-C",
		Long: `Run serves the rules and reads changed files again, without dropping a request. A resource that is wrong changes nothing:
what it was before goes on being served, and what is wrong is logged. At the end, requests that are under way are finished.

  waymark run -f examples/bookinfo --backends demo
  waymark run -f examples/bookinfo --backends demo --engine envoy --listen 127.0.0.1
  waymark run -f rules.yaml --gateway public --endpoint reviews=127.0.0.1:9080`,
		RunE: func(c *cobra.Command, _ []string) error {
			if settle < 0 {
				return usageError("--settle %s is less than 0", settle)
			}
			if drain < 0 {
				return usageError("--drain-timeout %s is less than 0", drain)
			}
			if slices.Contains(in.files, "-") {
				return usageError("run reads its files again when they change; standard input cannot be")
			}
			terminal := isTerminal(os.Stderr)
			direct, err := newLogger(c.ErrOrStderr(), f.logFormat, terminal)
			if err != nil {
				return err
			}
			messages := newOutput("standard error", c.ErrOrStderr(), direct)
			defer messages.close(lastWords)
			log, err := newLogger(messages, f.logFormat, terminal)
			if err != nil {
				return err
			}
			out := newOutput("standard output", c.OutOrStdout(), log)
			defer out.close(lastWords)
			first, second := untilSignals(c.Context())
			return f.serve(first, second, &in, log, out, settle, drain)
		},
	}
	in.addFlags(c)
	f.add(c, "none")
	c.Flags().DurationVar(&drain, "drain-timeout", 30*time.Second, "how long requests may take to end after SIGTERM, SIGINT, SIGHUP or SIGQUIT; a second signal ends them at once")
	c.Flags().DurationVar(&settle, "settle", time.Second, "how long files must not have changed before they are read, at the start and after every change")
	return c
}

// start serves the files once nobody writes them.
func (r *service) start(ctx context.Context, files *settling) error {
	for changed := false; ; {
		err := files.first(ctx, changed, func() {
			r.log.Info(fmt.Sprintf("the files are being written; they are read when they have not changed for %s", files.quiet))
		})
		if err != nil {
			return err
		}
		notes, err := r.load(ctx, files.unchanged)
		write(r.log, notes)
		changed = errors.Is(err, errChanged)
		if !changed && !errors.Is(err, errMore) {
			return err
		}
	}
}

// Something that fails for a reason that may pass, such as a port that is in use, is tried again: after retryFirst, then
// after twice as long, and at last every retryLast.
const (
	retryFirst = time.Second
	retryLast  = time.Minute
)

// untold is how long files may be written before somebody is told that they are not read.
const untold = 30 * time.Second

// watch loads again whenever the files have changed, until the context ends.
func (r *service) watch(ctx context.Context, files *settling) error {
	tried := files.last.digest // served or not
	inForce := files.last.files
	var said []note     // of the failure that goes on
	var again time.Time // when to try again what has failed; zero: not
	var pause time.Duration
	var writing time.Time // since when the files do not settle
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-r.engine.ended():
			return err
		case <-time.After(files.pause()):
		}
		settled := files.next()
		changed := settled && files.last.digest != tried
		switch {
		case settled:
			writing = time.Time{}
		case writing.IsZero():
			writing = time.Now()
		case time.Since(writing) > untold:
			writing = time.Now().Add(time.Hour) // told
			r.log.Warn(fmt.Sprintf("the files are being written all the time; they are read when they have not changed for %s", files.quiet))
		}
		due := settled && !again.IsZero() && !time.Now().Before(again)
		if !changed && !due {
			continue
		}
		before, unboundBefore := r.plan, r.in.unbound
		notes, err := r.load(ctx, files.unchanged)
		switch {
		case errors.Is(err, errChanged), errors.Is(err, errMore):
			continue
		case ctx.Err() != nil:
			return nil
		}
		tried = files.last.digest
		which := []any{"files", changedFiles(inForce, files.last.files)} // since those that are served
		if err == nil {
			said, again, inForce = nil, time.Time{}, files.last.files
			write(r.log, notes)
			attributes := slices.Concat(r.reloads.add(served), which, []any{"changes", changesBetween(before, r.plan)})
			if r.failed {
				r.log.Warn("the changed files are served now, but for what is refused; what was served of it before is kept", attributes...)
			} else {
				r.log.Info("the changed files are served now", attributes...)
			}
			r.reportUnbound(unboundBefore)
			continue
		}
		if changed {
			pause = retryFirst / 2
		}
		pause = min(2*pause, retryLast)
		again = time.Time{}
		if !errors.As(err, new(*refusedError)) { // the same again would be refused again
			again = time.Now().Add(pause)
		}
		var findings *diag.FindingsError
		if errors.As(err, &findings) {
			notes = append(notes, notesOf(findings.Findings, r.in.texts)...)
		} else if text := err.Error(); text != "" {
			notes = append(notes, note{level: slog.LevelError, text: text})
		}
		if changed || !slices.Equal(notes, said) {
			said = notes
			write(r.log, notes)
			r.log.Error("the changed files are not used; the rules before go on being served", slices.Concat(r.reloads.add(outcomeOf(err)), which)...)
		}
	}
}

// accessLog prints a line per request.
func accessLog(w io.Writer) func(proxy.Access) {
	var mu sync.Mutex
	return func(a proxy.Access) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s %s %s%s %d %.1fms rule=%s cluster=%s upstream=%s attempts=%d details=%s\n", a.Time.UTC().Format(time.RFC3339),
			diag.Printable(a.Method), diag.Printable(a.Authority), diag.Printable(a.Path), a.Status, float64(a.Duration.Microseconds())/1000,
			dash(a.Rule), dash(a.Cluster), dash(a.Upstream), a.Attempts, dash(a.Detail))
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
