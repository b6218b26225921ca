package filter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/hostcalls/hosttest"
)

const config = `{"version":1,"name":"http.80","virtualHosts":[{"name":"a","domains":["a.test"],"rules":[
	{"rule":"slow","path":{"prefix":"/slow"},"outcome":"kslow","fault":{"delay":{"ms":1500,"perMillion":1000000}}},
	{"rule":"both","path":{"prefix":"/both"},"outcome":"kboth","fault":{"delay":{"ms":1,"perMillion":1000000},"abort":{"httpStatus":503,"perMillion":1000000}}},
	{"rule":"grpc","path":{"prefix":"/grpc"},"outcome":"kgrpc","fault":{"abort":{"grpcStatus":0,"perMillion":1000000}}},
	{"rule":"one","path":{"prefix":"/one"},"outcome":"kone"}]}]}`

func get(path string, more ...[2]string) [][2]string {
	return append([][2]string{{":authority", "a.test"}, {":path", path}, {":method", "GET"}, {":scheme", "http"}}, more...)
}

// configured is a plugin whose root context 1 has a configuration.
func configured(t testing.TB, text string) *Plugin {
	s := hosttest.New(t).Level(hostcalls.Warn).Configuration(text)
	p := New([2]uint64{1, 2})
	p.CreateContext(1, 0)
	assert.True(t, p.Configure(1, uint32(len(text))))
	assert.Equal(t, 2, s.Calls)
	return p
}

func TestOneReadAndOneWrite(t *testing.T) {
	p := configured(t, config)
	s := hosttest.New(t).Headers(get("/one")...).Set("x-waymark-route", "kone")
	p.CreateContext(2, 1)
	p.RequestHeaders(2)
	assert.Equal(t, 2, s.Calls)
}

func TestFaultsAreHeaders(t *testing.T) {
	p := configured(t, config)
	hosttest.New(t).
		Headers(get("/slow")...).Set("x-waymark-route", "kslow").Set("x-envoy-fault-delay-request", "1500").
		Headers(get("/both")...).Set("x-waymark-route", "kboth").Set("x-envoy-fault-delay-request", "1").Set("x-envoy-fault-abort-request", "503").
		Headers(get("/grpc")...).Set("x-waymark-route", "kgrpc").Set("x-envoy-fault-abort-grpc-request", "0")
	for stream := uint32(2); stream < 5; stream++ {
		p.CreateContext(stream, 1)
		p.RequestHeaders(stream)
	}
}

func TestAClientsOwnHeadersAreOverwrittenOrRemoved(t *testing.T) {
	p := configured(t, config)
	forged := [][2]string{
		{"x-waymark-route", "kone"}, {"x-envoy-fault-delay-request", "60000"}, {"x-envoy-fault-abort-request", "418"},
		{"x-envoy-fault-abort-grpc-request", "1"}, {"x-envoy-fault-delay-request-percentage", "100"}, {"x-envoy-fault-throughput-response", "1"},
	}
	hosttest.New(t).
		Headers(get("/slow", forged...)...).Set("x-waymark-route", "kslow").Set("x-envoy-fault-delay-request", "1500").
		Remove("x-envoy-fault-abort-request").Remove("x-envoy-fault-abort-grpc-request").
		Remove("x-envoy-fault-delay-request-percentage").Remove("x-envoy-fault-throughput-response").
		Headers(get("/nothing", forged...)...).Remove("x-waymark-route").Remove("x-envoy-fault-delay-request").
		Remove("x-envoy-fault-abort-request").Remove("x-envoy-fault-abort-grpc-request").
		Remove("x-envoy-fault-delay-request-percentage").Remove("x-envoy-fault-throughput-response")
	p.CreateContext(2, 1)
	p.RequestHeaders(2)
	p.CreateContext(3, 1)
	p.RequestHeaders(3)
}

