package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	sigsjson "sigs.k8s.io/json"

	"waymark.dev/waymark/verdict"
)

func newDecide() *cobra.Command {
	var in input
	var intake intakeFlags
	var requests, output string
	c := &cobra.Command{
		Use:   "decide -f FILE|DIR --requests FILE",
		Short: "Show what happens to requests, without a proxy",
		Long: `Decide shows for each request which rule takes it, where it goes, and what becomes of it.

  waymark decide -f examples/bookinfo --requests examples/bookinfo-requests.json
  waymark decide -f examples/bookinfo --requests examples/bookinfo-requests.json -o json
  echo '[{"gatewayPort": 8080, "authority": "bookinfo.example.com", "path": "/reviews/1"}]' | waymark decide -f examples/bookinfo --requests -

Requests are a JSON list of objects. All fields are optional:

  name         printed with -o json
  method       GET if it is left out
  authority    Host, with or without a port
  path         with the query; / if it is left out
  headers      an object; a value is a string, or a list for a header that is repeated
  gatewayPort  port of the listener; with --proxy sidecar, of the service. Without it, every listener that has the host is
               asked: if their answers differ, each is shown
  tls          true for https
  sni          server name of the TLS handshake
  alpn         ignored
  scheme       http or https, if it is not what tls and x-forwarded-proto say
  client       IP address of the client, for x-forwarded-for
  protocol     HTTP/1.1 (default) or HTTP/2`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			o, err := in.asking(&intake)
			if err != nil {
				return err
			}
			if requests == "" {
				return usageError("give the requests with --requests FILE")
			}
			w, failed, err := in.everything()
			if err != nil {
				return err
			}
			j, err := verdict.New(w.Plan, o.Intake())
			if err != nil {
				return err
			}
			list, err := readRequests(requests)
			if err != nil {
				return err
			}
			verdicts := make([]*verdict.Verdict, len(list))
			for i, r := range list {
				verdicts[i] = j.Decide(r)
			}
			if err := printVerdicts(c.OutOrStdout(), output, list, verdicts, w.Assumed); err != nil || !failed {
				return err
			}
			return &exitError{status: exitBadInput} // the verdicts are those of what can be served
		},
	}
	in.addFlags(c)
	c.Flags().StringVar(&requests, "requests", "", "JSON file with a list of requests, or - for standard input")
	addOutputFlag(c, &output)
	intake.add(c, "plain, as Istio")
	return c
}

func addOutputFlag(c *cobra.Command, form *string) {
	c.Flags().StringVarP(form, "output", "o", "text", "text or json")
}

func checkOutput(form string) error {
	if form != "json" && form != "text" {
		return usageError("-o %q is neither json nor text", form)
	}
	return nil
}

// writeJSON writes indented JSON, for people and programs.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(v)
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%q is not understood; see 'waymark %s --help'", args[0], c.Name())
	}
	return nil
}

func readRequests(file string) ([]verdict.Request, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, &exitError{exitBadInput, err}
	}
	var list []verdict.Request
	// Strictly: a field that is misspelt, in another case or repeated would change the question in silence.
	strict, err := sigsjson.UnmarshalStrict(data, &list)
	if err = errors.Join(append(strict, err)...); err != nil {
		return nil, &exitError{exitBadInput, fmt.Errorf("%s: not a list of requests: %w", file, err)}
	}
	var given []map[string]json.RawMessage
	_ = json.Unmarshal(data, &given) // as above
	for i, r := range list {
		if _, ok := given[i]["path"]; !ok && r.Path == "" && r.Method != http.MethodConnect {
			list[i].Path = "/"
		}
		if r.Protocol != "" && r.Protocol != verdict.HTTP1 && r.Protocol != verdict.HTTP2 {
			return nil, &exitError{exitBadInput, fmt.Errorf("%s: request %d: protocol: %q is neither %s nor %s", file, i, r.Protocol, verdict.HTTP1, verdict.HTTP2)}
		}
	}
	return list, nil
}

func printVerdicts(w io.Writer, output string, requests []verdict.Request, verdicts []*verdict.Verdict, assumed []string) error {
	if output == "json" {
		return writeJSON(w, map[string]any{"verdicts": verdicts, "assumed": append([]string{}, assumed...)})
	}
	for i, v := range verdicts {
		if _, err := fmt.Fprintln(w, v.Text(requests[i])); err != nil {
			return err
		}
	}
	return writeAssumed(w, assumed)
}

// mostAssumed is how many assumptions the last line of a text names.
const mostAssumed = 4

// writeAssumed writes what was taken to be there, as the last line of a text.
func writeAssumed(w io.Writer, assumed []string) error {
	if len(assumed) == 0 {
		return nil
	}
	line := "assumed: " + strings.Join(assumed[:min(len(assumed), mostAssumed)], "; ")
	if more := len(assumed) - mostAssumed; more > 0 {
		line += fmt.Sprintf("; and %d more, which -o json names", more)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
