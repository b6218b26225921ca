package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

// envoyFlags say for which Envoy to write.
type envoyFlags struct {
	intakeFlags
	limitFlags
	matching, module, accessLog string
	adminPort                   uint32
	routeStats                  bool
}

// givenVersion is --envoy-version, or "" where it is the default.
func (f *envoyFlags) givenVersion() string {
	if !f.command.Flags().Changed("envoy-version") {
		return ""
	}
	return f.version
}

func (f *envoyFlags) add(c *cobra.Command) {
	f.addFleet(c)
	f.addAdminPort(c)
}

func (f *envoyFlags) addAdminPort(c *cobra.Command) {
	c.Flags().Uint32Var(&f.adminPort, "admin-port", 9901, "port of Envoy's admin interface on the loopback address; 0 for none")
}

// addBootstrap adds what an Envoy must have before it gets the rest.
func (f *envoyFlags) addBootstrap(c *cobra.Command) {
	f.intakeFlags.add(c, "edge; plain of a sidecar")
	f.limitFlags.add(c)
	f.addAdminPort(c)
	f.matching, f.accessLog, f.routeStats = string(envoy.MatchingFilter), string(envoy.AccessLogJSON), true
}

// addFleet adds what does not belong to one Envoy alone.
func (f *envoyFlags) addFleet(c *cobra.Command) {
	f.intakeFlags.add(c, "edge; plain of a sidecar")
	f.limitFlags.add(c)
	c.Flags().StringVar(&f.matching, "matching", "filter", "filter: the Wasm filter chooses the rule; native: an ordinary list of routes and no filter; auto: for each virtual host what costs least")
	addModuleFlag(c, &f.module)
	c.Flags().StringVar(&f.accessLog, "access-log", string(envoy.AccessLogJSON), "form of Envoy's access log: json or text")
	c.Flags().BoolVar(&f.routeStats, "route-stats", true, "let Envoy count requests by rule and destination (2.2 kB of memory for each)")
}

func (f *envoyFlags) options(in *input) (envoy.Options, error) {
	if f.adminPort > math.MaxUint16 {
		return envoy.Options{}, usageError("--admin-port %d is not between 0 and %d", f.adminPort, math.MaxUint16)
	}
	o := envoy.Options{
		Matching: envoy.Matching(f.matching), AdminPort: f.adminPort,
		AccessLog: envoy.AccessLogFormat(f.accessLog), NoRouteStats: !f.routeStats, Module: f.module,
	}
	if err := f.intake(&o, in.profile()); err != nil {
		return o, err
	}
	in.envoys = envoyversion.Only(o.Minor)
	if err := f.set(f.command, &o); err != nil {
		return o, err
	}
	if o.AccessLog != envoy.AccessLogJSON && o.AccessLog != envoy.AccessLogText {
		return o, usageError("--access-log %q is neither json nor text", f.accessLog)
	}
	if o.Matching != envoy.MatchingFilter && o.Matching != envoy.MatchingNative && o.Matching != envoy.MatchingAuto {
		return o, usageError("--matching %q is not filter, native or auto", f.matching)
	}
	proxy, err := in.options()
	o.Labels, o.Namespace = proxy.Labels, proxy.Namespace
	return o, err
}