func TestNoDecisionIsNoHeader(t *testing.T) {
	p := configured(t, config)
	hosttest.New(t).
		Headers(get("/nothing")...).
		RawHeaders([]byte{1, 2, 3, 4, 5}, hostcalls.OK).
		RawHeaders(nil, hostcalls.BadArgument).
		Headers([2]string{":authority", "a.test"}, [2]string{":method", "GET"}). // no :path
		Headers(get("/one")...).                                                 // of a stream that nobody made known
		Headers(get("/one")...)                                                  // of a root that nobody made known
	for stream := uint32(2); stream < 6; stream++ {
		p.CreateContext(stream, 1)
		p.RequestHeaders(stream)
	}
	p.RequestHeaders(99)
	p.CreateContext(7, 77)
	p.RequestHeaders(7)
}

func TestABadConfigurationIsRefused(t *testing.T) {
	p := configured(t, config)
	text := `{"version":1,"virtualHosts":[{"domains":[]}]}`
	hosttest.New(t).Level(hostcalls.Warn).Configuration(text).
		Logs(hostcalls.Error, "waymark: plugin configuration refused: virtualHosts[0]: domains is missing or empty").
		Level(hostcalls.Warn).NoConfiguration(5).
		Logs(hostcalls.Error, "waymark: the plugin configuration cannot be read: status 10").
		Headers(get("/one")...).Set("x-waymark-route", "kone").
		Headers(get("/one")...)
	p.CreateContext(2, 0)
	assert.False(t, p.Configure(2, uint32(len(text))))
	assert.False(t, p.Configure(2, 5))
	p.CreateContext(3, 1)
	p.RequestHeaders(3) // the root before goes on
	p.CreateContext(4, 2)
	p.RequestHeaders(4) // the refused root has no table
}

func TestRootsAreKeptApart(t *testing.T) {
	p := configured(t, config)
	next := strings.ReplaceAll(config, "kone", "knew")
	s := hosttest.New(t).Level(hostcalls.Warn).Configuration(next).
		Headers(get("/one")...).Set("x-waymark-route", "kone").
		Headers(get("/one")...).Set("x-waymark-route", "knew").
		Headers(get("/one")...)
	p.CreateContext(2, 0)
	assert.True(t, p.Configure(2, uint32(len(next))))
	p.CreateContext(10, 1) // three streams are made before the first is asked for
	p.CreateContext(11, 2)
	p.CreateContext(12, 1)
	p.RequestHeaders(10)
	p.RequestHeaders(11)
	p.DeleteContext(1)
	p.RequestHeaders(12)
	assert.Equal(t, 7, s.Calls)
	assert.Len(t, p.roots, 1)
	assert.Empty(t, p.waiting)
}

func TestDecisionsAreLoggedAtDebugLevelOnly(t *testing.T) {
	hosttest.New(t).Level(hostcalls.Debug).Configuration(config).Logs(hostcalls.Info, "waymark: configured http.80 with 4 rules").
		Headers(get("/one")...).Set("x-waymark-route", "kone").Logs(hostcalls.Debug, "waymark: one -> kone").
		Headers(get("/nothing")...).Logs(hostcalls.Debug, "waymark: no route")
	p := New([2]uint64{1, 2})
	p.CreateContext(1, 0)
	assert.True(t, p.Configure(1, uint32(len(config))))
	p.CreateContext(2, 1)
	p.RequestHeaders(2)
	p.CreateContext(3, 1)
	p.RequestHeaders(3)
}

// quietHost answers with the same headers for ever and allocates nothing.
type quietHost struct {
	hosttest.Script
	headers []byte
}

func (h *quietHost) GetHeaderMapPairs(hostcalls.Map) ([]byte, hostcalls.Status) {
	return h.headers, hostcalls.OK
}

func (h *quietHost) ReplaceHeaderMapValue(hostcalls.Map, string, string) hostcalls.Status {
	return hostcalls.OK
}

func TestARequestAllocatesNothing(t *testing.T) {
	p := configured(t, config)
	hostcalls.Use(&quietHost{headers: hostcalls.AppendPairs(nil, get("/both", [2]string{"x-a", "1"}, [2]string{"x-b", "2"}))})
	stream := uint32(10)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		stream++
		p.CreateContext(stream, 1)
		p.RequestHeaders(stream)
		p.DeleteContext(stream)
	}))
}
