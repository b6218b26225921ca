package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/errors"
)

// outages tells the log once that something cannot be watched, and once that it can be again. The requests are repeated all
// the time.
type outages struct {
	log *slog.Logger

	mu     sync.Mutex
	worked map[string]bool    // the watches that have worked
	failed map[string]*outage // by what is wrong
}

// outage is something that is wrong.
type outage struct {
	since   time.Time
	told    bool
	watches map[string]bool // that fail
}

// unreachable is what is wrong if the API server does not answer; else it is one kind.
const unreachable = ""

// grace is how long a kind that could be watched may be refused before the log is told: a server that has just started
// knows neither rights nor kinds for some seconds.
const grace = 15 * time.Second

// tell takes the result of a request of a watch.
func (o *outages) tell(ctx context.Context, now time.Time, watch, kind string, err error) {
	if ctx.Err() != nil || errors.IsResourceExpired(err) || errors.IsGone(err) {
		return // the end; or everything is asked for again, as it must be after a while
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.worked[watch] = true
		o.recovered(watch, unreachable)
		o.recovered(watch, kind)
		return
	}
	what := unreachable
	if errors.IsForbidden(err) || errors.IsNotFound(err) {
		what = kind
		o.recovered(watch, unreachable) // it answers
	}
	out := o.failed[what]
	if out == nil {
		out = &outage{since: now, watches: map[string]bool{}}
		o.failed[what] = out
	}
	out.watches[watch] = true
	if out.told || what != unreachable && o.worked[watch] && now.Sub(out.since) < grace {
		return
	}
	out.told = true
	if what == unreachable {
		o.log.Warn("the Kubernetes API server cannot be used; what it had stays in force", "error", err)
	} else {
		o.log.Warn("objects of a kind cannot be watched; what was known of them stays in force", "kind", kind, "error", err)
	}
}

// recovered notes that a watch does not fail for a reason any more.
func (o *outages) recovered(watch, what string) {
	out := o.failed[what]
	if out == nil || !out.watches[watch] {
		return
	}
	if delete(out.watches, watch); len(out.watches) > 0 {
		return
	}
	delete(o.failed, what)
	switch {
	case !out.told:
	case what == unreachable:
		o.log.Info("the Kubernetes API server can be used again")
	default:
		o.log.Info("objects of a kind can be watched again", "kind", what)
	}
}

// klogOf is a logger for the client library. It repeats itself with every attempt, so all of it is for debugging.
func klogOf(log *slog.Logger) logr.Logger {
	return logr.FromSlogHandler(debugHandler{log.Handler()})
}

// debugHandler lowers every record to the level Debug.
type debugHandler struct{ slog.Handler }

func (h debugHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h debugHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.Enabled(ctx, slog.LevelDebug) {
		return nil // logr passes errors on without a look
	}
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h debugHandler) WithAttrs(all []slog.Attr) slog.Handler {
	return debugHandler{h.Handler.WithAttrs(all)}
}

func (h debugHandler) WithGroup(name string) slog.Handler {
	return debugHandler{h.Handler.WithGroup(name)}
}
