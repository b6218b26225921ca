// Package process runs an Envoy on this machine as a child process: it starts Envoy, waits until it serves, reads its
// admin interface, drains it, and ends it by its process id.
//
// The hard case is an admin address that another Envoy has: an answer from there would not be about the child. So the
// child gets a random name in its node's metadata, and [Start] fails if the answer has another one.
package process

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/envoy/process/scratch"
)

// Options are how to start Envoy.
type Options struct {
	// Binary is the path of Envoy's program.
	Binary string
	// Bootstrap is the configuration, as YAML or JSON. If it is nil, Config is the path of a file with it.
	Bootstrap []byte
	Config    string
	// AdminPort is the port on 127.0.0.1 where the admin interface listens according to the configuration. AdminSocket
	// is the path of its Unix socket; if it is not "", AdminPort is ignored.
	AdminPort   uint32
	AdminSocket string
	// Concurrency is the number of workers; 0 is one per core.
	Concurrency int
	// Output gets what Envoy prints, access logs included, in whole lines, with each warning of a deprecated field once;
	// nil drops it. While a Write blocks, so does
	// Envoy's log, and Envoy keeps in memory what it cannot write. After an error of Write, which is ignored, the next
	// lines are written as usual.
	Output io.Writer
	// LogLevel is Envoy's log level; "" is warning.
	LogLevel string
	// Ready bounds the wait until Envoy serves; 0 is one minute.
	Ready time.Duration
}

// Process is a running Envoy.
type Process struct {
	cmd   *exec.Cmd
	admin *admin
	name  string // a random name of this Envoy, by which its admin interface is distinguished from that of another one
	dir   *scratch.Dir
	tail  *tail
	done  chan struct{} // closed when Envoy has ended
	err   error         // how Envoy ended; valid after done is closed
}

// outputDelay is how long output is read after Envoy has ended, if another process still has the pipe open.
const outputDelay = 2 * time.Second

// Start starts Envoy and returns when it serves. If Envoy ends before, or does not serve in time, the error has the end
// of what it printed on standard error.
func Start(ctx context.Context, o Options) (*Process, error) {
	var name [16]byte
	_, _ = rand.Read(name[:]) // never fails
	p := &Process{name: hex.EncodeToString(name[:]), tail: &tail{}, done: make(chan struct{}), admin: newAdmin(&o)}
	config := o.Config
	if o.Bootstrap != nil {
		var err error
		if p.dir, err = scratch.New("envoy"); err != nil {
			return nil, err
		}
		config = filepath.Join(p.dir.Path, "bootstrap.json")
		if err := os.WriteFile(config, o.Bootstrap, 0o600); err != nil {
			return nil, errors.Join(err, p.dir.Remove())
		}
	}
	level := o.LogLevel
	if level == "" {
		level = "warning"
	}
	args := []string{
		"-c", config, "-l", level, "--disable-hot-restart", "--file-flush-interval-msec", "100",
		"--config-yaml", fmt.Sprintf(`{"node": {"metadata": {%q: %q}}}`, instance, p.name),
	}
	if o.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(o.Concurrency))
	}
	p.cmd = exec.Command(o.Binary, args...)
	log := newLog(p.tail, o.Output)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = newLines(o.Output), log, outputDelay
	p.cmd.SysProcAttr = childAttributes()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("envoy cannot be started: %w", err), p.dir.Remove())
	}
	go func() {
		p.err = p.cmd.Wait()
		log.end()
		close(p.done)
	}()
	if err := p.waitReady(ctx, o.Ready); err != nil {
		return nil, errors.Join(err, p.Kill()) // it serves no requests yet
	}
	return p, nil
}

// instance is the key in the node's metadata of the name of an Envoy.
const instance = "WAYMARK_INSTANCE"

// serverInfo is the part of the answer of /server_info that waitReady reads.
type serverInfo struct {
	State string `json:"state"`
	Node  struct {
		ID       string         `json:"id"`
		Metadata map[string]any `json:"metadata"`
	} `json:"node"`
}

func (p *Process) waitReady(ctx context.Context, limit time.Duration) error {
	if limit == 0 {
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if text, err := p.Admin(ctx, "/server_info"); err == nil {
			var info serverInfo
			if err := json.Unmarshal([]byte(text), &info); err != nil {
				return fmt.Errorf("%s is not answered by an admin interface: %w", p.admin.name, err)
			}
			switch {
			case info.Node.Metadata[instance] != p.name:
				return fmt.Errorf("%s is the admin interface of another Envoy (node %q); use another address for this one", p.admin.name, info.Node.ID)
			case info.State == "LIVE":
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("envoy ended before it served: %w\n%s", p.err, p.tail)
		case <-ctx.Done():
			return fmt.Errorf("envoy does not serve: %w\n%s", ctx.Err(), p.tail)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stat returns the value of one counter or gauge.
func (p *Process) Stat(ctx context.Context, name string) (int64, error) {
	text, err := p.Admin(ctx, "/stats?filter="+url.QueryEscape("^"+regexp.QuoteMeta(name)+"$"))
	if err != nil {
		return 0, err
	}
	_, value, ok := strings.Cut(strings.TrimSpace(text), ": ")
	if !ok {
		return 0, fmt.Errorf("envoy has no statistic %s", name)
	}
	return strconv.ParseInt(value, 10, 64)
}

// Done returns a channel that is closed when Envoy has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running reports whether Envoy has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Log returns the end of what Envoy printed on standard error, at most 8 KiB: its own log, without access logs.
func (p *Process) Log() string { return p.tail.String() }

// PID is Envoy's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// CPUTime returns the processor time that Envoy's threads have used, in user and system mode, to the nanosecond.
// Threads that have ended do not count; Envoy's threads run as long as it does. It works only on Linux.
func (p *Process) CPUTime() (total time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID()))
	if err != nil || len(threads) == 0 {
		return 0, errors.Join(err, fmt.Errorf("process %d has no threads", p.PID()))
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return 0, err
		}
		ns, _, _ := strings.Cut(string(text), " ") // the rest is time spent waiting, and how often
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	return total, nil
}

// Stop ends Envoy, and waits until it has ended; after ten seconds it kills Envoy. Requests in flight are lost, unless
// [Process.Drain] has waited for them.
func (p *Process) Stop() error {
	_ = terminate(p.cmd.Process) // it may have ended
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		return p.Kill()
	}
	return p.dir.Remove()
}

// Kill kills Envoy, and waits until it has ended.
func (p *Process) Kill() error {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	return p.dir.Remove()
}
