package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
)

// subject is one Envoy under measurement.
type subject struct {
	name    string
	process *process.Process
	address string
	asked   []vm.Headers
	micros  []float64 // of processor time for a request, in each round
}

// inEnvoy measures the four ways for each number of rules.
func inEnvoy(o *options, b envoytest.Binary) error {
	for _, shape := range o.shapes {
		if err := shapeInEnvoy(o, b, shape); err != nil {
			return fmt.Errorf("%s: %w", shape.name, err)
		}
	}
	return nil
}

// shapeInEnvoy prints a table for one shape: a line for each number of rules, a column for each way.
func shapeInEnvoy(o *options, b envoytest.Binary, s *shape) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "%s: rules\tno filter\tleast filter\twithout contexts\tWaymark\tlist\tauto\tLua\tnaive\tWaymark/least\tleast/fewest\tWaymark/fewest\tlist/Waymark\tauto/best\tauto is\t\n", s.name)
	for _, n := range o.sizes {
		subjects, auto, err := start(o, b, s, n)
		if err == nil {
			err = measure(o, subjects)
		}
		for _, s := range subjects {
			err = errors.Join(err, s.process.Stop())
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "%d\t%.1f\t", n, median(subjects["none"].micros))
		for _, name := range ways[1:] {
			if strings.HasSuffix(name, fewest) {
				continue // it is in a quotient alone
			}
			if subjects[name] == nil {
				_, _ = fmt.Fprint(w, "-\t")
				continue
			}
			low, mid, high := added(subjects, name)
			_, _ = fmt.Fprintf(w, "%.1f (%.1f–%.1f)\t", mid, low, high)
		}
		_, waymark, _ := added(subjects, "waymark")
		_, least, _ := added(subjects, "floor")
		_, list, _ := added(subjects, "native")
		best := "waymark"
		if list < waymark {
			best = "native"
		}
		_, _ = fmt.Fprintf(w, "%.2f\t%.3f\t%.3f\t%.2f\t%.3f\t%s\t\n", waymark/least, ratio(subjects, "floor", "floor"+fewest), ratio(subjects, "waymark", "waymark"+fewest), list/waymark, ratio(subjects, "auto", best), auto)
	}
	return w.Flush()
}

// ways are the columns.
var ways = []string{"none", "floor", "floor" + fewest, "stateless", "waymark", "waymark" + fewest, "native", "auto", "lua", "naive"}

// fewest marks a way with the smallest number of rules, whatever that of the line is.
const fewest = " fewest"

// mostNaive is the number of rules beyond which the naive filter takes too long for a round.
const mostNaive = 1000

// stateless is the least filter that does not hear of contexts: their callbacks go by names that Envoy does not know.
func stateless(o *options) (path string, err error) {
	wasm, err := os.ReadFile(filepath.Join(o.modules, "floor.wasm"))
	if err != nil {
		return "", err
	}
	for _, name := range []string{"proxy_on_context_create", "proxy_on_delete"} {
		export := string(rune(len(name))) + name // as the table of exports has it
		if strings.Count(string(wasm), export) != 1 {
			return "", fmt.Errorf("floor.wasm does not export %s once", name)
		}
		wasm = bytes.Replace(wasm, []byte(name), []byte("never"+name[len("never"):]), 1)
	}
	path = filepath.Join(o.modules, "stateless.wasm")
	return path, os.WriteFile(path, wasm, 0o600)
}

