package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// input are the flags that say what to translate, and for which proxy.
type input struct {
	fileFlags
	proxy         string
	namespace     string
	labels        []string
	outbound      string
	clusterDomain string
	gateway       string
	endpoints     []string
	locality      string
	secrets       []string
	remoteFiles   bool
	systemCA      string
	dnsFallback   bool
	assumed       bool               // every destination is there
	local         bool               // Envoy runs on this machine
	envoys        envoyversion.Range // that may get the configuration
	flags         *pflag.FlagSet

	texts   *diag.Texts   // of the files that were read last
	given   *resource.Set // that was read last, with what validation refuses
	loaded  *resource.Set // that was translated last
	served  *resource.Set // whose plan is in force, where one is
	unbound []unbound     // objects in them that have no effect
}

var errNoFiles = usageError("give the resources with -f FILE or -f FOLDER")

// fileFlags are the flags that say what to read, and how.
type fileFlags struct {
	files            []string
	defaultNamespace string
	strict           bool
	allowRemote      bool
}

// add adds the flags. What is given with -f takes the place of the standard files. Arguments are more files: a shell
// makes -f *.yaml into one of the flag and the rest.
func (f *fileFlags) add(c *cobra.Command, standard ...string) {
	flags := c.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", standard, "file, folder or pattern with Istio and Kubernetes resources, or - for standard input (repeatable)")
	flags.StringVar(&f.defaultNamespace, "default-namespace", "default", "namespace of documents that name none")
	flags.BoolVar(&f.strict, "strict", false, "refuse everything if anything is left out or left aside")
	flags.BoolVar(&f.allowRemote, "allow-remote", false, "let -f be an address, http:// or https://")
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 && !flags.Changed("file") {
			return usageError("%q is not understood; see 'waymark %s --help'", args[0], c.Name())
		}
		f.files = append(f.files, args...)
		return nil
	}
}

// reading are the options for reading the files.
func (f *fileFlags) reading(working *progress) resource.Options {
	return resource.Options{
		Stdin: os.Stdin, DefaultNamespace: f.defaultNamespace, Strict: f.strict, AllowRemote: f.allowRemote,
		Progress: func(file string, bytes int64) { working.at("reading %s, %d MB so far", file, bytes>>20) },
	}
}

func (in *input) addFlags(c *cobra.Command, standardFiles ...string) {
	in.addServiceFlags(c, standardFiles...)
	f := c.Flags()
	f.StringVar(&in.proxy, "proxy", string(translate.GatewayProxy), "gateway: serve what Gateways select the proxy for; sidecar: serve what a workload sends to services, each on its port")
	f.StringVar(&in.namespace, "namespace", "", "namespace of the proxy (default istio-system; default of a sidecar)")
	f.StringSliceVar(&in.labels, "labels", nil, "labels of the proxy, compared with the selectors of Gateways and with sourceLabels (default istio=ingressgateway,app=istio-ingressgateway; none of a sidecar)")
	f.StringVar(&in.outbound, "outbound-traffic-policy", string(translate.AllowAny), "what a sidecar does with hosts that no service has: ALLOW_ANY sends to the original destination, REGISTRY_ONLY answers 502")
	f.StringVar(&in.gateway, "gateway", "", "only this Gateway, as name or namespace/name (default: all that select the proxy)")
	f.StringVar(&in.locality, "locality", "", "where the proxy is, REGION/ZONE/SUBZONE, for locality load balancing")
	f.BoolVar(&in.remoteFiles, "remote-files", false, "certificate files are on Envoy's machine: do not look at them here")
}

