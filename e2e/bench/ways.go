package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/proxy/vm"
)

// The ways in which an Envoy finds a rule.
const (
	wayNone      = "none"      // no filter and one rule, which takes all
	wayLeast     = "least"     // the least filter, to which the request itself names its outcome
	wayStateless = "stateless" // the least filter, which does not hear of contexts
	wayFilter    = "filter"    // Waymark
	waySmall     = "small"     // Waymark, built by TinyGo
	wayList      = "list"
	wayTree      = "tree"
	wayAuto      = "auto"
	wayLua       = "Lua"
	wayNaive     = "naive"
)

// ways are the columns.
var ways = []string{wayNone, wayLeast, wayLeast + fewest, wayStateless, wayFilter, wayFilter + fewest, waySmall, wayList, wayTree, wayAuto, wayLua, wayNaive}

// fewest marks a way with the smallest number of rules, whatever that of the line is.
const fewest = " fewest"

// mostNaive is the number of rules beyond which the naive filter takes too long for a round.
const mostNaive = 1000

// subject is one Envoy under measurement.
type subject struct {
	name      string
	bootstrap []byte
	ports     []uint32 // where it listens, and of its admin interface
	process   *process.Process
	asked     []vm.Headers
	strategy  envoy.Choice
	micros    []float64 // of processor time for a request, in each round
}

// newSubject is an Envoy of a way that does not run yet; nil where a shape or a number of rules does not have the way.
// Without a filter there is a single rule, which takes all. With the least one there are the routes that Waymark has too,
// and a request finds its own as it does with Waymark.
func newSubject(o *options, b envoytest.Binary, s *shape, n int, way string) (*subject, error) {
	yaml, options := s.rules(n), envoy.Options{Minor: b.Minor, Matching: envoy.MatchingFilter, Module: o.module}
	kind, _ := strings.CutSuffix(way, fewest)
	switch kind {
	case wayNone:
		yaml, options.Matching = one(), envoy.MatchingNative
	case wayLeast:
		options.Module = filepath.Join(o.modules, "floor.wasm")
	case wayStateless:
		var err error
		if options.Module, err = stateless(o); err != nil {
			return nil, err
		}
	case waySmall:
		options.Module = filepath.Join(o.modules, "small.wasm")
	case wayNaive:
		options.Module = filepath.Join(o.modules, "naive.wasm")
		if n > mostNaive {
			return nil, nil
		}
	case wayList:
		options.Matching = envoy.MatchingNative
	case wayTree:
		costs := envoy.MeasuredCosts()
		costs.Tree = -1e9 // it is taken wherever there is one
		options.Matching, options.Costs = envoy.MatchingAuto, &costs
	case wayAuto:
		options.Matching = envoy.MatchingAuto
	case wayLua:
		if s.lua == "" {
			return nil, nil
		}
	}
	p, err := planOf(yaml)
	if err != nil {
		return nil, err
	}
	choices, err := envoy.Choices(p, options)
	if err != nil {
		return nil, err
	}
	out := &subject{name: way, strategy: choices[0]}
	if way == wayTree && out.strategy.Strategy != envoy.StrategyTree {
		return nil, nil
	}
	if out.ports, err = process.FreePorts(2); err != nil {
		return nil, err
	}
	p.Listeners[0].Bind, p.Listeners[0].Port, options.AdminPort = "127.0.0.1", out.ports[0], out.ports[1]
	if options.Module, err = filepath.Abs(options.Module); err != nil {
		return nil, err
	}
	bootstrap, err := envoy.Bootstrap(p, options)
	if err != nil {
		return nil, err
	}
	if out.bootstrap, err = edited(bootstrap, p, s, way); err != nil {
		return nil, err
	}
	out.asked, err = s.requests(n)
	return out, err
}

// start starts the Envoy, and returns when it is live.
func (s *subject) start(b envoytest.Binary) (err error) {
	s.process, err = process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: s.bootstrap, AdminPort: s.ports[1], Concurrency: 1})
	return err
}

// address is where it listens.
func (s *subject) address() string { return fmt.Sprintf("127.0.0.1:%d", s.ports[0]) }

// stateless is the least filter that does not hear of contexts: their callbacks go by names that Envoy does not know.
func stateless(o *options) (path string, err error) {
	wasm, err := os.ReadFile(filepath.Join(o.modules, "floor.wasm"))
	if err != nil {
		return "", err
	}
	for _, name := range []string{"proxy_on_context_create", "proxy_on_delete"} {
		export := string(rune(len(name))) + name // as the table of exports has it
		if strings.Count(string(wasm), export) != 1 {
			return "", fmt.Errorf("floor.wasm does not export %s once", name)
		}
		wasm = bytes.Replace(wasm, []byte(name), []byte("never"+name[len("never"):]), 1)
	}
	path = filepath.Join(o.modules, "stateless.wasm")
	return path, os.WriteFile(path, wasm, 0o600)
}
