// Package hosttest is a host written in Go for tests of the filter: a script of exact host calls. A call that is not
// the next one in the script fails the test, and so does a call in the script that is never made.
package hosttest

import (
	"fmt"
	"testing"

	"waymark.dev/waymark/hostcalls"
)

// Script is the calls that a test expects, in order, with the answers.
type Script struct {
	t        testing.TB
	expected []call
	done     int
	// Calls counts all calls.
	Calls int
}

type call struct {
	text   string
	data   []byte
	status hostcalls.Status
}

// New makes the host of a test, and checks at the end of the test that all calls of the script were made.
func New(t testing.TB) *Script {
	s := &Script{t: t}
	hostcalls.Use(s)
	t.Cleanup(func() {
		for _, c := range s.expected[s.done:] {
			t.Errorf("the script expects %s, and it was not called", c.text)
		}
	})
	return s
}

func (s *Script) expect(status hostcalls.Status, data []byte, format string, args ...any) *Script {
	s.expected = append(s.expected, call{fmt.Sprintf(format, args...), data, status})
	return s
}

// Headers expects the bulk read of headers and answers with these.
func (s *Script) Headers(headers ...[2]string) *Script {
	return s.expect(hostcalls.OK, hostcalls.AppendPairs(nil, headers), "get_header_map_pairs(0)")
}

// RawHeaders expects the bulk read and answers with any bytes and status.
func (s *Script) RawHeaders(data []byte, status hostcalls.Status) *Script {
	return s.expect(status, data, "get_header_map_pairs(0)")
}

// Set expects a header to be written.
func (s *Script) Set(name, value string) *Script {
	return s.expect(hostcalls.OK, nil, "replace_header_map_value(0, %s, %s)", name, value)
}

// Remove expects a header to be removed.
func (s *Script) Remove(name string) *Script {
	return s.expect(hostcalls.OK, nil, "remove_header_map_value(0, %s)", name)
}

// Configuration expects the plugin configuration to be read.
func (s *Script) Configuration(config string) *Script {
	return s.expect(hostcalls.OK, []byte(config), "get_buffer_bytes(7, 0, %d)", len(config))
}

// NoConfiguration expects the plugin configuration to be read, and answers with an error.
func (s *Script) NoConfiguration(size int) *Script {
	return s.expect(hostcalls.InternalFailure, nil, "get_buffer_bytes(7, 0, %d)", size)
}

// Level expects the log level to be read, and answers with level.
func (s *Script) Level(level hostcalls.Level) *Script {
	return s.expect(hostcalls.OK, []byte{byte(level)}, "get_log_level()")
}

// Logs expects a line to be logged.
func (s *Script) Logs(level hostcalls.Level, message string) *Script {
	return s.expect(hostcalls.OK, nil, "log(%d, %s)", level, message)
}

func (s *Script) play(format string, args ...any) call {
	s.t.Helper()
	s.Calls++
	text := fmt.Sprintf(format, args...)
	if s.done >= len(s.expected) {
		s.t.Fatalf("unexpected call %s: the script is at its end", text)
	}
	c := s.expected[s.done]
	if c.text != text {
		s.t.Fatalf("unexpected call %s; the script expects %s", text, c.text)
	}
	s.done++
	return c
}

// GetHeaderMapPairs implements hostcalls.Host, as do the methods below.
func (s *Script) GetHeaderMapPairs(m hostcalls.Map) ([]byte, hostcalls.Status) {
	c := s.play("get_header_map_pairs(%d)", m)
	return c.data, c.status
}

// ReplaceHeaderMapValue implements hostcalls.Host.
func (s *Script) ReplaceHeaderMapValue(m hostcalls.Map, name, value string) hostcalls.Status {
	return s.play("replace_header_map_value(%d, %s, %s)", m, name, value).status
}

// RemoveHeaderMapValue implements hostcalls.Host.
func (s *Script) RemoveHeaderMapValue(m hostcalls.Map, name string) hostcalls.Status {
	return s.play("remove_header_map_value(%d, %s)", m, name).status
}

// GetBufferBytes implements hostcalls.Host.
func (s *Script) GetBufferBytes(b hostcalls.Buffer, start, most uint32) ([]byte, hostcalls.Status) {
	c := s.play("get_buffer_bytes(%d, %d, %d)", b, start, most)
	return c.data, c.status
}

// Log implements hostcalls.Host.
func (s *Script) Log(level hostcalls.Level, message string) hostcalls.Status {
	return s.play("log(%d, %s)", level, message).status
}

// GetLogLevel implements hostcalls.Host.
func (s *Script) GetLogLevel() (hostcalls.Level, hostcalls.Status) {
	c := s.play("get_log_level()")
	return hostcalls.Level(c.data[0]), c.status
}
