package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/fleet"
)

// operator asks a server by its admin address.
type operator struct{ address string }

// adminAddress is where 'waymark serve' answers operators unless it is told otherwise.
const adminAddress = "127.0.0.1:15014"

func (o *operator) add(c *cobra.Command, standard string) {
	c.Flags().StringVar(&o.address, "server", standard, "address of 'waymark serve --admin-listen', ADDRESS:PORT or unix:PATH")
}

// ask sends a request, and decodes the answer.
func (o *operator) ask(ctx context.Context, method, path string, question, into any) error {
	client := &http.Client{Timeout: 30 * time.Second}
	host := o.address
	if socket, ok := strings.CutPrefix(o.address, "unix:"); ok {
		host = "waymark"
		client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}
	}
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(body))
	if err != nil {
		return usageError("--server %q: %w", o.address, err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("no answer from --server %s: %w", o.address, err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(body)))
	}
	return json.Unmarshal(body, into)
}

func newStatus() *cobra.Command {
	var o operator
	var form string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show which Envoys have taken the rules of a control plane",
		Long: `Status asks 'waymark serve' which Envoys are connected, what each has taken, and what was refused.

  waymark status
  waymark status -o json
  kubectl port-forward deploy/waymark 15014 & waymark status --server 127.0.0.1:15014`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var s fleet.Status
			if form != "text" && form != "json" {
				return usageError("-o %q is neither text nor json", form)
			}
			if err := o.ask(c.Context(), http.MethodGet, "/api/v1/status", nil, &s); err != nil {
				return err
			}
			if form == "json" {
				return writeJSON(c.OutOrStdout(), s)
			}
			return writeStatus(c.OutOrStdout(), &s, time.Now())
		},
	}
	o.add(c, adminAddress)
	c.Flags().StringVarP(&form, "output", "o", "text", "text or json")
	return c
}

// writeStatus prints a table of proxies, and what is wrong.
func writeStatus(out io.Writer, s *fleet.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(w, "PROXY\tTYPE\tNAMESPACE\tENVOY\tCHANGE\tSTATE\tCONNECTED")
	for i := range s.Fleet {
		p := &s.Fleet[i]
		kind := p.Group.Proxy
		if kind == "" {
			kind = "gateway"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t1.%d\t%d\t%s\t%s\n", p.ID, kind, dash(p.Group.Namespace), p.Group.Minor, p.Number, stateOf(p, s, now), now.Sub(p.Connected).Round(time.Second))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nchange %d: taken by %d of %d proxies", s.Number, taken(s), s.Proxies.Connected)
	if s.Proxies.Refusing > 0 {
		fmt.Fprintf(out, ", refused by %d", s.Proxies.Refusing)
	}
	fmt.Fprintln(out)
	if r := s.Rollout; r != nil {
		fmt.Fprintf(out, "rollout: %s, wave %d of %s, %d proxies", r.State, r.Wave, strings.Join(r.Waves, ", "), r.Admitted)
		if r.Reason != "" {
			fmt.Fprintf(out, ": %s", r.Reason)
		}
		fmt.Fprintln(out)
	}
	for _, r := range s.Refused {
		fmt.Fprintf(out, "%s refuses %s %s: %s\n", r.Proxy, r.Type, strings.Join(r.Names, ", "), r.Message)
		for _, suspect := range r.Suspects {
			fmt.Fprintf(out, "  made of %s\n", suspect)
		}
	}
	for _, f := range s.Findings {
		if f.Severity != "notice" {
			fmt.Fprintln(out, strings.Join(slices.DeleteFunc([]string{f.Severity, f.Object, f.Field, f.Message}, func(s string) bool { return s == "" }), ": "))
		}
	}
	return nil
}

func taken(s *fleet.Status) (n int) {
	for _, p := range s.Fleet {
		if p.InSync && p.Number >= s.Number {
			n++
		}
	}
	return n
}

func stateOf(p *xds.Status, s *fleet.Status, now time.Time) string {
	switch {
	case len(p.Refusals) > 0:
		return "refused"
	case p.InSync && p.Number < s.Number:
		return "waits for its wave"
	case p.InSync:
		return "in sync"
	case p.Waiting != "":
		return fmt.Sprintf("waiting for %s, %s", p.Waiting, now.Sub(p.Since).Round(100*time.Millisecond))
	default:
		return "waiting"
	}
}

func newRollout() *cobra.Command {
	var o operator
	c := &cobra.Command{
		Use:   "rollout pause|resume|abort",
		Short: "Stop, continue or take back a change that is rolled out in waves",
		Long: `Rollout acts on the change that 'waymark serve --waves' rolls out now.

  waymark rollout pause    # no further wave begins
  waymark rollout resume   # the waves go on
  waymark rollout abort    # every proxy gets what it had before; the next change begins anew`,
		ValidArgs: []string{"pause", "resume", "abort"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != "pause" && args[0] != "resume" && args[0] != "abort" {
				return usageError("rollout takes one of pause, resume and abort")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var r xds.Rollout
			if err := o.ask(c.Context(), http.MethodPost, "/api/v1/rollout/"+args[0], nil, &r); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "the rollout of change %d is %s\n", r.Number, r.State)
			return err
		},
	}
	o.add(c, adminAddress)
	return c
}
