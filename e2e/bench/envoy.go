package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
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

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "rules\tno filter\tleast filter\tWaymark\tnative list\tWaymark/least, added\tnative/Waymark, added\t")
	for _, n := range o.sizes {
		subjects, e := start(o, b, n, service.Addr().String())
		if e == nil {
			e = measure(o, subjects, n)
		}
		for _, s := range subjects {
			e = errors.Join(e, s.process.Stop())
		}
		if e != nil {
			return e
		}
		_, _ = fmt.Fprintf(w, "%d\t", n)
		medians := map[string]float64{}
		for _, s := range subjects {
			low, mid, high := quartiles(s.micros)
			medians[s.name] = mid
			_, _ = fmt.Fprintf(w, "%.1f (%.1f–%.1f)\t", mid, low, high)
		}
		bare := medians["none"]
		_, _ = fmt.Fprintf(w, "%.2f\t%.2f\t\n", (medians["waymark"]-bare)/(medians["floor"]-bare), (medians["native"]-bare)/(medians["waymark"]-bare))
	}
	return w.Flush()
}

// start runs one Envoy for each way. Without a filter and with the least one there is a single rule, which takes all.
func start(o *options, b envoytest.Binary, n int, upstream string) ([]*subject, error) {
	const one = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bench}
spec:
  hosts: [` + host + `]
  gateways: [gw]
  http:
  - route: [{destination: {host: upstream.test}}]
`
	all := rules(n)
	gatewayAlone, _, _ := strings.Cut(all, "---\n")
	var subjects []*subject
	for _, way := range []struct{ name, yaml, module string }{
		{"none", gatewayAlone + "---\n" + one, ""},
		{"floor", gatewayAlone + "---\n" + one, o.floor},
		{"waymark", all, o.module},
		{"native", all, ""},
	} {
		p, err := translate(way.yaml, upstream)
		if err != nil {
			return subjects, err
		}
		ports, err := process.FreePorts(2)
		if err != nil {
			return subjects, err
		}
		p.Listeners[0].Bind, p.Listeners[0].Port = "127.0.0.1", ports[0]
		options := envoy.Options{Minor: b.Minor, AdminPort: ports[1], Matching: envoy.MatchingNative}
		if way.module != "" {
			options.Matching = envoy.MatchingFilter
			if options.Module, err = filepath.Abs(way.module); err != nil {
				return subjects, err
			}
		}
		bootstrap, err := envoy.Bootstrap(p, options)
		if err != nil {
			return subjects, err
		}
		text, err := envoy.JSON(bootstrap)
		if err != nil {
			return subjects, err
		}
		e, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: ports[1], Concurrency: 1})
		if err != nil {
			return subjects, err
		}
		subjects = append(subjects, &subject{name: way.name, process: e, address: fmt.Sprintf("127.0.0.1:%d", ports[0])})
	}
	return subjects, nil
}

// measure runs the rounds, each way once in every round, after one that does not count.
func measure(o *options, subjects []*subject, n int) error {
	asked := requests(n)
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
