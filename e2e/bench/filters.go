package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"waymark.dev/waymark/filter"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// question is a request and the outcome that it must get; "" is none.
type question struct {
	headers vm.Headers
	outcome string
}

// filtered shows a filter the headers of a request, which it may change.
type filtered func(h *vm.Headers) error

// repeated asks one question after the other.
func (f filtered) repeated(asked []question) func() error {
	i := 0
	headers := make(vm.Headers, 0, 32)
	return func() error {
		headers = append(headers[:0], asked[i%len(asked)].headers...)
		i++
		return f(&headers)
	}
}

// check sees that every request gets its outcome.
func (f filtered) check(asked []question) error {
	for _, q := range asked {
		headers := append(vm.Headers{}, q.headers...)
		if err := f(&headers); err != nil {
			return err
		}
		if id, _ := headers.Get(routing.RouteHeader); id != q.outcome {
			return fmt.Errorf("%v: writes %q, not %q", q.headers, id, q.outcome)
		}
	}
	return nil
}

// onWazero is a filter as a module, for as long as the VM is open.
func onWazero(ctx context.Context, m *vm.Module, config []byte) (*vm.VM, filtered, error) {
	v, err := m.New(ctx, hostcalls.Error, nil)
	if err != nil {
		return nil, nil, err
	}
	root, err := v.Configure(ctx, config)
	if err != nil {
		return nil, nil, errors.Join(err, v.Close(ctx))
	}
	return v, func(h *vm.Headers) error { return v.RequestHeaders(ctx, root, h) }, nil
}

// goHost is package vm without Wasm: it does in Go what a module makes it do.
type goHost struct {
	headers       *vm.Headers
	pairs, config []byte
}

func (h *goHost) GetHeaderMapPairs(hostcalls.Map) ([]byte, hostcalls.Status) {
	h.pairs = hostcalls.AppendPairs(h.pairs[:0], *h.headers)
	return h.pairs, hostcalls.OK
}

func (h *goHost) ReplaceHeaderMapValue(_ hostcalls.Map, name, value string) hostcalls.Status {
	h.headers.Set(name, value)
	return hostcalls.OK
}

func (h *goHost) RemoveHeaderMapValue(_ hostcalls.Map, name string) hostcalls.Status {
	h.headers.Remove(name)
	return hostcalls.OK
}

func (h *goHost) GetBufferBytes(hostcalls.Buffer, uint32, uint32) ([]byte, hostcalls.Status) {
	return h.config, hostcalls.OK
}

func (h *goHost) Log(hostcalls.Level, string) hostcalls.Status { return hostcalls.OK }

func (h *goHost) GetLogLevel() (hostcalls.Level, hostcalls.Status) {
	return hostcalls.Error, hostcalls.OK
}

// callback is what the module does for a request, natively: a stream is made, its headers are read, one is written. There
// can be one at a time.
func callback(config []byte) (filtered, error) {
	h := &goHost{config: config}
	hostcalls.Use(h)
	p := filter.New([2]uint64{1, 2})
	const root = 1
	p.CreateContext(root, 0)
	if !p.Configure(root, uint32(len(config))) {
		return nil, errors.New("the configuration is refused")
	}
	stream := uint32(root)
	return func(headers *vm.Headers) error {
		h.headers = headers
		stream++
		p.CreateContext(stream, root)
		p.RequestHeaders(stream)
		p.DeleteContext(stream)
		return nil
	}, nil
}

func nativeRequest(h vm.Headers) *routing.Request {
	r := new(routing.Request)
	for _, line := range h {
		r.Set(line[0], line[1])
	}
	return r
}

// decisions decides one request after the other, without a filter.
func decisions(table *routing.Table, asked []question) func() error {
	var requests []*routing.Request
	for _, q := range asked {
		requests = append(requests, nativeRequest(q.headers))
	}
	var q routing.Request // one for all, as the filter has it
	i := 0
	return func() error {
		of := requests[i%len(requests)]
		q.Method, q.Scheme, q.Authority, q.Path, q.Headers = of.Method, of.Scheme, of.Authority, of.Path, of.Headers
		q.HasMethod, q.HasScheme, q.HasAuthority, q.HasPath = true, true, true, true
		table.Decide(&q, routing.Dice{Split: uint32(i)})
		i++
		return nil
	}
}

// mustNotAllocate calls f some times, and as often before, so that what grows once has grown.
func mustNotAllocate(f func() error, times int) (err error) {
	n := testing.AllocsPerRun(1, func() {
		for range times {
			err = errors.Join(err, f())
		}
	})
	if n > 0 {
		return fmt.Errorf("%v allocations for %d requests", n, times)
	}
	return err
}
