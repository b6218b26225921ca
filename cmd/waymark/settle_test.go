package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// recorder is an engine that remembers the plans that it got.
type recorder struct{ plans []*plan.Plan }

func (r *recorder) apply(_ context.Context, p *plan.Plan) error {
	r.plans = append(r.plans, p)
	return nil
}
func (*recorder) address(*plan.Listener) string { return "" }
func (*recorder) ended() <-chan error           { return nil }
func (*recorder) close(context.Context) error   { return nil }

const (
	half = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: ["*"]}]}
`
	rest = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.test], gateways: [gw], http: [{directResponse: {status: 403}}]}
`
)

// A set that changes after it had settled, while it is read, is not served: it is read again.
func TestFilesThatChangeWhileTheyAreRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(half), 0o600))
	old := time.Now().Add(-time.Hour)
	var e recorder
	r := &road{in: &input{files: []string{file}, proxy: "gateway", outbound: "ALLOW_ANY", clusterDomain: "cluster.local"}, engine: &e}
	looks := 0
	files := &settling{quiet: 50 * time.Millisecond, look: func() set {
		if looks++; looks == 2 { // it has been read
			require.NoError(t, os.WriteFile(file, []byte(half+rest), 0o600))
		}
		s := look(r.in.files, nil)
		if looks == 1 {
			s.changed = old
		}
		return s
	}}
	require.NoError(t, r.start(t.Context(), files))
	require.Len(t, e.plans, 1)
	assert.Len(t, e.plans[0].Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules, 1)
}

// Waiting ends with the context; a set that never settles is told.
func TestASetThatNeverSettles(t *testing.T) {
	n := 0
	files := &settling{quiet: 20 * time.Millisecond, look: func() set {
		n++
		return set{digest: [32]byte{byte(n), byte(n >> 8)}, changed: time.Now()}
	}}
	ctx, cancel := context.WithCancelCause(t.Context())
	told := 0
	enough := errors.New("enough")
	err := files.first(ctx, false, func() { told++; cancel(enough) })
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, told)
}

// Looking at a pipe does not wait for somebody to write into it.
func TestLookingAtAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	done := make(chan set, 1)
	go func() { done <- look([]string{pipe}, nil) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}

// A file that is gone while it is read, and was there whenever it was looked at, is read again without a change.
func TestAFileThatIsGoneForAMoment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	var e recorder
	r := &road{in: &input{files: []string{file}, proxy: "gateway", outbound: "ALLOW_ANY", clusterDomain: "cluster.local"}, engine: &e}
	digest := byte(1)
	files := &settling{look: func() set { return set{digest: [32]byte{digest}} }}
	files.next()
	digest = 2 // and the file is not there
	var said bytes.Buffer
	talk = &said
	defer func() { talk = os.Stderr }()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.watch(ctx, files) }()
	time.Sleep(1500 * time.Millisecond)
	require.NoError(t, os.WriteFile(file, []byte(half+rest), 0o600))
	time.Sleep(4 * time.Second)
	cancel()
	require.NoError(t, <-done)
	assert.Len(t, e.plans, 1, said.String())
	assert.Equal(t, 1, strings.Count(said.String(), "cannot be read"), "the same failure is told once: %s", said.String())
}

// A folder that was just made is waited for, though nothing is in it yet.
func TestANewFolder(t *testing.T) {
	assert.Less(t, time.Since(look([]string{t.TempDir()}, nil).changed), time.Minute)
}

// A set that the file system says is old, and that was seen to change all the same, is waited for: clocks differ.
func TestAClockThatIsSlow(t *testing.T) {
	files := &settling{quiet: 200 * time.Millisecond, look: func() set { return set{changed: time.Now().Add(-time.Hour)} }}
	begun := time.Now()
	require.NoError(t, files.first(t.Context(), false, nil))
	assert.Less(t, time.Since(begun), files.quiet)
	require.NoError(t, files.first(t.Context(), true, nil))
	assert.GreaterOrEqual(t, time.Since(begun), files.quiet)
}
