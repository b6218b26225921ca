package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
)

// engine serves a plan, and another one after it without dropping a request.
type engine interface {
	// apply serves a plan. On an error the one before goes on being served.
	apply(ctx context.Context, p *plan.Plan) error
	// address is where a listener is bound.
	address(l *plan.Listener) string
	// admin is how to reach Envoy's admin interface, "" where there is none.
	admin() string
	// ended gets the reason when the engine has ended by itself.
	ended() <-chan error
	close(ctx context.Context) error
}

// listenAddress is the flag --listen: an address to bind instead of the plan's, with or without a port.
type listenAddress struct{ host, port string }

func parseListen(text string) (listenAddress, error) {
	if text == "" {
		return listenAddress{}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), "" // brackets are needed before a port alone
	}
	if net.ParseIP(host) == nil {
		return listenAddress{}, usageError("--listen %q is not ADDRESS or ADDRESS:PORT, with an address of IPv6 before a port in brackets", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
		return listenAddress{}, usageError("--listen %q: %q is not a valid port", text, port)
	}
	if port == "0" { // any free one, and the same after every change
		free, err := freePort()
		if err != nil {
			return listenAddress{}, err
		}
		port = strconv.Itoa(int(free))
	}
	return listenAddress{host, port}, nil
}

// freePort is a port of the loopback address that no program uses now.
func freePort() (uint32, error) {
	ports, err := process.FreePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// place writes the address into a plan's listeners.
func (a listenAddress) place(p *plan.Plan) error {
	if a.host == "" {
		return nil
	}
	if a.port != "" && len(p.Listeners) > 1 {
		return &exitError{exitBadInput, fmt.Errorf("--listen names a port, and there are %d listeners; choose one Gateway with --gateway, or name an address alone", len(p.Listeners))}
	}
	for _, l := range p.Listeners {
		l.Bind = a.host
		if a.port != "" {
			port, _ := strconv.ParseUint(a.port, 10, 16) // checked by parseListen
			l.Port = uint32(port)
		}
	}
	return nil
}

// wasmEngine is the embedded data plane.
type wasmEngine struct{ proxy *proxy.Proxy }

// newWasmEngine binds what the user names, else the loopback address where the plan has every one.
func newWasmEngine(ctx context.Context, module []byte, o envoy.Options, named listenAddress, access func(proxy.Access), log *slog.Logger, strict bool) (*wasmEngine, error) {
	var listen func(*plan.Listener) string
	if named.host != "" {
		listen = func(l *plan.Listener) string { return net.JoinHostPort(l.Bind, strconv.Itoa(int(l.Port))) }
	}
	p, err := proxy.New(ctx, module, proxy.Options{
		Listen: listen, Access: access, Intake: o.Intake(), Strict: strict,
		Log: func(message string) { log.Warn(message) },
	})
	if err != nil {
		return nil, err
	}
	return &wasmEngine{p}, nil
}

func (e *wasmEngine) apply(ctx context.Context, p *plan.Plan) error { return e.proxy.Apply(ctx, p) }
func (e *wasmEngine) address(l *plan.Listener) string               { return e.proxy.Address(l.Name) }
func (e *wasmEngine) admin() string                                 { return "" }
func (e *wasmEngine) ended() <-chan error                           { return nil }
func (e *wasmEngine) close(ctx context.Context) error               { return e.proxy.Close(ctx) }
