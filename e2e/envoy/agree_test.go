package envoy

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/rawecho"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/plan"
)

// reply is what came of a request: what the client got, and what the destination saw.
type reply struct {
	// Outcome is the status, or how the connection or the stream ended without one.
	Outcome  string
	Location string
	GRPC     string
	// Body of an answer by the proxy itself.
	Body string
	Seen *echo.Request
}

func (r reply) String() string {
	text, _ := json.Marshal(r) // plain values
	return string(text)
}

// newReply reads an answer. An echo of the request becomes what the destination saw.
func newReply(status int, h http.Header, body []byte) reply {
	out := reply{Outcome: fmt.Sprint(status), Location: h.Get("Location"), GRPC: h.Get("Grpc-Status")}
	var seen echo.Request
	if head, err := hex.DecodeString(h.Get("X-Seen")); err == nil && len(head) > 0 {
		body = head // there is none for HEAD
	}
	if json.Unmarshal(body, &seen) == nil && seen.Destination != "" {
		if len(seen.Headers["x-request-id"]) > 0 {
			seen.Headers["x-request-id"] = []string{"made anew"} // by every proxy, for every request
		}
		out.Seen = &seen
		return out
	}
	out.Body = string(body)
	return out
}

// patience is how long an answer is waited for.
const patience = 2 * time.Second

// askRaw sends bytes on a connection of their own, and reads one answer.
func askRaw(address, raw string) reply {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return reply{Outcome: err.Error()}
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))   // a socket has deadlines
	go func() { _, _ = io.WriteString(conn, raw) }() // the proxy may answer before it has read all
	method, _, _ := strings.Cut(raw, " ")
	r := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return reply{Outcome: "nothing"}
		} else if err != nil {
			return reply{Outcome: "closed"}
		}
		if response.StatusCode == http.StatusContinue {
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return reply{Outcome: fmt.Sprintf("%d, closed", response.StatusCode)}
		}
		return newReply(response.StatusCode, response.Header, body)
	}
}

// askH2 sends header fields as they are over HTTP/2 without TLS, and reads one answer. Settings are what the server said.
func askH2(address string, fields ...string) (out reply, settings map[http2.SettingID]uint32) {
	settings = map[http2.SettingID]uint32{}
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return reply{Outcome: err.Error()}, settings
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience)) // a socket has deadlines
	var block strings.Builder
	e := hpack.NewEncoder(&block)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a builder takes everything
	}
	f := http2.NewFramer(conn, conn)
	f.AllowIllegalWrites = true
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return reply{Outcome: err.Error()}, settings
	}
	_ = f.WriteSettings()  // as below: a connection that is gone is seen when it is read
	const frame = 16 << 10 // what every server takes
	text := block.String()
	first, rest := text[:min(frame, len(text))], text[min(frame, len(text)):]
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(first), EndStream: true, EndHeaders: rest == ""})
	for rest != "" {
		first, rest = rest[:min(frame, len(rest))], rest[min(frame, len(rest)):]
		_ = f.WriteContinuation(1, rest == "", []byte(first))
	}
	header, status := http.Header{}, 0
	decoder := hpack.NewDecoder(4096, func(h hpack.HeaderField) {
		if h.Name == ":status" {
			_, _ = fmt.Sscan(h.Value, &status) // 0 shows
		}
		header.Add(h.Name, h.Value)
	})
	var body []byte
	for {
		frame, err := f.ReadFrame()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return reply{Outcome: "nothing"}, settings
		} else if err != nil {
			return reply{Outcome: "closed"}, settings
		}
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			_ = frame.ForeachSetting(func(s http2.Setting) error { settings[s.ID] = s.Val; return nil })
		case *http2.RSTStreamFrame:
			return reply{Outcome: "reset"}, settings
		case *http2.GoAwayFrame:
			return reply{Outcome: "closed"}, settings
		case *http2.HeadersFrame:
			if _, err := decoder.Write(frame.HeaderBlockFragment()); err != nil {
				return reply{Outcome: err.Error()}, settings
			}
			ended = frame.StreamEnded()
		case *http2.DataFrame:
			body = append(body, frame.Data()...)
			ended = frame.StreamEnded()
		}
		if ended {
			return newReply(status, header, body), settings
		}
	}
}

// rawTestbed is [rulesTestbed] with destinations that take every request as it is.
func rawTestbed(t testing.TB, yaml string) *testbed {
	r := rulesTestbed(t, yaml)
	server, err := rawecho.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	for _, c := range r.plan.Clusters {
		ip, port := server.Address(c.Name)
		c.Localities = []plan.Locality{{Endpoints: []plan.Endpoint{{Address: ip, Port: port}}}}
	}
	return r
}

// compared is a proxy that answers requests for a comparison.
type compared struct {
	name, address string
}

// comparedEnvoys are Envoys of one version with the same rules, one for each way to match.
func comparedEnvoys(t testing.TB, b envoytest.Binary, yaml string, changes ...func(*envoy.Options)) []compared {
	module, _ := program.ReadModule(t)
	var out []compared
	for _, m := range matchings {
		r := rawTestbed(t, yaml)
		startEnvoy(t, b, r, module, append(slices.Clone(changes), matchingOf(m))...)
		out = append(out, compared{string(m), fmt.Sprintf("127.0.0.1:%d", r.ports[""])})
	}
	require.NotEmpty(t, out)
	return out
}
