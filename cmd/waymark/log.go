package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
)

// Commands that serve write a log to standard error: entries with a time and a level, for people on a terminal, else for
// programs. A message is a sentence that names object, field and value, as other commands print it; what a program counts
// or compares is an attribute.

func addLogFormatFlag(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "log-format", "auto", "form of the log on standard error: text, json, or auto, which is text on a terminal and json elsewhere")
}

// newLogger writes the log in a form of --log-format.
func newLogger(w io.Writer, format string, terminal bool) (*slog.Logger, error) {
	switch {
	case format == "text", format == "auto" && terminal:
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case format == "json", format == "auto":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, usageError("--log-format %q is not auto, text or json", format)
}

// isTerminal reports whether a file is a terminal, which people read.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// note is an entry of the log about the files that are served.
type note struct {
	level slog.Level
	text  string
	// Of a finding, or "": its code, and the line of the file with a caret.
	code, excerpt string
}

// notesOf are findings as entries of the log.
func notesOf(findings diag.Findings, texts *diag.Texts) []note {
	levels := map[diag.Severity]slog.Level{diag.Error: slog.LevelError, diag.Warning: slog.LevelWarn, diag.Notice: slog.LevelInfo}
	out := make([]note, len(findings))
	for i, f := range findings {
		out[i] = note{levels[f.Severity], f.String(), f.Code, f.Excerpt(texts)}
	}
	return out
}

func write(log *slog.Logger, notes []note) {
	for _, n := range notes {
		var attrs []slog.Attr
		if n.code != "" {
			attrs = append(attrs, slog.String("code", n.code))
		}
		if n.excerpt != "" {
			attrs = append(attrs, slog.String("excerpt", n.excerpt))
		}
		log.LogAttrs(context.Background(), n.level, n.text, attrs...)
	}
}

// outcome is what became of changed files.
type outcome string

// refused are files that are wrong. failed is a reload that the files are not to blame for, such as one to a port that
// another program has.
const (
	served  outcome = "served"
	refused outcome = "refused"
	failed  outcome = "failed"
)

func outcomeOf(err error) outcome {
	var status *exitError
	switch {
	case err == nil:
		return served
	case errors.As(err, new(*refusedError)), errors.As(err, new(*diag.FindingsError)):
		return refused
	case errors.As(err, new(*os.SyscallError)): // of the operating system
		return failed
	case errors.As(err, &status) && status.status == exitBadInput:
		return refused
	}
	return failed
}

// reloads counts what became of changed files. Another attempt that fails in the same way is not a reload of its own.
type reloads struct{ served, refused, failed int }

// add counts one more, and returns the attributes of its entry in the log.
func (r *reloads) add(o outcome) []any {
	switch o {
	case served:
		r.served++
	case refused:
		r.refused++
	case failed:
		r.failed++
	}
	return []any{"reload", r.total(), "outcome", o}
}

func (r *reloads) total() int { return r.served + r.refused + r.failed }

// report writes how many there were.
func (r *reloads) report(log *slog.Logger) {
	log.Info("the service has ended", "reloads", r.total(), "served", r.served, "refused", r.refused, "failed", r.failed)
}