// addServiceFlags adds what is the same for all proxies of a fleet.
func (in *input) addServiceFlags(c *cobra.Command, standardFiles ...string) {
	f := c.Flags()
	in.flags = f
	in.proxy, in.outbound = string(translate.GatewayProxy), string(translate.AllowAny)
	in.add(c, standardFiles...)
	f.StringVar(&in.clusterDomain, "cluster-domain", "cluster.local", "domain that ends the full names of services")
	f.StringArrayVar(&in.secrets, "secret", nil, "files for a credentialName, NAME=CERT,KEY[,CA], instead of a Secret document; NAME default is the mesh's own (repeatable)")
	f.StringVar(&in.systemCA, "system-ca", "", "file with the authorities that Envoy's system trusts (default /etc/ssl/certs/ca-certificates.crt)")
	f.StringSliceVar(&in.endpoints, "endpoint", nil, "address of a service, HOST=ADDRESS:PORT or SUBSET.HOST=ADDRESS:PORT, instead of what the resources say; HOST may begin with a star, *.example.com (repeatable)")
	f.BoolVar(&in.dnsFallback, "dns-fallback", false, "send to destinations without Service or ServiceEntry by their own name, which Envoy resolves by DNS")
}

// options are the flags in the translator's words, with the defaults of the proxy's type.
func (in *input) options() (translate.Options, error) {
	o := translate.Options{
		Proxy: translate.ProxyType(in.proxy), Namespace: in.namespace, OutboundTrafficPolicy: translate.OutboundTrafficPolicy(in.outbound),
		ClusterDomain: in.clusterDomain, Gateway: in.gateway, Locality: in.locality,
		SystemAuthorities: in.systemCA, SystemIsHere: in.local, Strict: in.strict, DNSFallback: in.dnsFallback, AssumeDestinations: in.assumed, Secrets: map[string]translate.SecretFiles{},
	}
	if !in.remoteFiles {
		o.ReadFile = resource.ReadFile
	}
	for _, text := range in.secrets {
		name, files, err := translate.ParseSecretFiles(text)
		if err != nil {
			return o, usageError("--secret %w", err)
		}
		o.Secrets[name] = files
	}
	switch {
	case o.Proxy != translate.GatewayProxy && o.Proxy != translate.SidecarProxy:
		return o, usageError("--proxy %q is neither gateway nor sidecar", in.proxy)
	case o.OutboundTrafficPolicy != translate.AllowAny && o.OutboundTrafficPolicy != translate.RegistryOnly:
		return o, usageError("--outbound-traffic-policy %q is neither ALLOW_ANY nor REGISTRY_ONLY", in.outbound)
	case o.Proxy == translate.SidecarProxy && in.gateway != "":
		return o, usageError("--gateway %s: a sidecar serves no Gateway", in.gateway)
	case o.Proxy == translate.GatewayProxy && o.OutboundTrafficPolicy != translate.AllowAny:
		return o, usageError("--outbound-traffic-policy is for --proxy sidecar alone")
	}
	var err error
	if in.labels != nil {
		if o.Labels, err = pairs("labels", in.labels); err != nil {
			return o, err
		}
	}
	o.Endpoints, err = pairs("endpoint", in.endpoints)
	return o.WithDefaults(), err
}

func pairs(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, item := range list {
		key, value, ok := strings.Cut(item, "=")
		if !ok || key == "" {
			return nil, usageError("--%s %q is not KEY=VALUE", flag, item)
		}
		out[key] = value
	}
	return out, nil
}

// translate reads and translates, and reports everything that is wrong on standard error. A plan is returned with what
// can be served. failed reports whether there is an error all the same, for which the command must end with status 65;
// with --strict, nothing is served then, and the error is returned.
func (in *input) translate() (p *plan.Plan, failed bool, err error) {
	p, findings, err := in.work()
	_ = findings.Write(talk, in.texts) // nobody could be told
	return p, findings.HasErrors(), err
}

// isOneProxy reports whether the flags name one proxy. Otherwise a question is about all proxies that the files speak of.
func (in *input) isOneProxy() bool {
	return slices.ContainsFunc([]string{"proxy", "labels", "gateway", "namespace"}, in.flags.Changed)
}

