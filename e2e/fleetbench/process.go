package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// command is what a process is told, and reply what it answers, each a line of JSON.
type command struct {
	Op      string
	Number  int     `json:",omitempty"`
	Seconds float64 `json:",omitempty"`
	File    string  `json:",omitempty"`
}

type reply struct {
	Error   string `json:",omitempty"`
	Address string `json:",omitempty"`
	// At is when something began or was over, in nanoseconds since 1970.
	At int64 `json:",omitempty"`
	// Count is how many proxies are in sync.
	Count int `json:",omitempty"`
	// Heap is what is alive after a collection.
	Heap uint64 `json:",omitempty"`
	// Bytes are those of responses, and Wire those of connections, since they were counted last.
	Bytes, Wire int64            `json:",omitempty"`
	Messages    map[string]int64 `json:",omitempty"`
}

// child is a process of this program in another role.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
	role string
}

func start(role string, flags ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, append([]string{"-role", role}, flags...)...), role: role}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	return c, c.cmd.Start()
}

// ask tells a process something, and waits for its answer.
func (c *child) ask(what command) (*reply, error) {
	if err := json.NewEncoder(c.in).Encode(what); err != nil {
		return nil, fmt.Errorf("%s: %w", c.role, err)
	}
	var r reply
	if err := c.out.Decode(&r); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", c.role, what.Op, err)
	}
	if r.Error != "" {
		return nil, fmt.Errorf("%s: %s: %s", c.role, what.Op, r.Error)
	}
	return &r, nil
}

// end lets a process end: its input is over.
func (c *child) end() error { return errors.Join(c.in.Close(), c.cmd.Wait()) }

// answer does what a process is told until its input is over.
func answer(do func(command) (*reply, error)) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c command
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r, err := do(c)
		if err != nil {
			r = &reply{Error: err.Error()}
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// cpu is the processor time that a process has used, in seconds, to a hundredth.
func (c *child) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks float64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return ticks / 100, nil
}

// memory is the resident memory of a process, now and at its peak since it was forgotten, in MiB.
func (c *child) memory() (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		field, value, _ := strings.Cut(line, ":")
		if field != "VmRSS" && field != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
		if err != nil {
			return 0, 0, err
		}
		if field == "VmRSS" {
			now = kib / 1024
		} else {
			peak = kib / 1024
		}
	}
	return now, peak, nil
}

// forgetPeak makes the peak what it is now.
func (c *child) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", c.cmd.Process.Pid), []byte("5"), 0)
}
