package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// failing is an engine that has a mistake in it.
type failing struct{ engine }

func (failing) apply(context.Context, *plan.Plan) error { panic("index out of range") }

// A mistake of ours in what a change leads to is an error like others: what was served before is served still.
func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: ["*"], gateways: [gw], http: [{directResponse: {status: 200}}]}
`), 0o600))
	served := &plan.Plan{}
	r := newService(failing{}, file, io.Discard)
	r.plan = served
	_, err := r.load(context.Background(), func() bool { return true })
	require.ErrorContains(t, err, "internal error, please report it: index out of range")
	assert.ErrorContains(t, err, "recover_test.go", "the place is in it")
	assert.Same(t, served, r.plan)
}
