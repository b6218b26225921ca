package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	envoyversion "waymark.dev/waymark/envoy/version"
)

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

// fitEnvoy looks at an Envoy before it is started, and writes for its version. What cannot work is an error of one sentence;
// only its log would say it else. A version newer than those known here is taken for the newest of them.
func fitEnvoy(ctx context.Context, binary string, o *envoy.Options, given string) error {
	version, minor, err := process.Version(ctx, binary)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	if minor < envoyversion.Oldest {
		return &exitError{exitBadInput, fmt.Errorf("%s is Envoy %s, and Waymark needs 1.%d or later", binary, version, envoyversion.Oldest)}
	}
	minor = min(minor, envoyversion.Newest)
	if given != "" && o.Minor != minor {
		return &exitError{exitBadInput, fmt.Errorf("%s is Envoy %s, and --envoy-version is %s; leave the flag out, or name another program with --envoy", binary, version, given)}
	}
	o.Minor = minor
	if o.Matching == envoy.MatchingNative {
		return nil
	}
	has, err := process.HasWasm(ctx, binary)
	if err == nil && !has {
		err = &exitError{exitBadInput, fmt.Errorf("%s is an Envoy %s that was built without Wasm, so it cannot load the filter; name another program with --envoy, or use --matching native", binary, version)}
	}
	return err
}
