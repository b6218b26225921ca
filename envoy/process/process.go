// Package process runs an Envoy on this machine as a child: it starts it, waits until it serves, asks its admin
// interface, and ends it by its process id.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say how to start Envoy.
type Options struct {
	// Binary is Envoy's program.
	Binary string
	// Bootstrap is the configuration, YAML or JSON. Its admin interface must listen on AdminPort of the loopback address.
	Bootstrap []byte
	AdminPort uint32
	// Concurrency is the number of workers; 0 is one per core.
	Concurrency int
	// Output gets what Envoy prints, access logs included; nil drops it.
	Output io.Writer
	// LogLevel of Envoy; "" is warning.
	LogLevel string
	// Ready bounds the wait until Envoy serves; 0 is one minute.
	Ready time.Duration
}

// Process is a running Envoy.
type Process struct {
	cmd   *exec.Cmd
	admin string
	dir   string
	tail  *tail
	done  chan struct{} // closed when it has ended
	err   error         // valid then
}

// Start starts Envoy and returns when it serves. Where it ends before, the error holds the last lines that it printed.
func Start(ctx context.Context, o Options) (*Process, error) {
	dir, err := os.MkdirTemp("", "waymark-envoy-")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "bootstrap.json")
	if err := os.WriteFile(config, o.Bootstrap, 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	level := o.LogLevel
	if level == "" {
		level = "warning"
	}
	args := []string{"-c", config, "-l", level, "--disable-hot-restart", "--file-flush-interval-msec", "100"}
	if o.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(o.Concurrency))
	}
	p := &Process{
		cmd: exec.Command(o.Binary, args...), dir: dir, tail: &tail{next: o.Output}, done: make(chan struct{}),
		admin: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.AdminPort))),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.tail, p.tail
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("envoy cannot be started: %w", err), os.RemoveAll(dir))
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := p.waitReady(ctx, o.Ready); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Process) waitReady(ctx context.Context, limit time.Duration) error {
	if limit == 0 {
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if text, err := p.Admin(ctx, "/ready"); err == nil && strings.HasPrefix(text, "LIVE") {
			return nil
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

// Admin asks the admin interface, such as "/stats?filter=lds".
func (p *Process) Admin(ctx context.Context, path string) (string, error) {
	return Ask(ctx, p.admin, path)
}

// Ask asks the admin interface at an address, such as "http://127.0.0.1:9901".
func Ask(ctx context.Context, admin, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("admin %s: %s", path, response.Status)
	}
	return string(text), err
}

// Stat is the value of one counter or gauge.
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

// Done is closed when Envoy has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log is the end of what it printed.
func (p *Process) Log() string { return p.tail.String() }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// CPUTime is the processor time that its threads have used, in user and system mode, to the nanosecond. Threads that have
// ended do not count; Envoy's live as long as it does.
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

// Stop ends Envoy, and waits until it has ended.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill() // as above
		<-p.done
	}
	return os.RemoveAll(p.dir)
}

// tail keeps the last lines and passes all of them on.
type tail struct {
	mu   sync.Mutex
	kept []byte
	next io.Writer
}

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if len(t.kept) > tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
	if t.next != nil {
		return t.next.Write(b)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