func newTranslate() *cobra.Command {
	var in input
	var out envoyFlags
	var form, routeConfig, binary string
	var dynamic dynamicFlags
	var validate bool
	c := &cobra.Command{
		Use:   "translate -f FILE|DIR",
		Short: "Print the configuration of an Envoy that serves the rules",
		Long: `Translate prints a complete bootstrap that a stock Envoy starts with as it is, or an intermediate form.

  waymark translate -f examples/bookinfo > bootstrap.json
  waymark translate -f examples/bookinfo --matching native --envoy-version 1.36
  waymark translate -f examples/bookinfo --dynamic envoy-files
  waymark translate -f examples/bookinfo --proxy sidecar --labels app=productpage

With --dynamic, everything that changes goes into files that Envoy watches, and Envoy is started once, with
bootstrap.json of that folder, where the filter's module is, too. Only what has changed is written, in an order in which no
request is lost: each step is written once Envoy has taken the one before, which its admin interface tells, at the address
in bootstrap.json. What Envoy refuses is put back.

With --validate, an Envoy of this machine looks at the configuration first (--mode validate), the last line after all
that is checked here. What it refuses is neither printed nor written.`,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := out.options(&in)
			if err != nil {
				return err
			}
			write, ok := map[string]func(io.Writer, *plan.Plan, envoy.Options) error{
				"bootstrap": writeBootstrap, "plan": writePlan, "plan-json": writePlanJSON,
				"plugin-config": pluginConfigWriter(routeConfig, noticesTo(c.ErrOrStderr())),
			}[form]
			if !ok {
				return usageError("-o %q is not bootstrap, plan, plan-json or plugin-config", form)
			}
			if routeConfig != "" && form != "plugin-config" {
				return usageError("--route-config is for -o plugin-config alone")
			}
			if dynamic.dir != "" && c.Flags().Changed("output") {
				return usageError("-o prints, and --dynamic writes files; give one of them")
			}
			if err := dynamic.parse(c); err != nil {
				return err
			}
			p, failed, err := in.translate()
			if err != nil {
				return err
			}
			if len(p.Listeners) == 0 {
				return in.errNothing()
			}
			if dynamic.dir != "" && (failed || p.ClosesConnections()) && isServed(dynamic.dir) {
				return &exitError{exitBadInput, fmt.Errorf("%s has a configuration, which goes on being served: what is refused above would be missing from a new one; mend it, or empty the folder", dynamic.dir)}
			}
			if err := reportStrategies(noticesTo(c.ErrOrStderr()), p, o); err != nil {
				return err
			}
			if validate {
				if err := validateFirst(c.Context(), binary, p, o, out.givenVersion()); err != nil {
					return in.locate(err)
				}
			}
			working := newProgress()
			defer working.end()
			working.at("writing Envoy's configuration")
			if dynamic.dir == "" {
				if form == "bootstrap" {
					reportLimits(noticesTo(c.ErrOrStderr()), &o)
					if own, ok := ownModules[o.Module]; ok && o.Matching != envoy.MatchingNative {
						if o.Module, err = own.beside(noticesTo(c.ErrOrStderr())); err != nil {
							return err
						}
					}
				}
				err = write(c.OutOrStdout(), p, o)
			} else {
				dynamic.here = !in.remoteFiles
				err = dynamic.write(c.Context(), c.ErrOrStderr(), p, o)
			}
			if err == nil && failed { // what can be served is written, and something is missing
				return &exitError{status: exitBadInput}
			}
			return in.locate(err)
		},
	}
	in.addFlags(c)
	out.add(c)
	c.Flags().BoolVar(&validate, "validate", false, "let an Envoy of this machine validate the configuration before anything is printed or written")
	c.Flags().StringVar(&binary, "envoy", "", "with --validate: Envoy's program (default: ENVOY_BIN, or envoy on the path)")
	dynamic.add(c)
	c.Flags().StringVarP(&form, "output", "o", "bootstrap", "bootstrap: what Envoy starts with; plan: a table of listeners, hosts and how they are matched; plan-json: all of the plan; plugin-config: what the filter reads")
	c.Flags().StringVar(&routeConfig, "route-config", "", "with -o plugin-config: only the configuration for this route configuration, such as http.8080")
	return c
}

func writeBootstrap(w io.Writer, p *plan.Plan, o envoy.Options) error {
	b, err := envoy.Bootstrap(p, o)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	text, err := envoy.JSON(b)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// noticesTo prints notices, a line each.
func noticesTo(w io.Writer) func(string) {
	return func(text string) { fmt.Fprintln(w, "notice: "+text) }
}

// reportStrategies prints the virtual hosts that the filter does not decide for, although it was asked to.
func reportStrategies(notice func(string), p *plan.Plan, o envoy.Options) error {
	if o.Matching != envoy.MatchingFilter {
		return nil
	}
	choices, err := envoy.Choices(p, o)
	for _, c := range choices {
		if c.Strategy != envoy.StrategyFilter {
			notice(fmt.Sprintf("virtual host %s of %s: Envoy's own list of routes decides, as with --matching native: %s", c.VirtualHost, c.RouteConfig, c.Why))
		}
	}
	return err
}

// writePlanJSON prints all of a plan, with the matching strategy of each virtual host. Its form may change.
func writePlanJSON(w io.Writer, p *plan.Plan, o envoy.Options) error {
	choices, err := envoy.SizedChoices(p, o)
	if err != nil {
		return err
	}
	return writeJSON(w, struct {
		*plan.Plan
		Matching []envoy.Choice
	}{p, choices})
}

// pluginConfigWriter prints the configuration of the filter for one route configuration, as an Envoy takes it. If there are
// several and none is named, it prints an object with the document of each under its name.
func pluginConfigWriter(named string, notice func(string)) func(io.Writer, *plan.Plan, envoy.Options) error {
	return func(w io.Writer, p *plan.Plan, o envoy.Options) error {
		configs, err := envoy.PluginConfigs(p, o)
		if err != nil {
			return err
		}
		byName, names := map[string]json.RawMessage{}, make([]string, len(configs))
		for i, c := range configs {
			byName[c.RouteConfig], names[i] = c.JSON, c.RouteConfig
		}
		switch {
		case len(configs) == 0:
			return &exitError{exitBadInput, fmt.Errorf("with --matching %s the filter decides for no host, so it has no configuration", o.Matching)}
		case named != "" && byName[named] == nil:
			return &exitError{exitBadInput, fmt.Errorf("--route-config %q: the filter has configurations for %s", named, strings.Join(names, ", "))}
		case named != "":
			return writeIndented(w, byName[named])
		case len(configs) == 1:
			return writeIndented(w, configs[0].JSON)
		}
		notice(fmt.Sprintf("the filter has %d configurations, which are printed by name; --route-config NAME prints one as Envoy takes it: %s", len(configs), strings.Join(names, ", ")))
		text, err := json.Marshal(byName)
		if err != nil {
			return err
		}
		return writeIndented(w, text)
	}
}

// writeIndented prints a JSON document for people and programs.
func writeIndented(w io.Writer, document []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, document, "", " "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, strings.TrimSpace(b.String()))
	return err
}
