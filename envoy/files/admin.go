package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/envoy"
)

// Admin waits for an Envoy by the statistics of its admin interface.
type Admin struct {
	// Ask returns the interface's answer to a GET of a path.
	Ask func(ctx context.Context, path string) (string, error)
	// Limit bounds the wait for one step; 0 is DefaultLimit.
	Limit time.Duration

	before map[string]failures
}

// DefaultLimit bounds the wait for one step.
const DefaultLimit = 30 * time.Second

func (a *Admin) limit() time.Duration { return cmp.Or(a.Limit, DefaultLimit) }

// settled is how long after Envoy's main thread has taken a plugin configuration its workers have it, too. It is given to
// them at once; this is the time that a busy worker may need to get to it.
const settled = 250 * time.Millisecond

// failures count the contents of one file that Envoy has refused, or could not read.
type failures struct{ refused, unread int64 }

// subscription is the prefix of a file's statistics; "" where Envoy has none that are asked for.
func subscription(k envoy.Key) string {
	switch k.Type {
	case envoy.ClusterType:
		return "cluster_manager.cds."
	case envoy.ListenerType:
		return "listener_manager.lds."
	case envoy.RouteType:
		return "http." + envoy.StatName(k.Name) + ".rds." + k.Name + "."
	case envoy.ExtensionType:
		return "extension_config_discovery.http_filter." + k.Name + "."
	case envoy.SecretType:
		return "sds." + secretStat.Replace(k.Name) + "."
	default: // endpoints: what needs them waits for them
		return ""
	}
}

// secretStat writes a secret's name as Envoy does in statistics.
var secretStat = strings.NewReplacer("://", "_", ":/", "_", ":", "_")

// statistics are Envoy's counters, and the versions of what it has taken, by their names.
type statistics struct {
	numbers map[string]int64
	texts   map[string]string
}

// statistics reads all that matters, in one question. Those that were never touched are left out before names are looked
// at: with many rules, these are nearly all.
func (a *Admin) statistics(ctx context.Context) (statistics, error) {
	out := statistics{map[string]int64{}, map[string]string{}}
	text, err := a.Ask(ctx, "/stats?usedonly&filter=(%5C.(cds|lds|rds)%5C.|^(sds|extension_config_discovery|listener_manager)%5C.|warming)")
	if err != nil {
		return out, err
	}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil {
			out.numbers[name] = n
		} else if text, err := strconv.Unquote(value); err == nil {
			out.texts[name] = text
		}
	}
	return out, nil
}

// watches reports whether Envoy has subscribed to a file and its statistics tell what it has taken.
func (s *statistics) watches(f File) bool {
	prefix := subscription(f.Key)
	return prefix != "" && f.Version != "" && s.numbers[prefix+"update_attempt"] > 0
}

// has reports whether a file's content is what Envoy has taken last.
func (s *statistics) has(f File) bool {
	return s.texts[subscription(f.Key)+"version_text"] == f.Version
}

func (s *statistics) failures(f File) failures {
	prefix := subscription(f.Key)
	return failures{s.numbers[prefix+"update_rejected"] + s.numbers[prefix+"config_fail"], s.numbers[prefix+"update_failure"]}
}

// Lacking asks twice, since Envoy may be about to take a file that was replaced just before.
func (a *Admin) Lacking(ctx context.Context, files []File) (lacking []string, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.limit())
	defer cancel()
	for range 2 {
		stats, err := a.statistics(ctx)
		if err != nil {
			return nil, false, err
		}
		lacking = nil
		for _, f := range files {
			if stats.watches(f) && !stats.has(f) {
				lacking = append(lacking, f.Path)
			}
		}
		if len(lacking) == 0 {
			break
		}
		if err := sleep(ctx, settled); err != nil {
			return nil, false, err
		}
	}
	return lacking, true, nil
}

// Before remembers the counters.
func (a *Admin) Before(ctx context.Context, _ envoy.StepKind, files []File) error {
	ctx, cancel := context.WithTimeout(ctx, a.limit())
	defer cancel()
	stats, err := a.statistics(ctx)
	if err != nil {
		return err
	}
	a.before = map[string]failures{}
	for _, f := range files {
		if stats.watches(f) {
			a.before[f.Path] = stats.failures(f)
		}
	}
	return nil
}

// Taken waits until Envoy has the versions of the files, and nothing is warming any more. Files that nobody has subscribed to, such
// as those of a listener that is still to come, are not waited for.
func (a *Admin) Taken(ctx context.Context, step envoy.StepKind, files []File) error {
	limit := a.limit()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	for {
		asked := time.Now()
		waiting, err := a.waiting(ctx, files)
		if waiting == warmingClusters && time.Since(begun) > warmLimit { // their names are not resolved
			waiting = ""
		}
		switch {
		case err != nil:
			return err
		case waiting == "":
			if step == envoy.Plugins {
				return sleep(ctx, settled)
			}
			return nil
		}
		select {
		case <-time.After(max(15*time.Millisecond, time.Since(asked))): // the thread that answers is the one that has to take it
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("envoy has not taken %s after %s; its log may say why", waiting, limit)
			}
			return ctx.Err()
		}
	}
}

// waiting names what Envoy has not taken yet, or "".
func (a *Admin) waiting(ctx context.Context, files []File) (string, error) {
	stats, err := a.statistics(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return "an answer of the admin interface", nil
		}
		return "", fmt.Errorf("envoy does not answer any more: %w", err)
	}
	for _, f := range files {
		before, known := a.before[f.Path]
		if !known {
			continue
		}
		now := stats.failures(f)
		if now.refused > before.refused || now.unread > before.unread {
			return "", &RefusedError{f.Path, now.refused == before.refused}
		}
		if !stats.has(f) {
			return f.Path, nil
		}
	}
	if stats.numbers["listener_manager.total_listeners_warming"] > 0 {
		return "listeners that are warming", nil
	}
	if stats.numbers["cluster_manager.warming_clusters"] > 0 {
		return warmingClusters, nil
	}
	return "", nil
}

// warmingClusters are clusters whose addresses are looked up. A name server that does not answer must not hold up a
// change: requests for such a cluster are answered by the one that it replaces, or with 503, either way.
const (
	warmingClusters = "clusters that are warming"
	warmLimit       = 5 * time.Second
)

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Pause waits the same time after every step, for an Envoy that cannot be asked.
type Pause time.Duration

// Lacking knows nothing.
func (Pause) Lacking(context.Context, []File) ([]string, bool, error) { return nil, false, nil }

// Before does nothing.
func (Pause) Before(context.Context, envoy.StepKind, []File) error { return nil }

// Taken waits.
func (p Pause) Taken(ctx context.Context, _ envoy.StepKind, _ []File) error {
	return sleep(ctx, time.Duration(p))
}
