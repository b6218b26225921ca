package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/plan"
)

// envoyFlags say for which Envoy to write.
type envoyFlags struct {
	matching, version, module, normalization string
	adminPort                                uint32
}

func (f *envoyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.matching, "matching", "filter", "filter: the Wasm filter chooses the rule; native: an ordinary list of routes and no filter")
	addVersionFlag(c, &f.version)
	addModuleFlag(c, &f.module)
	c.Flags().StringVar(&f.normalization, "path-normalization", "BASE", "NONE, BASE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES")
	c.Flags().Uint32Var(&f.adminPort, "admin-port", 9901, "port of Envoy's admin interface on the loopback address; 0 for none")
}

func (f *envoyFlags) options(in *input) (envoy.Options, error) {
	o := envoy.Options{Matching: envoy.Matching(f.matching), AdminPort: f.adminPort}
	if o.Matching != envoy.MatchingFilter && o.Matching != envoy.MatchingNative {
		return o, usageError("--matching %q is neither filter nor native", f.matching)
	}
	var err error
	if o.Minor, err = minorVersion(f.version); err != nil {
		return o, err
	}
	if o.Normalization, err = normalizationLevel(f.normalization); err != nil {
		return o, err
	}
	if o.Module, err = modulePath(f.module); err != nil {
		return o, err
	}
	proxy, err := in.options()
	o.Labels, o.Namespace = proxy.Labels, proxy.Namespace
	return o, err
}

func newTranslate() *cobra.Command {
	var in input
	var out envoyFlags
	var form string
	c := &cobra.Command{
		Use:   "translate -f FILE|DIR",
		Short: "Print the configuration of an Envoy that serves the rules",
		Long: `Translate prints a complete bootstrap that a stock Envoy starts as it is, or what lies on the way to it.

  waymark translate -f examples/bookinfo > bootstrap.json
  waymark translate -f examples/bookinfo --matching native --envoy-version 1.36
  waymark translate -f examples/bookinfo -o plan
  waymark translate -f examples/bookinfo --proxy sidecar --labels app=productpage`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := out.options(&in)
			if err != nil {
				return err
			}
			write, ok := map[string]func(io.Writer, *plan.Plan, envoy.Options) error{
				"bootstrap": writeBootstrap, "plan": writePlan, "plugin-config": writePluginConfig,
			}[form]
			if !ok {
				return usageError("-o %q is not bootstrap, plan or plugin-config", form)
			}
			p, err := in.translate(true)
			if err != nil {
				return err
			}
			return write(c.OutOrStdout(), p, o)
		},
	}
	in.addFlags(c)
	out.add(c)
	c.Flags().StringVarP(&form, "output", "o", "bootstrap", "bootstrap, plan or plugin-config")
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
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// writePlan is for eyes: the plan as JSON, its names as in the packages.
func writePlan(w io.Writer, p *plan.Plan, _ envoy.Options) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(p)
}

// writePluginConfig prints an object with the document of each route configuration under its name.
func writePluginConfig(w io.Writer, p *plan.Plan, o envoy.Options) error {
	configs := map[string]json.RawMessage{}
	for _, l := range p.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			config, err := c.Routes.PluginConfig(o.Era())
			if err != nil {
				return err
			}
			configs[c.Routes.Name] = config
		}
	}
	text, err := json.Marshal(configs)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", " "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, strings.TrimSpace(b.String()))
	return err
}
