package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// input are the flags that say what to translate, and for which proxy.
type input struct {
	files         []string
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

	texts   *diag.Texts // of the files that were read last
	unbound []unbound   // objects in them that have no effect
}

var errNoFiles = usageError("give the resources with -f FILE or -f FOLDER")

// addFileFlag adds -f. What is given takes the place of the standard files.
func addFileFlag(c *cobra.Command, files *[]string, standard ...string) {
	c.Flags().StringSliceVarP(files, "file", "f", standard, "file or folder with Istio and Kubernetes resources, or - for standard input (repeatable)")
}

func (in *input) addFlags(c *cobra.Command, standardFiles ...string) {
	f := c.Flags()
	addFileFlag(c, &in.files, standardFiles...)
	f.StringVar(&in.proxy, "proxy", string(translate.GatewayProxy), "gateway: serve what Gateways select the proxy for; sidecar: serve what a workload sends to services, each on its port")
	f.StringVar(&in.namespace, "namespace", "", "namespace of the proxy (default istio-system; default of a sidecar)")
	f.StringSliceVar(&in.labels, "labels", nil, "labels of the proxy, compared with the selectors of Gateways and with sourceLabels (default istio=ingressgateway,app=istio-ingressgateway; none of a sidecar)")
	f.StringVar(&in.outbound, "outbound-traffic-policy", string(translate.AllowAny), "what a sidecar does with hosts that no service has: ALLOW_ANY sends to the original destination, REGISTRY_ONLY answers 502")
	f.StringVar(&in.clusterDomain, "cluster-domain", "cluster.local", "domain that ends the full names of services")
	f.StringVar(&in.gateway, "gateway", "", "only this Gateway, as name or namespace/name (default: all that select the proxy)")
	f.StringVar(&in.locality, "locality", "", "where the proxy is, REGION/ZONE/SUBZONE, for locality load balancing")
	f.StringArrayVar(&in.secrets, "secret", nil, "files for a credentialName, NAME=CERT,KEY[,CA], instead of a Secret document; NAME default is the mesh's own (repeatable)")
	f.BoolVar(&in.remoteFiles, "remote-files", false, "certificate files are on Envoy's machine: do not look at them here")
	f.StringVar(&in.systemCA, "system-ca", "", "file with the authorities that Envoy's system trusts (default /etc/ssl/certs/ca-certificates.crt)")
	f.StringSliceVar(&in.endpoints, "endpoint", nil, "address of a service, HOST=ADDRESS:PORT or SUBSET.HOST=ADDRESS:PORT, instead of what the resources say (repeatable)")
}

// options are the flags in the translator's words, with the defaults of the proxy's type.
func (in *input) options() (translate.Options, error) {
	o := translate.Options{
		Proxy: translate.ProxyType(in.proxy), Namespace: in.namespace, OutboundTrafficPolicy: translate.OutboundTrafficPolicy(in.outbound),
		ClusterDomain: in.clusterDomain, Gateway: in.gateway, Locality: in.locality,
		SystemAuthorities: in.systemCA, Secrets: map[string]translate.SecretFiles{},
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

// translate reads and translates, and reports everything that is wrong on standard error. What Istio would refuse ends it
// with status 65; with strict, an error of the translation does, too: the plan must not be executed then.
func (in *input) translate(strict bool) (*plan.Plan, error) {
	p, findings, err := in.work(strict)
	_ = findings.Write(talk, in.texts) // nobody could be told
	return p, err
}

// work is [input.translate] without the report.
func (in *input) work(strict bool) (*plan.Plan, diag.Findings, error) {
	o, err := in.options()
	if err != nil {
		return nil, nil, err
	}
	if len(in.files) == 0 {
		return nil, nil, errNoFiles
	}
	working := newProgress()
	working.at("reading")
	read := gateway.Load(in.files, os.Stdin)
	working.at("translating %d VirtualServices", len(read.Set.VirtualServices))
	p, findings := translate.Plan(read.Set, o)
	working.end()
	in.texts, in.unbound = &read.Texts, unboundOf(read.Set, p, o)
	all := diag.Merge(read.Findings, findings)
	if read.Findings.HasErrors() || strict && findings.HasErrors() {
		return nil, all, &exitError{status: exitBadInput}
	}
	return p, all, nil
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