// asking are the options of the Envoy that a question is about, which reads requests as Istio's do unless a flag says
// otherwise.
func (in *input) asking(f *intakeFlags) (envoy.Options, error) {
	var o envoy.Options
	err := f.intake(&o, envoy.ProfilePlain)
	in.envoys = envoyversion.Only(o.Minor)
	return o, err
}

// everything is [input.translate] for a question: unless the flags name one proxy, the plan has the listeners of all that
// the files speak of, and what is not among the files is assumed (see [gateway.All]).
func (in *input) everything() (w *gateway.Whole, failed bool, err error) {
	if in.isOneProxy() {
		p, failed, err := in.translate()
		return &gateway.Whole{Plan: p}, failed, err
	}
	o, err := in.options()
	if err != nil {
		return nil, false, err
	}
	if len(in.files) == 0 {
		return nil, false, errNoFiles
	}
	read := in.load()
	w = gateway.All(read.Set, o)
	in.loaded = read.Set
	all := diag.Merge(read.Findings, w.Findings)
	_ = all.Write(talk, in.texts) // nobody could be told
	if w.Plan == nil || in.strict && all.HasErrors() || len(read.Objects) == 0 && read.Findings.HasErrors() {
		return nil, true, &exitError{status: exitBadInput}
	}
	return w, all.HasErrors(), nil
}

// load reads the files, with progress.
func (in *input) load() *resource.Input {
	working := newProgress()
	defer working.end()
	working.at("reading")
	given := resource.Read(in.files, in.reading(working))
	in.given = given.Set
	read := gateway.Prepare(given, in.envoys)
	in.texts = &read.Texts
	return read
}

// work is [input.translate] without the report. Objects that were used before and are refused now are used as they were.
func (in *input) work() (*plan.Plan, diag.Findings, error) {
	o, err := in.options()
	if err != nil {
		return nil, nil, err
	}
	if len(in.files) == 0 {
		return nil, nil, errNoFiles
	}
	working := newProgress()
	defer working.end()
	working.at("reading")
	read := gateway.Load(in.files, in.reading(working), in.envoys)
	in.texts = &read.Texts
	if len(read.Objects) == 0 && read.Findings.HasErrors() { // nothing is left that could be served
		return nil, read.Findings, &exitError{status: exitBadInput}
	}
	read = gateway.Keep(read, in.served)
	working.at("translating %d VirtualServices", len(read.Set.VirtualServices))
	p, findings := translate.Plan(read.Set, o)
	if p != nil {
		in.unbound = unboundOf(read.Set, p, o, findings)
	}
	all := diag.Merge(read.Findings, findings)
	if p == nil || in.strict && all.HasErrors() {
		return nil, all, &exitError{status: exitBadInput}
	}
	in.loaded = read.Set
	return p, all, nil
}

// errNothing is that a plan has no listener, which is never what was meant. It says what may have been.
func (in *input) errNothing() error {
	switch r := in.loaded; {
	case in.proxy == string(translate.SidecarProxy):
		return &exitError{exitBadInput, errors.New("no service declares HTTP on a port, so there is nothing to listen on; see the notices")}
	case len(r.Gateways) == 0 && len(r.VirtualServices) > 0:
		return &exitError{exitBadInput, errors.New("there is no Gateway, so there is nothing to listen on; for rules of a mesh alone, give --proxy sidecar and the Services that they name")}
	case len(r.Gateways) == 0:
		return &exitError{exitBadInput, errors.New("there is no Gateway, so there is nothing to listen on")}
	default:
		return &exitError{exitBadInput, errors.New("no Gateway selects this proxy, so there is nothing to listen on; see --labels and --gateway")}
	}
}

// locate gives the findings of an error the texts that they are in, for their excerpts.
func (in *input) locate(err error) error {
	var findings *diag.FindingsError
	if errors.As(err, &findings) {
		findings.Texts = in.texts
	}
	return err
}

// talk is where messages go.
var talk io.Writer = os.Stderr
