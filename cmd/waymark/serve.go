package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"waymark.dev/waymark/cluster/webhook"
	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/fleet"
	"waymark.dev/waymark/istio/resource"
)

// serveFlags are those of serve.
type serveFlags struct {
	in    input
	envoy envoyFlags

	listen, admin       string
	health, webhook     string
	tls, webhookTLS     tlsFiles
	plaintext, anyNode  bool
	stateDir, logFormat string
	waves               string
	interval            time.Duration
	maxErrors           float64
	settle, drain       time.Duration
	pprof               bool
	kubernetes          kubernetesFlags
}

func newServe() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve -f FILE|DIR",
		Short: "Give the rules to a fleet of Envoys, over ADS",
		Long: `Serve is a control plane: Envoys that were started with the output of 'waymark bootstrap' get the rules from it, and again
whenever they change. Each takes each step of a change only after it has acknowledged the one before, so no request is lost. A
resource that is wrong is left out by itself; what it was before goes on being served.

  waymark serve -f examples/bookinfo
  waymark serve --kubernetes --lease waymark-system/waymark
  waymark serve -f rules/ --waves 1,10%,100% --wave-interval 1m --state-dir /var/lib/waymark
  waymark serve -f rules/ --xds-listen 0.0.0.0:15012 --xds-cert tls.crt --xds-key tls.key --xds-client-ca ca.crt

A proxy is what its node says: its namespace, labels and locality, and whether it is a gateway or a sidecar.`,
		RunE: func(c *cobra.Command, _ []string) error {
			growHeap(gcPercentServed)
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
			first, second := untilSignals(c.Context())
			return f.serve(first, second, log)
		},
	}
	f.in.addServiceFlags(c)
	f.envoy.addFleet(c)
	f.kubernetes.add(c)
	addLogFormatFlag(c, &f.logFormat)
	flags := c.Flags()
	flags.StringVar(&f.listen, "xds-listen", "127.0.0.1:15010", "address for Envoys, ADDRESS:PORT or unix:PATH; beyond this machine it needs TLS")
	flags.StringVar(&f.tls.cert, "xds-cert", "", "file with the certificate of the address for Envoys; it is read again when it changes, as the others")
	flags.StringVar(&f.tls.key, "xds-key", "", "file with its key")
	flags.StringVar(&f.tls.clientCA, "xds-client-ca", "", "file with the authorities of the Envoys' certificates, which must name the namespace of the node: spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT or CLUSTER.NAMESPACE")
	flags.BoolVar(&f.plaintext, "xds-plaintext", false, "let Envoys of other machines connect without TLS: whoever can connect gets the keys of certificates")
	flags.BoolVar(&f.anyNode, "xds-any-node", false, "let every certificate be every node")
	flags.StringVar(&f.admin, "admin-listen", adminAddress, "address for 'waymark status', 'waymark rollout' and 'waymark explain --server', ADDRESS:PORT of this machine or unix:PATH; also for health and metrics")
	flags.StringVar(&f.health, "health-listen", "", "address for /healthz, /readyz and /metrics alone, which may be one that others reach")
	flags.StringVar(&f.webhook, "webhook-listen", "", "address for the API server of Kubernetes, which asks there whether an object may be written (deploy/webhook.yaml)")
	flags.StringVar(&f.webhookTLS.cert, "webhook-cert", "", "file with the certificate of that address")
	flags.StringVar(&f.webhookTLS.key, "webhook-key", "", "file with its key")
	flags.StringVar(&f.stateDir, "state-dir", "", "folder that keeps what Envoys were given, so that a restart in the middle of a change loses no request; it has keys of certificates (default: none)")
	flags.StringVar(&f.waves, "waves", "100%", "parts of the fleet that take a change one after the other, such as 1,10%,100%")
	flags.DurationVar(&f.interval, "wave-interval", 30*time.Second, "how long a wave must have gone well before the next one begins")
	flags.Float64Var(&f.maxErrors, "wave-max-errors", 5, "by how many percent points the failed requests of the proxies in a wave may grow before the rollout pauses; 0 does not look")
	flags.DurationVar(&f.settle, "settle", time.Second, "how long files must not have changed before they are read, at the start and after every change")
	flags.DurationVar(&f.drain, "drain-timeout", 5*time.Second, "how long streams may take to end after a signal")
	flags.BoolVar(&f.pprof, "pprof", false, "serve profiles of this program below /debug/pprof of --admin-listen")
	return c
}

