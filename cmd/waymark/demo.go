package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/verdict"
)

func newDemo() *cobra.Command {
	var in input
	var f runFlags
	var requests string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Serve the bookinfo example, send it telling requests, and show what happened",
		Long: `Demo serves an example with stand-ins for its services, sends a dozen telling requests and then a thousand to one split.
With -f and --requests, other rules and requests take the place of the example's. Where ports are in use, such as by
'waymark run', it takes free ones.

  waymark demo
  waymark demo --engine envoy
  waymark demo -f examples/bookinfo --requests examples/bookinfo-requests.json`,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := readRequests(requests)
			if err != nil {
				return err
			}
			log, err := newLogger(c.ErrOrStderr(), f.logFormat, isTerminal(os.Stderr))
			if err != nil {
				return err
			}
			if !c.Flags().Changed("admin-port") {
				if f.adminPort, err = freePort(); err != nil {
					return err
				}
			}
			records := make(chan record, splitRequests)
			r, err := f.build(c.Context(), &in, log, func(a proxy.Access) { records <- record{a.Rule, a.Detail} }, &envoyRecords{records: records})
			if err != nil {
				return err
			}
			r.beside = true
			err = r.start(c.Context(), &settling{look: func() set { return set{} }})
			if err == nil {
				err = r.demonstrate(c.Context(), c.OutOrStdout(), f.engine, list, records)
			}
			last, cancel := context.WithTimeout(c.Context(), 5*time.Second)
			defer cancel()
			return errors.Join(err, r.close(last))
		},
	}
	in.addFlags(c, "examples/bookinfo")
	f.add(c, "demo")
	_ = c.Flags().Set("listen", "127.0.0.1:0") // the flag exists
	c.Flags().Lookup("admin-port").DefValue = "a free one"
	c.Flags().StringVar(&requests, "requests", "examples/bookinfo-requests.json", "JSON file with the requests to send")
	return c
}

// record is an entry of the engine's access log.
type record struct {
	Rule    string `json:"rule"`
	Details string `json:"details"`
}

// envoyRecords reads Envoy's output: each access log line is a JSON object, all else is talk.
type envoyRecords struct {
	records chan<- record
	rest    []byte
}

func (e *envoyRecords) Write(b []byte) (int, error) {
	e.rest = append(e.rest, b...)
	for {
		line, rest, ok := bytes.Cut(e.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		e.rest = rest
		var r record
		if json.Unmarshal(line, &r) == nil {
			e.records <- r
		}
	}
}

// recordWait bounds the wait for a line of the access log. Envoy writes it when a buffer's time is up.
const recordWait = 5 * time.Second

// next is the record of the request that was sent last.
func next(records <-chan record) (record, error) {
	select {
	case r := <-records:
		return r, nil
	case <-time.After(recordWait):
		return record{}, errors.New("the access log has no line for a request")
	}
}

// splitRequests is how many requests the split gets.
const splitRequests = 1000

// demonstrate sends the requests and prints what came of each.
func (r *service) demonstrate(ctx context.Context, w io.Writer, engine string, list []verdict.Request, records <-chan record) error {
	if len(r.plan.Listeners) != 1 {
		return fmt.Errorf("the demo needs one listener, the files have %d", len(r.plan.Listeners))
	}
	address := r.engine.address(r.plan.Listeners[0])
	judge, err := verdict.New(r.plan, effect.Intake{})
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	what := map[string]string{"wasm": "the filter's module on the embedded data plane", "envoy": "a real Envoy with the filter's module"}[engine]
	fmt.Fprintf(w, "Serving %s on %s\nthrough %s.\n\n", strings.Join(r.in.files, " and "), address, what)
	writeFitting(w, fmt.Sprintf("%-28s %s", "REQUEST", "RULE"))
	writeFitting(w, "  STATUS TIME  URL -> ANSWERED BY")
	var split *verdict.Request
	for i, q := range list {
		q.GatewayPort = r.plan.Listeners[0].Port
		v := judge.Decide(q)
		if len(v.Clusters) > 1 && split == nil {
			split = &list[i]
		}
		status, destination, took, err := send(ctx, client, address, q)
		if err != nil {
			return err
		}
		seen, err := next(records)
		if err != nil {
			return err
		}
		if destination == "" {
			destination = "(" + strings.ReplaceAll(seen.Details, "_", " ") + ")"
		}
		writeFitting(w, fmt.Sprintf("%-28s %s", q.Name, dash(seen.Rule)))
		writeFitting(w, fmt.Sprintf("  %3d %5dms  %s -> %s", status, took.Milliseconds(), line(q), destination))
	}
	if split == nil {
		return nil
	}
	if err := r.chart(ctx, w, client, address, *split); err != nil {
		return err
	}
	files := "-f " + strings.Join(r.in.files, " -f ")
	fmt.Fprintf(w, `
What to try next:
  Serve it until Ctrl-C, and change a weight in the YAML meanwhile
    %[1]s run %[2]s --backends demo
    curl -H 'Host: %[3]s' localhost:%[4]d%[5]s
  Print the bootstrap for an Envoy of your own
    %[1]s translate %[2]s
  See the same through a real Envoy
    %[1]s demo %[2]s --engine envoy
`, os.Args[0], files, split.Authority, split.GatewayPort, split.Path)
	return nil
}

// demoWidth is the width of a terminal that the demo fits.
const demoWidth = 80

// writeFitting writes a line, and cuts what is beyond the width of a terminal.
func writeFitting(w io.Writer, text string) {
	if r := []rune(text); len(r) > demoWidth {
		text = string(r[:demoWidth-3]) + "..."
	}
	_, _ = fmt.Fprintln(w, strings.TrimRight(text, " ")) // nobody is there to read it
}

func line(q verdict.Request) string {
	return q.Authority + q.Path
}

// send sends one request; destination is which stand-in answered.
func send(ctx context.Context, client *http.Client, address string, q verdict.Request) (status int, destination string, took time.Duration, err error) {
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+q.Path, nil)
	if err != nil {
		return 0, "", 0, err
	}
	request.Host = q.Authority
	for name, values := range q.Headers {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	begun := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, "", 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, "", 0, err
	}
	return response.StatusCode, response.Header.Get("X-Service"), time.Since(begun), nil
}

// chart sends many requests to a split and shows the shares as bars.
func (r *service) chart(ctx context.Context, w io.Writer, client *http.Client, address string, q verdict.Request) error {
	counts := map[string]int{}
	for range splitRequests {
		_, destination, _, err := send(ctx, client, address, q)
		if err != nil {
			return err
		}
		counts[destination]++
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(w)
	writeFitting(w, fmt.Sprintf("%d requests to %s, weights %s:", splitRequests, line(q), weights(r.plan, q)))
	block := "#"
	if hasUTF8(os.Getenv) {
		block = "\u2588" // a full block
	}
	for _, name := range names {
		share := float64(counts[name]) / splitRequests
		writeFitting(w, fmt.Sprintf("  %-14s %5.1f %%  %s", name, 100*share, strings.Repeat(block, int(share*50+0.5))))
	}
	return nil
}

// hasUTF8 reports whether the locale, as the environment has it, encodes characters in UTF-8.
func hasUTF8(environment func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(environment(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// weights are the shares that the rule asks for.
func weights(p *plan.Plan, q verdict.Request) string {
	j, err := verdict.New(p, effect.Intake{})
	if err != nil {
		return err.Error()
	}
	var out []string
	q.GatewayPort = p.Listeners[0].Port
	for _, c := range j.Decide(q).Clusters {
		out = append(out, fmt.Sprint(c.Weight))
	}
	return strings.Join(out, ":")
}
