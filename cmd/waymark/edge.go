package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

// intakeFlags say what Envoy does with a request before any rule. Everything that answers for Envoy has them.
type intakeFlags struct {
	profile, version, normalization, escapedSlashes, underscores string
	mergeSlashes                                                 bool
	trustedHops                                                  uint32
	command                                                      *cobra.Command
}

// add adds the flags. standard says in the help what the profile is if none is given.
func (f *intakeFlags) add(c *cobra.Command, standard string) {
	f.command = c
	addVersionFlag(c, &f.version)
	c.Flags().StringVar(&f.profile, "profile", "", "edge: limits and checks for a proxy that strangers reach, Istio's EDGE; plain: Envoy's own, as Istio without a profile (default "+standard+")")
	c.Flags().StringVar(&f.normalization, "path-normalization", "BASE", "Istio's level: NONE, BASE, MERGE_SLASHES or DECODE_AND_MERGE_SLASHES")
	c.Flags().BoolVar(&f.mergeSlashes, "merge-slashes", false, "make one slash of several (default true with --profile edge, else as --path-normalization has it)")
	c.Flags().StringVar(&f.escapedSlashes, "escaped-slashes", "", "what becomes of %2F and %5C in a path: KEEP_UNCHANGED, REJECT_REQUEST (400), UNESCAPE_AND_REDIRECT (307) or UNESCAPE_AND_FORWARD (default UNESCAPE_AND_REDIRECT with --profile edge, else as --path-normalization has it)")
	c.Flags().StringVar(&f.underscores, "headers-with-underscores", "", "what becomes of names of headers with an underscore: ALLOW, DROP_HEADER or REJECT_REQUEST (400) (default REJECT_REQUEST with --profile edge, else ALLOW)")
	c.Flags().Uint32Var(&f.trustedHops, "trusted-hops", 0, "proxies in front of this one whose x-forwarded-for and x-forwarded-proto are believed")
}

// intake fills in an Envoy's options. standard is the profile if none is given.
func (f *intakeFlags) intake(o *envoy.Options, standard envoy.Profile) error {
	var err error
	if o.Minor, err = minorVersion(f.version); err != nil {
		return err
	}
	o.Profile = cmp.Or(envoy.Profile(f.profile), standard)
	if o.Profile != envoy.ProfileEdge && o.Profile != envoy.ProfilePlain {
		return usageError("--profile %q is neither edge nor plain", f.profile)
	}
	if o.Paths.Level, err = oneOf("path-normalization", f.normalization,
		effect.NormalizeNone, effect.NormalizeBase, effect.NormalizeMergeSlashes, effect.NormalizeDecodeAndMergeSlashes); err != nil {
		return err
	}
	o.TrustedHops = f.trustedHops
	if f.command.Flags().Changed("merge-slashes") {
		o.Paths.MergeSlashes = &f.mergeSlashes
	}
	if f.escapedSlashes != "" {
		if o.Paths.EscapedSlashes, err = oneOf("escaped-slashes", f.escapedSlashes,
			effect.KeepEscapedSlashes, effect.RejectEscapedSlashes, effect.RedirectEscapedSlashes, effect.ForwardEscapedSlashes); err != nil {
			return err
		}
	}
	if f.underscores != "" {
		o.Underscores, err = oneOf("headers-with-underscores", f.underscores, effect.AllowUnderscores, effect.DropUnderscores, effect.RejectUnderscores)
	}
	return err
}

// oneOf reads the value of a flag, in any case.
func oneOf[T ~string](flag, text string, allowed ...T) (T, error) {
	if value := T(strings.ToUpper(text)); slices.Contains(allowed, value) {
		return value, nil
	}
	last := len(allowed) - 1
	names := make([]string, last)
	for i := range names {
		names[i] = string(allowed[i])
	}
	return "", usageError("--%s %q is not %s or %s", flag, text, strings.Join(names, ", "), allowed[last])
}

// limitFlags bound what one client costs. Each that is not given is the profile's.
type limitFlags struct{ limits envoy.Limits }

// limitFlag is one of them.
type limitFlag struct {
	name, unit, beyond string
	bytes              *uint32
	time               *time.Duration
	count              *uint64
	least              uint32 // that Envoy takes, of bytes; 0 is no limit
}