// options are the flags in the words of the fleet.
func (f *serveFlags) options(log *slog.Logger) (fleet.Options, error) {
	o := fleet.Options{Log: log, StateDir: f.stateDir}
	var err error
	if o.Envoy, err = f.envoy.fleetOptions(&f.in); err != nil {
		return o, err
	}
	if o.Translate, err = f.in.options(); err != nil {
		return o, err
	}
	o.Translate.Labels, o.Translate.Namespace = nil, "" // those of each group
	if o.Waves.Sizes, err = xds.ParseSizes(f.waves); err != nil {
		return o, usageError("--waves %q: %w", f.waves, err)
	}
	if len(o.Waves.Sizes) == 1 {
		o.Waves.Sizes = nil // all at once
	}
	if f.interval < 0 || f.maxErrors < 0 || f.settle < 0 || f.drain < 0 {
		return o, usageError("--wave-interval, --wave-max-errors, --settle and --drain-timeout are not less than 0")
	}
	o.Waves.Interval, o.Waves.MaxErrors = f.interval, f.maxErrors/100
	secured := f.tls.cert != ""
	switch {
	case (f.tls.cert == "") != (f.tls.key == ""):
		return o, usageError("--xds-cert and --xds-key belong together")
	case f.tls.clientCA != "" && !secured:
		return o, usageError("--xds-client-ca needs --xds-cert and --xds-key")
	case !isLocal(f.admin):
		return o, usageError("--admin-listen %s: whoever reaches it can take changes back, so it is an address of this machine; --health-listen may be another one", f.admin)
	case f.webhook != "" && (f.webhookTLS.cert == "" || f.webhookTLS.key == ""):
		return o, usageError("--webhook-listen needs --webhook-cert and --webhook-key: the API server calls over TLS alone")
	case !isLocal(f.listen) && (!secured || f.tls.clientCA == "") && !f.plaintext:
		return o, usageError("--xds-listen %s: Envoys of other machines get keys of certificates, so it needs --xds-cert, --xds-key and --xds-client-ca, or --xds-plaintext", f.listen)
	}
	if f.tls.clientCA != "" && !f.anyNode {
		o.Authorize = mayBe
	}
	return o, nil
}

func (f *serveFlags) serve(first, second context.Context, log *slog.Logger) error {
	o, err := f.options(log)
	if err != nil {
		return err
	}
	switch {
	case f.kubernetes.watched && len(f.in.files) > 0:
		return usageError("-f and --kubernetes exclude each other: the resources are those of the cluster")
	case !f.kubernetes.watched && len(f.in.files) == 0:
		return usageError("give the resources with -f FILE or -f FOLDER, or with --kubernetes")
	}
	var credential []grpc.ServerOption
	if f.tls.cert != "" {
		config, err := f.tls.config()
		if err != nil {
			return &exitError{exitBadInput, fmt.Errorf("--xds-cert: %w", err)}
		}
		credential = append(credential, grpc.Creds(credentials.NewTLS(config)))
	}
	plane := fleet.New(o)
	proxies, err := listenOn(f.listen)
	if err != nil {
		return &exitError{exitBadInput, fmt.Errorf("--xds-listen: %w", err)}
	}
	ads := plane.Server().GRPC(credential...)
	sites := f.sites(plane)
	ended := make(chan error, 1+len(sites))
	var servers []*http.Server
	for _, site := range sites {
		l, err := listenOn(site.address)
		if err == nil && site.tls != nil {
			var config *tls.Config
			if config, err = site.tls.config(); err == nil {
				l = tls.NewListener(l, config)
			}
		}
		if err != nil {
			return &exitError{exitBadInput, fmt.Errorf("%s: %w", site.flag, err)}
		}
		server := &http.Server{Handler: site.handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
		servers = append(servers, server)
		go func() { ended <- server.Serve(l) }()
	}
	go func() { ended <- ads.Serve(proxies) }()
	log.Info("Envoys connect to "+f.listen, "admin", f.admin)

	work, stop := context.WithCancel(first)
	defer stop()
	fed := make(chan error, 1)
	go func() { fed <- f.feed(work, plane, log) }()
	select {
	case <-first.Done():
	case err = <-ended:
	case err = <-fed:
	}
	stop()
	plane.Close()
	f.end(second, ads)
	for _, server := range servers {
		err = errors.Join(err, server.Close())
	}
	return unlessEnded(first, err)
}

// site is what is served over HTTP on one address.
type site struct {
	flag, address string
	handler       http.Handler
	tls           *tlsFiles
}

func (f *serveFlags) sites(plane *fleet.Plane) []site {
	out := []site{{"--admin-listen", f.admin, f.handler(plane), nil}}
	if f.health != "" {
		out = append(out, site{"--health-listen", f.health, plane.Health(), nil})
	}
	if f.webhook != "" {
		out = append(out, site{"--webhook-listen", f.webhook, webhook.Handler(envoyversion.All), &f.webhookTLS})
	}
	return out
}

// end ends the streams: Envoys keep what they have, and connect to another replica.
func (f *serveFlags) end(second context.Context, ads *grpc.Server) {
	ctx, cancel := context.WithTimeout(second, f.drain)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		ads.GracefulStop() // new connections and streams go elsewhere
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		ads.Stop()
	}
}