// start runs one Envoy for each way. Without a filter there is a single rule, which takes all. With the least one there
// are the routes that Waymark has too, and a request finds its own as it does with Waymark: it says itself which that is.
func start(o *options, b envoytest.Binary, s *shape, n int) (subjects map[string]*subject, auto envoy.Strategy, err error) {
	subjects = map[string]*subject{}
	asked := map[int][]vm.Headers{} // by the number of rules
	for _, size := range []int{n, o.sizes[0]} {
		if asked[size], err = s.requests(size); err != nil {
			return subjects, auto, err
		}
	}
	for _, way := range ways {
		rules := n
		if strings.HasSuffix(way, fewest) {
			rules = o.sizes[0]
		}
		yaml, options := s.rules(rules), envoy.Options{Minor: b.Minor, Matching: envoy.MatchingFilter, Module: o.module}
		switch way {
		case "none":
			yaml, options.Matching = one(), envoy.MatchingNative
		case "floor", "floor" + fewest:
			options.Module = filepath.Join(o.modules, "floor.wasm")
		case "stateless":
			if options.Module, err = stateless(o); err != nil {
				return subjects, auto, err
			}
		case "naive":
			options.Module = filepath.Join(o.modules, "naive.wasm")
			if n > mostNaive {
				continue
			}
		case "native":
			options.Matching = envoy.MatchingNative
		case "auto":
			options.Matching = envoy.MatchingAuto
		case "lua":
			if s.lua == "" {
				continue
			}
		}
		p, err := planOf(yaml)
		if err != nil {
			return subjects, auto, err
		}
		ports, err := process.FreePorts(2)
		if err != nil {
			return subjects, auto, err
		}
		p.Listeners[0].Bind, p.Listeners[0].Port, options.AdminPort = "127.0.0.1", ports[0], ports[1]
		if options.Module, err = filepath.Abs(options.Module); err != nil {
			return subjects, auto, err
		}
		if way == "auto" {
			auto = envoy.Choices(p, options)[0].Strategy
		}
		bootstrap, err := envoy.Bootstrap(p, options)
		if err != nil {
			return subjects, auto, err
		}
		text, err := edited(bootstrap, p, s, way)
		if err != nil {
			return subjects, auto, err
		}
		e, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: ports[1], Concurrency: 1})
		if err != nil {
			return subjects, auto, err
		}
		subjects[way] = &subject{name: way, process: e, address: fmt.Sprintf("127.0.0.1:%d", ports[0]), asked: asked[rules]}
	}
	return subjects, auto, nil
}

// edited is the bootstrap as JSON, without access log, for the naive filter without our restrictions, and for Lua with its
// filter in the place of ours.
func edited(bootstrap proto.Message, p *plan.Plan, s *shape, way string) ([]byte, error) {
	text, err := envoy.JSON(bootstrap)
	if err != nil {
		return nil, err
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	eachObject(doc, func(v map[string]any) {
		delete(v, "access_log")
		if way == "naive" {
			delete(v, "capability_restriction_config") // it calls the host for each header, and has more of Go's runtime
		}
	})
	if way == "lua" && !withLua(doc, p, s) {
		return nil, errors.New("the bootstrap has no filter to replace")
	}
	return json.Marshal(doc)
}

// eachObject calls each for every object of a document, the outer ones first.
func eachObject(v any, each func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		each(v)
		for _, inner := range v {
			eachObject(inner, each)
		}
	case []any:
		for _, inner := range v {
			eachObject(inner, each)
		}
	}
}

// withLua puts Envoy's Lua filter in the place of ours: it looks the outcome up in a table, which is all that a script can
// do fast.
func withLua(doc any, p *plan.Plan, s *shape) (replaced bool) {
	var script strings.Builder
	script.WriteString("local ids = {\n")
	for i, r := range p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules {
		fmt.Fprintf(&script, "[%q]=%q,\n", strconv.Itoa(i), r.Outcomes[0].ID)
	}
	fmt.Fprintf(&script, `}
function envoy_on_request(handle)
  local headers = handle:headers()
  local path, tenant = headers:get(":path"), headers:get("x-tenant")
  local id = ids[%s]
  if id then headers:replace("x-waymark-route", id) end
end
`, s.lua)
	eachObject(doc, func(v map[string]any) {
		config, _ := v["typed_config"].(map[string]any)
		if kind, _ := config["@type"].(string); strings.HasSuffix(kind, ".wasm.v3.Wasm") {
			v["typed_config"] = map[string]any{
				"@type":               "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
				"default_source_code": map[string]any{"inline_string": script.String()},
			}
			replaced = true
		}
	})
	return replaced
}

