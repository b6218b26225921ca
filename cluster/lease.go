package cluster

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// Lease names the Lease by which one of several replicas is elected.
type Lease struct {
	Namespace, Name string
	// Identity is this replica's own name, such as that of its Pod. No two replicas have the same.
	Identity string
	// Duration is how long the others wait for a leader that does not answer. Default: 15 s. A leader that cannot renew the
	// Lease for two thirds of it stops leading.
	Duration time.Duration
	// Log is told who leads. Default: nobody.
	Log *slog.Logger
}

// Lead takes part in elections until the context ends, and calls lead whenever this replica was elected. The context of lead
// ends when the replica leads no longer, or with that of Lead; lead returns then. At the end the Lease is given up, after
// lead has returned, so that another replica leads at once.
func Lead(ctx context.Context, config *rest.Config, l Lease, lead func(context.Context)) error {
	client, err := coordination.NewForConfig(config)
	if err != nil {
		return err
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	duration := cmp.Or(l.Duration, 15*time.Second)
	name := l.Namespace + "/" + l.Name
	for ctx.Err() == nil {
		// The election does not end with ctx but after lead: the library gives the Lease up as soon as its context ends.
		election, end := context.WithCancel(klog.NewContext(context.WithoutCancel(ctx), klogOf(l.Log)))
		t := &term{end: end}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: meta.ObjectMeta{Namespace: l.Namespace, Name: l.Name}, Client: client,
				LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity},
			},
			LeaseDuration: duration, RenewDeadline: duration * 2 / 3, RetryPeriod: duration / 8, ReleaseOnCancel: true, Name: name,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(elected context.Context) {
					t.run(func() {
						work, stop := context.WithCancel(elected)
						defer stop()
						defer context.AfterFunc(ctx, stop)()
						l.Log.Info("this replica leads", "lease", name)
						lead(work)
					})
				},
				OnStoppedLeading: func() {},
				OnNewLeader: func(identity string) {
					if identity != l.Identity && identity != "" {
						l.Log.Info("another replica leads", "lease", name, "leader", identity)
					}
				},
			},
		})
		if err != nil {
			end()
			return err
		}
		stop := context.AfterFunc(ctx, t.stop)
		elector.Run(election)
		stop()
		t.stop()
		t.wait()
	}
	return nil
}

// term is the time between two elections. It ends after what runs in it.
type term struct {
	end func()

	mu   sync.Mutex
	done chan struct{} // closed once what runs has ended; nil before it began
	runs bool
	over bool
}

// run runs what a leader does, unless the term is over.
func (t *term) run(lead func()) {
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return
	}
	t.runs, t.done = true, make(chan struct{})
	t.mu.Unlock()
	defer close(t.done)
	lead()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.runs = false; t.over {
		t.end()
	}
}

// stop ends the term, at once if nothing runs.
func (t *term) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over = true; !t.runs {
		t.end()
	}
}

// wait waits until nothing runs any more. The term is over.
func (t *term) wait() {
	t.mu.Lock()
	done := t.done
	t.mu.Unlock()
	if done != nil {
		<-done
	}
}
