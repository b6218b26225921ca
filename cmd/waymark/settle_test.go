package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// recorder is an engine that remembers the plans that it got.
type recorder struct {
	mu    sync.Mutex
	plans []*plan.Plan
}

func (r *recorder) apply(_ context.Context, p *plan.Plan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plans = append(r.plans, p)
	return nil
}

// count is how many plans it got.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.plans)
}

// rules are those of the only virtual host of a plan that it got.
func (r *recorder) rules(i int) []*plan.Rule {
	return r.plans[i].Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules
}

func (*recorder) address(*plan.Listener) string { return "" }
func (*recorder) admin() string                 { return "" }
func (*recorder) ended() <-chan error           { return nil }
func (*recorder) close(context.Context) error   { return nil }

// newService serves a file through an engine.
func newService(e engine, file string, log io.Writer) *service {
	in := &input{fileFlags: fileFlags{files: []string{file}}, proxy: "gateway", outbound: "ALLOW_ANY", clusterDomain: "cluster.local"}
	return &service{in: in, log: newTestLogger(log), engine: e}
}

// newTestLogger writes a log as a terminal shows it, without times.
func newTestLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

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
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(half), 0o600))
	old := time.Now().Add(-time.Hour)
	var e recorder
	r := newService(&e, file, io.Discard)
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
	assert.Len(t, e.rules(0), 1)
}

// editing is an engine that lets the files change while it takes the first plan.
type editing struct {
	recorder
	edit func()
}

func (e *editing) apply(ctx context.Context, p *plan.Plan) error {
	if len(e.plans) == 0 {
		e.edit()
	}
	return e.recorder.apply(ctx, p)
}

// A change that comes while files are being loaded, after they were read, is served next: at the start and later.
func TestAnEditDuringLoadingIsServed(t *testing.T) {
	t.Parallel()
	for what, atStart := range map[string]bool{"at the start": true, "after a change": false} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { editDuringLoading(t, atStart) })
		})
	}
}

func editDuringLoading(t *testing.T, atStart bool) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(half), 0o600))
	e := &editing{edit: func() { assert.NoError(t, os.WriteFile(file, []byte(half+rest), 0o600)) }}
	r := newService(e, file, io.Discard)
	ctx, cancel := context.WithCancel(t.Context())
	files := &settling{look: func() set { return look(r.in.files, nil) }}
	if atStart {
		require.NoError(t, r.start(ctx, files))
	} else {
		files.next()
		require.NoError(t, os.WriteFile(file, []byte(half+"# changed\n"), 0o600))
	}
	done := make(chan error, 1)
	go func() { done <- r.watch(ctx, files) }()
	time.Sleep(10 * time.Second)
	cancel()
	require.NoError(t, <-done)
	require.Len(t, e.plans, 2)
	assert.Empty(t, e.rules(0))
	assert.Len(t, e.rules(1), 1)
}

// refusing is an engine that refuses the first plan for a reason that may pass.
type refusing struct{ recorder }

func (e *refusing) apply(ctx context.Context, p *plan.Plan) error {
	if err := e.recorder.apply(ctx, p); e.count() > 1 {
		return err
	}
	return errors.New("the port is in use")
}

// What has failed is not tried again while the files are being written: half of them may be there.
func TestARetryWaitsForFilesToSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(half), 0o600))
		var e refusing
		r := newService(&e, file, io.Discard)
		var changed atomic.Bool
		files := &settling{quiet: 100 * time.Millisecond, look: func() set {
			var s set
			if changed.Load() {
				s.digest[0] = 1
			}
			if e.count() > 0 { // from now on it is written every 30 ms
				s.digest[1] = byte(time.Now().UnixMilli() / 30)
			}
			return s
		}}
		files.next()
		changed.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), retryFirst+1500*time.Millisecond)
		defer cancel()
		require.NoError(t, r.watch(ctx, files))
		assert.Equal(t, 1, e.count())
	})
}

// Waiting ends with the context; a set that never settles is told.
func TestASetThatNeverSettles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
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
	})
}

// A file that is gone while it is read, and was there whenever it was looked at, is read again without a change.
func TestAFileThatIsGoneForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		var e recorder
		var said bytes.Buffer
		r := newService(&e, file, &said)
		digest := byte(1)
		files := &settling{look: func() set { return set{digest: [32]byte{digest}} }}
		files.next()
		digest = 2 // and the file is not there
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.watch(ctx, files) }()
		time.Sleep(1700 * time.Millisecond) // it was tried twice
		require.NoError(t, os.WriteFile(file, []byte(half+rest), 0o600))
		time.Sleep(4 * time.Second)
		cancel()
		require.NoError(t, <-done)
		assert.Len(t, e.plans, 1, said.String())
		assert.Equal(t, 1, strings.Count(said.String(), "cannot be read"), "the same failure is told once: %s", said.String())
	})
}

// A folder that was just made is waited for, though nothing is in it yet.
func TestANewFolder(t *testing.T) {
	t.Parallel()
	assert.Less(t, time.Since(look([]string{t.TempDir()}, nil).changed), time.Minute)
}

// A set that the file system says is old, and that was seen to change all the same, is waited for: clocks differ.
func TestAClockThatIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &settling{quiet: 200 * time.Millisecond, look: func() set { return set{changed: time.Now().Add(-time.Hour)} }}
		begun := time.Now()
		require.NoError(t, files.first(t.Context(), false, nil))
		assert.Less(t, time.Since(begun), files.quiet)
		require.NoError(t, files.first(t.Context(), true, nil))
		assert.GreaterOrEqual(t, time.Since(begun), files.quiet)
	})
}

// An object that is refused in a change goes on being served as it was, and so do those of a document that is not YAML;
// what is taken out of the files is gone.
func TestObjectsThatAreRefusedAreKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	put := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	var e recorder
	r := newService(&e, file, io.Discard)
	unchanged := func() bool { return true }
	other := strings.ReplaceAll(rest, "a", "b")
	other = strings.NewReplacer("bpiVersion", "apiVersion", "metbdbtb", "metadata", "nbme", "name", "VirtublService", "VirtualService", "gbtewbys", "gateways", "stbtus", "status").Replace(other)
	rulesNow := func() (all []string) {
		for r := range e.plans[len(e.plans)-1].Rules() {
			all = append(all, r.Origin.Name+" "+strconv.Itoa(int(r.DirectResponse.Status)))
		}
		slices.Sort(all)
		return all
	}
	for _, step := range []struct {
		text   string
		want   []string
		failed bool
	}{
		{half + rest + other, []string{"a 403", "b 403"}, false},
		{half + strings.Replace(rest, "hosts", "hots", 1) + strings.Replace(other, "403", "404", 1), []string{"a 403", "b 404"}, true},
		{half + strings.Replace(rest, "spec: {", "spec: {{", 1) + other, []string{"a 403", "b 403"}, true},
		{half + other, []string{"b 403"}, false},
		{half + rest, []string{"a 403"}, false},
	} {
		put(step.text)
		_, err := r.load(t.Context(), unchanged)
		require.NoError(t, err, step.text)
		assert.Equal(t, step.want, rulesNow(), step.text)
		assert.Equal(t, step.failed, r.failed, step.text)
	}
}