// measure runs the rounds, each way once in every round and every other round backwards, after one that does not count.
func measure(o *options, subjects map[string]*subject) error {
	var order []*subject
	for _, name := range ways {
		if s := subjects[name]; s != nil {
			order = append(order, s)
		}
	}
	for round := range o.rounds + 1 {
		for _, s := range order {
			before, err := s.process.CPUTime()
			if err != nil {
				return err
			}
			count, err := load(s.address, s.asked, o.round)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			after, err := s.process.CPUTime()
			if err != nil {
				return err
			}
			if round > 0 {
				s.micros = append(s.micros, float64((after-before).Nanoseconds())/1e3/float64(count))
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// together is how many requests are sent at once, as streams of one HTTP/2 connection. Envoy decides them one after the
// other, but wakes up, reads and writes once for all: what is the same for every way is less, and the difference between
// them is seen better.
const together = 32

// load sends requests over one connection for a time, and counts them. Each must get a 200.
func load(address string, asked []vm.Headers, d time.Duration) (count int, err error) {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	c := newClient(connection)
	if err := c.start(); err != nil {
		return 0, err
	}
	for end := time.Now().Add(d); time.Now().Before(end); count += together {
		for i := range together {
			if err := c.ask(asked[(count+i)%len(asked)]); err != nil {
				return count, err
			}
		}
		if err := c.answers(together); err != nil {
			return count, err
		}
	}
	return count, nil
}

// client is one HTTP/2 connection without encryption.
type client struct {
	out     *bufio.Writer
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32 // the next one's number, less one
	credit  uint32 // bytes of bodies that were read and not given back to the connection's window
}

func newClient(c net.Conn) *client {
	k := &client{out: bufio.NewWriterSize(c, 64<<10)}
	k.framer = http2.NewFramer(k.out, bufio.NewReaderSize(c, 64<<10))
	k.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	k.encoder = hpack.NewEncoder(&k.block)
	return k
}

func (c *client) start() error {
	if _, err := c.out.WriteString(http2.ClientPreface); err != nil {
		return err
	}
	return errors.Join(c.framer.WriteSettings(), c.out.Flush())
}

func (c *client) ask(headers vm.Headers) error {
	c.block.Reset()
	for _, h := range headers {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	c.stream += 2
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream - 1, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
}

// answers reads so many responses to their end.
func (c *client) answers(n int) error {
	if c.credit > 0 {
		if err := c.framer.WriteWindowUpdate(0, c.credit); err != nil {
			return err
		}
		c.credit = 0
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	for n > 0 {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := c.framer.WriteSettingsAck(); err != nil {
					return err
				}
			}
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "200" {
				return fmt.Errorf("stream %d: status %s", f.StreamID, status)
			}
		case *http2.DataFrame:
			c.credit += f.Length
		case *http2.RSTStreamFrame:
			return fmt.Errorf("stream %d: reset, %s", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			return fmt.Errorf("the connection ends: %s", f.ErrCode)
		}
		if h := frame.Header(); h.Flags.Has(http2.FlagDataEndStream) && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			n--
		}
	}
	return nil
}

// added are the quartiles of what a way costs above no filter, taken in each round on its own: what slows the machine down
// for a while slows both.
func added(subjects map[string]*subject, name string) (low, mid, high float64) {
	all := slices.Clone(subjects[name].micros)
	for i, bare := range subjects["none"].micros {
		all[i] -= bare
	}
	return quantile(all, 0.25), median(all), quantile(all, 0.75)
}

// ratio is the median of what one way costs in proportion to another.
func ratio(subjects map[string]*subject, name, other string) float64 {
	all := slices.Clone(subjects[name].micros)
	for i, x := range subjects[other].micros {
		all[i] /= x
	}
	return median(all)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value below which a share q of the values lie.
func quantile(values []float64, q float64) float64 {
	v := slices.Sorted(slices.Values(values))
	x := q * float64(len(v)-1)
	i := int(x)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (x-float64(i))*(v[i+1]-v[i])
}
