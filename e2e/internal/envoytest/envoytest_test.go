package envoytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/process"
)

// answering is an Envoy that answers every request itself.
const answering = `{
  "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": %d } } },
  "static_resources": { "listeners": [ {
    "name": "here",
    "address": { "socket_address": { "address": "127.0.0.1", "port_value": %d } },
    "filter_chains": [ { "filters": [ { "name": "http", "typed_config": {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      "stat_prefix": "here",
      "route_config": { "virtual_hosts": [ { "name": "all", "domains": [ "*" ], "routes": [
        { "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": { "inline_string": "here I am" } } } ] } ] },
      "http_filters": [ { "name": "router", "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } } ]
    } } ] } ]
  } ] }
}`

// options are those of an Envoy with a bootstrap of ours, which has two verbs for ports.
func options(t *testing.T, bootstrap string) (o process.Options, port uint32) {
	t.Setenv("ENVOY_BIN", "")
	bin, err := Default()
	require.NoError(t, err)
	ports, err := process.FreePorts(2)
	require.NoError(t, err)
	return process.Options{Binary: bin.Path, Bootstrap: fmt.Appendf(nil, bootstrap, ports[0], ports[1]), AdminPort: ports[0], Concurrency: 1}, ports[1]
}

func TestAnEnvoyFromStartToStop(t *testing.T) {
	ctx := context.Background()
	o, port := options(t, answering)
	p, err := process.Start(ctx, o)
	require.NoError(t, err)
	stopped := false
	defer func() {
		if !stopped {
			_ = p.Stop() // the test has failed already
		}
	}()

	get := func() string {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
	before, err := p.CPUTime()
	require.NoError(t, err)
	const n = 2000
	for range n {
		require.Equal(t, "here I am", get())
	}
	after, err := p.CPUTime()
	require.NoError(t, err)
	perRequest := (after - before) / n
	assert.Greater(t, perRequest, time.Microsecond, "time of the workers counts, not only that of the main thread")
	assert.Less(t, perRequest, 5*time.Millisecond)

	served, err := p.Stat(ctx, "http.here.downstream_rq_2xx")
	require.NoError(t, err)
	assert.EqualValues(t, n, served)
	_, err = p.Stat(ctx, "no.such.thing")
	require.ErrorContains(t, err, "no.such.thing")
	_, err = p.Admin(ctx, "/nowhere")
	require.ErrorContains(t, err, "404")

	memory, err := RSS(p)
	require.NoError(t, err)
	assert.Greater(t, memory, int64(10<<20))

	require.NoError(t, p.Stop())
	stopped = true
	assert.ErrorIs(t, syscall.Kill(p.PID(), 0), syscall.ESRCH, "the process is gone")
	_, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = RSS(p)
	require.Error(t, err)
}

func TestAnEnvoyThatRefusesItsConfiguration(t *testing.T) {
	o, _ := options(t, strings.Replace(answering, `"stat_prefix"`, `"no_such_field": 1, "stat_prefix"`, 1))
	began := time.Now()
	_, err := process.Start(context.Background(), o)
	require.ErrorContains(t, err, "envoy ended before it served")
	require.ErrorContains(t, err, "'no_such_field'", "the end of its log says why (with spaces as it likes)")
	assert.Less(t, time.Since(began), 20*time.Second, "nobody waits for one that has ended")
}

func TestAnEnvoyThatIsNotReadyInTime(t *testing.T) {
	o, port := options(t, answering)
	o.AdminPort = port // it serves, and we ask where somebody else answers
	_, err := process.Start(context.Background(), o)
	require.ErrorContains(t, err, fmt.Sprintf("127.0.0.1:%d is not answered by an admin interface", port))

	free, err := process.FreePorts(1)
	require.NoError(t, err)
	o.AdminPort, o.Ready = free[0], 300*time.Millisecond // and where nobody does
	_, err = process.Start(context.Background(), o)
	require.ErrorContains(t, err, "envoy does not serve")
}

// An Envoy that cannot have its admin port is not taken for the one that has it.
func TestTwoEnvoysOnOneAdminPort(t *testing.T) {
	first, _ := options(t, answering)
	p, err := process.Start(context.Background(), first)
	require.NoError(t, err)
	defer func() { _ = p.Stop() }()
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	second := first
	second.Bootstrap = fmt.Appendf(nil, answering, first.AdminPort, ports[0])
	_, err = process.Start(context.Background(), second)
	require.Error(t, err)
	assert.Contains(t, err.Error(), fmt.Sprintf("127.0.0.1:%d", first.AdminPort))
}

func TestWhichEnvoy(t *testing.T) {
	t.Setenv("ENVOY_BIN", "")
	usual, err := Default()
	require.NoError(t, err)
	assert.Equal(t, defaultVersion, usual.Version)
	all, err := All()
	require.NoError(t, err)
	require.Len(t, all, len(pinned))
	assert.Contains(t, all, usual)

	_, err = installed("1.2.3")
	require.EqualError(t, err, "the pinned Envoy 1.2.3 is not installed: run 'make envoy', or name another with ENVOY_BIN")

	t.Setenv("ENVOY_BIN", all[0].Path)
	named, err := Default()
	require.NoError(t, err)
	assert.Equal(t, all[0], named)
	alone, err := All()
	require.NoError(t, err)
	assert.Equal(t, all[:1], alone)

	other := filepath.Join(t.TempDir(), "envoy")
	require.NoError(t, os.WriteFile(other, []byte("#!/bin/sh\necho hello\n"), 0o700))
	t.Setenv("ENVOY_BIN", other)
	_, err = Default()
	require.EqualError(t, err, "ENVOY_BIN: "+other+" is not an Envoy: it does not print a version of Envoy")
}

// failing is a log that cannot be written at first.
type failing struct {
	mu   sync.Mutex
	left int
	text strings.Builder
}

func (f *failing) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		f.left--
		return 0, syscall.ENOSPC
	}
	return f.text.Write(b)
}

func (f *failing) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

// A disk that is full for a moment does not end the log.
func TestALogThatCannotBeWrittenForAMoment(t *testing.T) {
	o, port := options(t, strings.Replace(answering, `"stat_prefix"`, `"access_log": [{"name": "stdout", "typed_config": {
		"@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"}}], "stat_prefix"`, 1))
	log := &failing{left: 3}
	o.Output = log
	p, err := process.Start(context.Background(), o)
	require.NoError(t, err)
	defer func() { _ = p.Stop() }()
	require.Eventually(t, func() bool {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err == nil {
			_ = response.Body.Close() // it is not read
		}
		return strings.Contains(log.String(), "GET / HTTP/1.1")
	}, 10*time.Second, 150*time.Millisecond)
}
