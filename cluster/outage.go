package cluster

import (
	"context"
	"log/slog"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/errors"
)

// outages tells the log once that something cannot be watched, and once that it can be again. The requests are repeated all
// the time.
type outages struct {
	log *slog.Logger

	mu     sync.Mutex
	failed map[string]map[string]bool // the watches that fail, by what is wrong
}

// unreachable is what is wrong if the API server does not answer; else it is one kind.
const unreachable = ""

// tell takes the result of a request of a watch.
func (o *outages) tell(ctx context.Context, watch, kind string, err error) {
	if ctx.Err() != nil {
		return // the end
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if errors.IsResourceExpired(err) || errors.IsGone(err) {
			return // everything is asked for again, as it must be after a while
		}
		what := unreachable
		if errors.IsForbidden(err) || errors.IsNotFound(err) {
			what = kind
		}
		if o.failed[what] == nil {
			if what == unreachable {
				o.log.Warn("the Kubernetes API server cannot be used; what it had stays in force", "error", err)
			} else {
				o.log.Warn("objects of a kind cannot be watched; what was known of them stays in force", "kind", kind, "error", err)
			}
			if o.failed == nil {
				o.failed = map[string]map[string]bool{}
			}
			o.failed[what] = map[string]bool{}
		}
		o.failed[what][watch] = true
		return
	}
	for _, what := range []string{unreachable, kind} {
		if !o.failed[what][watch] {
			continue
		}
		if delete(o.failed[what], watch); len(o.failed[what]) > 0 {
			continue
		}
		delete(o.failed, what)
		if what == unreachable {
			o.log.Info("the Kubernetes API server can be used again")
		} else {
			o.log.Info("objects of a kind can be watched again", "kind", kind)
		}
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
