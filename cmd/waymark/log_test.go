package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
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

func TestFormsOfTheLog(t *testing.T) {
	t.Parallel()
	const text, lines = `level=WARN msg="a \"b\""`, `"level":"WARN","msg":"a \"b\""}`
	for what, c := range map[string]struct {
		format   string
		terminal bool
		want     string
	}{
		"auto on a terminal": {"auto", true, text},
		"auto elsewhere":     {"auto", false, lines},
		"text":               {"text", false, text},
		"json":               {"json", true, lines},
	} {
		var b bytes.Buffer
		log, err := newLogger(&b, c.format, c.terminal)
		require.NoError(t, err, what)
		log.Warn(`a "b"`)
		assert.Contains(t, b.String(), c.want, what)
		assert.Regexp(t, `time"?[=:]"?[0-9]{4}-[0-9]{2}-[0-9]{2}T`, b.String(), what)
	}
	_, err := newLogger(&bytes.Buffer{}, "xml", false)
	require.EqualError(t, err, `--log-format "xml" is not auto, text or json`)
	assert.Equal(t, exitUsage, statusOf(err))
}

// busy is an engine whose port another program has, for plans with two rules.
type busy struct{ recorder }

func (e *busy) apply(ctx context.Context, p *plan.Plan) error {
	_ = e.recorder.apply(ctx, p) // it never fails
	if len(e.rules(e.count()-1)) == 2 {
		return &exitError{exitBadInput, os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	return nil
}

// Every reload has a number and an outcome in the log, and the end has their sums.
func TestReloadsInTheLog(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	put := func(text string) { assert.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	put(half)
	var e busy
	var text reader // safe for two
	r := newService(&e, file, nil)
	r.log = slog.New(slog.NewJSONHandler(&text, nil))
	r.in.strict = true
	files := &settling{look: func() set { return look(r.in.files, nil) }}
	require.NoError(t, r.start(t.Context(), files))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.watch(ctx, files) }()
	two := strings.Replace(rest, "http: [", "http: [{match: [{uri: {exact: /}}], directResponse: {status: 404}}, ", 1)
	for n, changed := range []string{half + rest, strings.Replace(half+rest, "spec: {hosts", "spec: {hots", 1), half + two, half + rest} {
		put(changed)
		require.Eventually(t, func() bool { return strings.Count(text.got(), `"reload":`) == n+1 }, 5*time.Second, 10*time.Millisecond, text.got)
	}
	cancel()
	require.NoError(t, <-done)
	r.reloads.report(r.log)

	var entries []string
	for line := range strings.Lines(text.got()) {
		var entry struct {
			Level, Msg, Outcome, Code                string
			Reload, Reloads, Served, Refused, Failed int
		}
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		switch {
		case entry.Outcome != "":
			entries = append(entries, strings.Join([]string{entry.Level, entry.Outcome, string(rune('0' + entry.Reload))}, " "))
		case entry.Reloads > 0:
			assert.Equal(t, [4]int{4, 2, 1, 1}, [4]int{entry.Reloads, entry.Served, entry.Refused, entry.Failed})
		case strings.Contains(entry.Msg, "hots"):
			assert.Equal(t, "ERROR", entry.Level)
			assert.Contains(t, entry.Msg, file+":9:8: ")
			assert.Contains(t, entry.Msg, `error: VirtualService default/a: spec.hots: unknown field "hots"; did you mean "hosts"?`)
		}
	}
	assert.Equal(t, []string{"INFO served 1", "ERROR refused 2", "ERROR failed 3", "INFO served 4"}, entries)
	assert.Contains(t, text.got(), "hots")
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	assert.Equal(t, served, outcomeOf(nil))
	assert.Equal(t, refused, outcomeOf(&exitError{status: exitBadInput}))
	assert.Equal(t, failed, outcomeOf(errors.New("internal error")))
}
