package vm_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/proxy/vm"
)

func TestQuick(t *testing.T) {
	b, err := os.ReadFile("../../bin/waymark.wasm")
	require.NoError(t, err)
	ctx := context.Background()
	m, err := vm.Compile(ctx, b)
	require.NoError(t, err)
	v, err := m.New(ctx, hostcalls.Debug, func(l hostcalls.Level, s string) { t.Log(l, s) })
	require.NoError(t, err)
	root, err := v.Configure(ctx, []byte(`{"version":1,"name":"x","virtualHosts":[{"name":"a","domains":["*"],"rules":[{"rule":"r","path":{"prefix":"/a"},"outcome":"kabc"}]}]}`))
	require.NoError(t, err)
	h := vm.Headers{{":method", "GET"}, {":authority", "a.b"}, {":path", "/abc?x"}, {"x-waymark-route", "evil"}}
	require.NoError(t, v.RequestHeaders(ctx, root, &h))
	t.Log(h, v.Calls())
	_, err = v.Configure(ctx, []byte(`{"version":2}`))
	require.Error(t, err)
	t.Log(err)
}
