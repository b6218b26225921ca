package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

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
	micros  []float64 // of each round
}

// inEnvoy measures the four ways for each number of rules.
func inEnvoy(o *options, b envoytest.Binary) (err error) {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello") // Envoy may be gone
	})}
	go func() { _ = server.Serve(service) }() // ends when closed
	defer func() { err = errors.Join(err, server.Close()) }()

	for _, shape := range o.shapes {
		if e := shapeInEnvoy(o, b, shape, service.Addr().String()); e != nil {
			return fmt.Errorf("%s: %w", shape.name, e)
		}
	}
	return nil
}

// shapeInEnvoy prints a table for one shape: a line for each number of rules, a column for each way.
func shapeInEnvoy(o *options, b envoytest.Binary, s *shape, upstream string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "%s: rules\tno filter\tleast filter\tWaymark\tnative list\tauto\tLua\tWaymark/least, added\tnative/Waymark, added\tauto/best\tauto is\t\n", s.name)
	for _, n := range o.sizes {
		subjects, way, err := start(o, b, s, n, upstream)
		if err == nil {
			err = measure(o, subjects, s.requests(n))
		}
		for _, s := range subjects {
			err = errors.Join(err, s.process.Stop())
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "%d\t", n)
		medians := map[string]float64{}
		for _, name := range ways {
			i := slices.IndexFunc(subjects, func(s *subject) bool { return s.name == name })
			if i < 0 {
				_, _ = fmt.Fprint(w, "-\t")
				continue
			}
			low, mid, high := quartiles(subjects[i].micros)
			medians[name] = mid
			_, _ = fmt.Fprintf(w, "%.1f (%.1f–%.1f)\t", mid, low, high)
		}
		bare := medians["none"]
		best := min(medians["waymark"], medians["native"])
		_, _ = fmt.Fprintf(w, "%.2f\t%.2f\t%.3f\t%s\t\n", (medians["waymark"]-bare)/(medians["floor"]-bare), (medians["native"]-bare)/(medians["waymark"]-bare), medians["auto"]/best, way)
	}
	return w.Flush()
}

// ways are the columns.
var ways = []string{"none", "floor", "waymark", "native", "auto", "lua"}

// start runs one Envoy for each way. Without a filter and with the least one there is a single rule, which takes all.
func start(o *options, b envoytest.Binary, s *shape, n int, upstream string) (subjects []*subject, auto envoy.Way, err error) {
	const one = benchGateway + `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bench}
spec:
  hosts: [` + host + `]
  gateways: [gw]
  http:
  - route: [{destination: {host: upstream.test}}]
`
	all := s.rules(n)
	for _, way := range ways {
		yaml, options := all, envoy.Options{Minor: b.Minor, Matching: envoy.MatchingFilter, Module: o.module}
		switch way {
		case "none":
			yaml, options.Matching = one, envoy.MatchingNative
		case "floor":
			yaml, options.Module = one, o.floor
		case "native":
			options.Matching = envoy.MatchingNative
		case "auto":
			options.Matching = envoy.MatchingAuto
		case "lua":
			if s.lua == "" {
				continue
			}
		}
		p, err := translate(yaml, upstream)
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
			auto = envoy.Choices(p, options)[0].Way
		}
		bootstrap, err := envoy.Bootstrap(p, options)
		if err != nil {
			return subjects, auto, err
		}
		text, err := envoy.JSON(bootstrap)
		if err != nil {
			return subjects, auto, err
		}
		if way == "lua" {
			if text, err = withLua(text, p, s); err != nil {
				return subjects, auto, err
			}
		}
		e, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: ports[1], Concurrency: 1})
		if err != nil {
			return subjects, auto, err
		}
		subjects = append(subjects, &subject{name: way, process: e, address: fmt.Sprintf("127.0.0.1:%d", ports[0])})
	}
	return subjects, auto, nil
}

// withLua puts Envoy's Lua filter in the place of ours: it looks the outcome up in a table, which is all that a script can
// do fast.
func withLua(bootstrap []byte, p *plan.Plan, s *shape) ([]byte, error) {
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
	var doc any
	if err := json.Unmarshal(bootstrap, &doc); err != nil {
		return nil, err
	}
	replaced := false
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			config, _ := v["typed_config"].(map[string]any)
			if kind, _ := config["@type"].(string); strings.HasSuffix(kind, ".wasm.v3.Wasm") {
				v["typed_config"] = map[string]any{
					"@type":               "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
					"default_source_code": map[string]any{"inline_string": script.String()},
				}
				replaced = true
				return
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(doc)
	if !replaced {
		return nil, errors.New("the bootstrap has no filter to replace")
	}
	return json.Marshal(doc)
}

// measure runs the rounds, each way once in every round, after one that does not count.
func measure(o *options, subjects []*subject, asked []vm.Headers) error {
	for round := range o.rounds + 1 {
		for _, s := range subjects {
			before, err := s.process.CPUTime()
			if err != nil {
				return err
			}
			count, err := load(s.address, asked, o.round)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			after, err := s.process.CPUTime()
			if err != nil {
				return err
			}
			if round > 0 {
				s.micros = append(s.micros, float64((after-before).Microseconds())/float64(count))
			}
		}
	}
	return nil
}

// load sends requests over one connection, one after the other, for a time, and counts them. Each must get a 200.
func load(address string, asked []vm.Headers, d time.Duration) (count int, err error) {
	var texts []string
	for _, h := range asked {
		var b strings.Builder
		path, _ := h.Get(":path")
		authority, _ := h.Get(":authority")
		fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n", path, authority)
		for _, line := range h {
			if line[0][0] != ':' {
				fmt.Fprintf(&b, "%s: %s\r\n", line[0], line[1])
			}
		}
		texts = append(texts, b.String()+"\r\n")
	}
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r := bufio.NewReader(c)
	for end := time.Now().Add(d); time.Now().Before(end); count++ {
		text := texts[count%len(texts)]
		if _, err := io.WriteString(c, text); err != nil {
			return count, err
		}
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return count, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return count, err
		}
		if response.StatusCode != http.StatusOK {
			first, _, _ := strings.Cut(text, "\r\n")
			return count, fmt.Errorf("%s: status %d", first, response.StatusCode)
		}
	}
	return count, nil
}

// quartiles are the values below which a quarter, a half and three quarters of the values lie.
func quartiles(values []float64) (low, mid, high float64) {
	v := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 {
		x := q * float64(len(v)-1)
		i := int(x)
		if i+1 == len(v) {
			return v[i]
		}
		return v[i] + (x-float64(i))*(v[i+1]-v[i])
	}
	return at(0.25), at(0.5), at(0.75)
}