// all are the flags, with what becomes of what is beyond.
func (f *limitFlags) all() []limitFlag {
	l := &f.limits
	return []limitFlag{
		{name: "buffer-limit", beyond: "a longer body is not tried again", bytes: &l.Buffer},
		{name: "request-timeout", beyond: "a request that is not sent in this time is answered with 408", time: &l.Request},
		{name: "request-headers-timeout", beyond: "likewise for its headers", time: &l.RequestHeaders},
		{name: "stream-idle-timeout", beyond: "a request or websocket on which nothing moves is ended", time: &l.StreamIdle},
		{name: "idle-timeout", beyond: "a connection without a request is closed", time: &l.Idle},
		{name: "max-streams", beyond: "more requests at a time on a connection of HTTP/2 are refused", bytes: &l.Streams, unit: "number"},
		{name: "stream-window", beyond: "a client of HTTP/2 waits before it sends more of a body", bytes: &l.StreamWindow, least: 65535},
		{name: "connection-window", beyond: "likewise for all bodies of a connection", bytes: &l.ConnectionWindow, least: 65535},
		{name: "max-connections", beyond: "a further connection, of all clients together, is closed at once", count: &l.Connections},
	}
}

func (f *limitFlags) add(c *cobra.Command) {
	edge := limitFlags{envoy.ProfileEdge.Limits()}
	defaults := edge.all()
	for i, flag := range f.all() {
		usage := func(unit string, standard any) string {
			return fmt.Sprintf("%s; %s, 0 for Envoy's own (default %v with --profile edge, else 0)", flag.beyond, unit, standard)
		}
		switch {
		case flag.time != nil:
			c.Flags().DurationVar(flag.time, flag.name, 0, usage("a duration", *defaults[i].time))
		case flag.count != nil:
			c.Flags().Uint64Var(flag.count, flag.name, 0, usage("a number", *defaults[i].count))
		case flag.unit != "":
			c.Flags().Uint32Var(flag.bytes, flag.name, 0, usage("a number", *defaults[i].bytes))
		default:
			c.Flags().Uint32Var(flag.bytes, flag.name, 0, usage("bytes", *defaults[i].bytes))
		}
	}
}

// set are the limits of a profile with those that were given.
func (f *limitFlags) set(c *cobra.Command, o *envoy.Options) error {
	out := limitFlags{o.Profile.Limits()}
	into := out.all()
	for i, flag := range f.all() {
		if !c.Flags().Changed(flag.name) {
			continue
		}
		switch {
		case flag.time != nil && *flag.time < 0:
			return usageError("--%s %v is negative; 0 is no limit", flag.name, *flag.time)
		case flag.time != nil:
			*into[i].time = *flag.time
		case flag.count != nil:
			*into[i].count = *flag.count
		case *flag.bytes > 1<<31-1, *flag.bytes != 0 && *flag.bytes < flag.least:
			return usageError("--%s %d is not between %d and %d; 0 is Envoy's own", flag.name, *flag.bytes, max(1, flag.least), 1<<31-1)
		default:
			*into[i].bytes = *flag.bytes
		}
	}
	o.Limits = &out.limits
	return nil
}

// reportLimits prints one line with the limits on clients that Istio without a profile does not have.
func reportLimits(notice func(string), o *envoy.Options) {
	if o.Limits == nil {
		return
	}
	f := limitFlags{*o.Limits}
	var set []string
	for _, flag := range f.all() {
		switch {
		case flag.time != nil && *flag.time > 0:
			set = append(set, fmt.Sprintf("%s=%v", flag.name, *flag.time))
		case flag.count != nil && *flag.count > 0:
			set = append(set, fmt.Sprintf("%s=%d", flag.name, *flag.count))
		case flag.bytes != nil && *flag.bytes > 0:
			set = append(set, fmt.Sprintf("%s=%d", flag.name, *flag.bytes))
		}
	}
	if in := o.Intake(); in.Underscores != "" && in.Underscores != effect.AllowUnderscores {
		set = append(set, "headers-with-underscores="+string(in.Underscores))
	}
	if len(set) > 0 {
		notice(fmt.Sprintf("--profile %s, clients are limited: %s", o.Profile, strings.Join(set, " ")))
	}
}

// profile is the profile of the proxy of an input, if none is given.
func (in *input) profile() envoy.Profile {
	if in.proxy == string(translate.SidecarProxy) {
		return envoy.ProfilePlain
	}
	return envoy.ProfileEdge
}