func (f *serveFlags) handler(plane *fleet.Plane) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", plane.Handler())
	if f.pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// listenOn listens on ADDRESS:PORT, or on unix:PATH, which only this user can open.
func listenOn(address string) (net.Listener, error) {
	path, isSocket := strings.CutPrefix(address, "unix:")
	if !isSocket {
		return net.Listen("tcp", address)
	}
	if c, err := net.Dial("unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("another program listens on %s", path), c.Close())
	}
	_ = os.Remove(path) // of a program that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// feed gives the plane the resources, and again whenever they change.
func (f *serveFlags) feed(ctx context.Context, plane *fleet.Plane, log *slog.Logger) error {
	if f.kubernetes.watched {
		return f.kubernetes.feed(ctx, plane, log)
	}
	return f.feedFiles(ctx, plane, log)
}

func (f *serveFlags) feedFiles(ctx context.Context, plane *fleet.Plane, log *slog.Logger) error {
	files := &settling{quiet: f.settle, look: func() set { return look(f.in.files, nil) }}
	if err := files.first(ctx, false, func() { log.Info("the files are being written; they are read when they do not change any more") }); err != nil {
		return err
	}
	for {
		read := resource.Read(f.in.files, f.in.reading(newProgress()))
		tried := files.last.digest
		if unchanged := files.unchanged(); unchanged {
			if _, err := give(plane, read, log); err != nil {
				log.Error("some proxies keep what they have: " + err.Error())
			}
		}
		for !files.next() || files.last.digest == tried {
			if err := sleep(ctx, files.pause()); err != nil {
				return err
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give gives the plane the resources, and logs what is wrong with them.
func give(plane *fleet.Plane, read *resource.Input, log *slog.Logger) (*fleet.Change, error) {
	change, err := plane.Apply(read)
	write(log, notesOf(change.Findings, &read.Texts))
	level := slog.LevelInfo
	if change.Findings.HasErrors() {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "the resources are given to proxies", "change", change.Number, "refused", countErrors(change.Findings))
	return change, err
}

func countErrors(findings diag.Findings) (n int) {
	for _, f := range findings {
		if f.Severity == diag.Error {
			n++
		}
	}
	return n
}

// fleetOptions are the options of the Envoys of a fleet. The profile is that of each group's type, unless it is given.
func (f *envoyFlags) fleetOptions(in *input) (envoy.Options, error) {
	f.adminPort = 0
	module := f.module
	if own, ok := ownModules[module]; ok {
		f.module = cmp.Or(fleetModule(own), module)
	}
	o, err := f.options(in)
	if f.profile == "" {
		o.Profile = ""
	}
	return o, err
}

// fleetModule is where the Envoys of a fleet have the module, unless --module names another path.
func fleetModule(m ownModule) string { return "/etc/waymark/" + m.file }
