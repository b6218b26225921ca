package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// A shell that completes flags ('waymark completion') knows their values: those of a fixed set, and what the files that -f
// names have. It reads these files while somebody waits for the key to answer, and reports nothing about them.

// valuesOf are the values of flags that take one of a few.
var valuesOf = map[string][]string{
	"proxy":                    {string(translate.GatewayProxy), string(translate.SidecarProxy)},
	"outbound-traffic-policy":  {string(translate.AllowAny), string(translate.RegistryOnly)},
	"engine":                   {"wasm", "envoy"},
	"backends":                 {"demo", "none"},
	"matching":                 {string(envoy.MatchingFilter), string(envoy.MatchingNative), string(envoy.MatchingAuto)},
	"profile":                  {string(envoy.ProfileEdge), string(envoy.ProfilePlain)},
	"path-normalization":       {"NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"},
	"escaped-slashes":          {"KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"},
	"headers-with-underscores": {"ALLOW", "DROP_HEADER", "REJECT_REQUEST"},
	"access-log":               {string(envoy.AccessLogJSON), string(envoy.AccessLogText)},
	"color":                    {"auto", "always", "never"},
	"log-format":               {"auto", "text", "json"},
	"file-mode":                {"0600", "0640", "0644", "0604"},
	"envoy-version":            envoyVersions(),
	"listen":                   {"127.0.0.1", "127.0.0.1:0", "0.0.0.0"},
	"cluster-domain":           {"cluster.local"},
}

// outputsOf are the values of -o, by command. That of 'module' is a file.
var outputsOf = map[string][]string{
	"translate": {"bootstrap", "plan", "plan-json", "plugin-config"},
	"check":     checkOutputs,
	"decide":    {"text", "json"},
	"diff":      {"text", "json", "markdown"},
	"explain":   {"text", "json"},
	"test":      {"text", "json", "junit"},
}

// fileValues complete flags from the resources in the files.
var fileValues = map[string]func(*cobra.Command, *resource.Set) []string{
	"gateway":      gatewayNames,
	"endpoint":     endpointHosts,
	"route-config": routeConfigNames,
}

// extensionsOf are the names of files that flags take.
var extensionsOf = map[string][]string{
	"file": {"yaml", "yml", "json"}, "requests": {"json"},
}

func envoyVersions() []string {
	var out []string
	for minor := envoyversion.Oldest; minor <= envoyversion.Newest; minor++ {
		out = append(out, fmt.Sprintf("1.%d", minor))
	}
	return out
}

// completeFlags lets a shell complete the flags of a command.
func completeFlags(c *cobra.Command) {
	register := func(flag string, complete cobra.CompletionFunc) {
		if c.Flags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, complete) // the flag exists
		}
	}
	for flag, values := range valuesOf {
		register(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	// The rest are files.
	register("module", cobra.FixedCompletions(slices.Sorted(maps.Keys(ownModules)), cobra.ShellCompDirectiveDefault))
	if values := outputsOf[c.Name()]; values != nil {
		register("output", cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	for flag, values := range fileValues {
		register(flag, func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return completed(values(c, resourcesOf(c)), typed)
		})
	}
	for flag, extensions := range extensionsOf {
		if c.Flags().Lookup(flag) != nil {
			_ = c.MarkFlagFilename(flag, extensions...) // as above
		}
	}
	if c.Flags().Lookup("dynamic") != nil {
		_ = c.MarkFlagDirname("dynamic") // as above
	}
}

// completed are the values that begin with what was typed. After a host's = comes its address.
func completed(values []string, typed string) ([]string, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	var out []string
	for _, v := range values {
		if strings.HasPrefix(v, typed) {
			out = append(out, v)
		}
		if strings.HasSuffix(v, "=") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return out, directive
}

// resourcesOf reads the files of a command line, but for standard input.
func resourcesOf(c *cobra.Command) *resource.Set {
	files, _ := c.Flags().GetStringArray("file") // the flag exists
	files = slices.DeleteFunc(files, func(name string) bool { return name == "-" })
	return gateway.Load(files, resource.Options{}, envoyversion.All).Set
}

func gatewayNames(_ *cobra.Command, set *resource.Set) []string {
	var out []string
	for _, gw := range set.Gateways {
		out = append(out, gw.Key())
	}
	return sortedOnce(out)
}

// endpointHosts are the hosts of services and of destinations, and those of subsets.
func endpointHosts(c *cobra.Command, set *resource.Set) []string {
	domain, _ := c.Flags().GetString("cluster-domain") // the flag exists
	var out []string
	add := func(host string) { out = append(out, host+"=") }
	for _, s := range set.Services {
		add(s.Name + "." + s.Namespace + ".svc." + domain)
	}
	for _, s := range set.ServiceEntries {
		for _, host := range s.Spec.GetHosts() {
			add(host)
		}
	}
	for _, vs := range set.VirtualServices {
		for _, rule := range vs.Spec.GetHttp() {
			for _, d := range rule.GetRoute() {
				to := d.GetDestination()
				host := names.FullName(to.GetHost(), vs.Namespace, domain)
				if add(host); to.GetSubset() != "" {
					add(to.GetSubset() + "." + host)
				}
			}
		}
	}
	return sortedOnce(out)
}

func routeConfigNames(c *cobra.Command, set *resource.Set) []string {
	proxy, _ := c.Flags().GetString("proxy") // the flag exists
	p, _ := translate.Plan(set, translate.Options{Proxy: translate.ProxyType(proxy), OutboundTrafficPolicy: translate.AllowAny}.WithDefaults())
	var out []string
	for rc := range p.RouteConfigs() {
		out = append(out, rc.Name)
	}
	return sortedOnce(out)
}

func sortedOnce(texts []string) []string {
	set := map[string]bool{}
	for _, text := range texts {
		set[text] = true
	}
	return slices.Sorted(maps.Keys(set))
}
