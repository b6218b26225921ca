package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/fleet"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/verdict"
)

func newExplain() *cobra.Command {
	var in input
	var intake intakeFlags
	var color colorFlag
	var requests, output string
	var headers []string
	var all bool
	var server operator
	var of string
	c := &cobra.Command{
		Use:   "explain -f FILE|DIR 'METHOD URL' | --requests FILE | -- curl ARGUMENT...",
		Short: "Show what happens to a request, and why",
		Long: `Explain shows which listener, virtual host and rules a request meets, in order, with the first condition that fails for
each rule, and what the rule does that takes the request. The proxy's own code decides; no proxy is needed.

  waymark explain -f examples/bookinfo 'GET http://reviews.bookinfo.example.com:8080/reviews/0' -H 'end-user: jason'
  waymark explain -f examples/bookinfo -- curl -H 'end-user: jaso' http://reviews.bookinfo.example.com:8080/reviews/0
  waymark explain -f examples/bookinfo --requests examples/bookinfo-requests.json -o json
  waymark explain --server 127.0.0.1:15014 'GET http://reviews.bookinfo.example.com:8080/reviews/0'

The request is the last argument: a URL, a method and a URL, or a curl command in quotes; or it is a curl command, as it
is, after --. The scheme of the URL says whether the connection has TLS. A port in the URL is that of the listener;
without one, every listener that has the host is asked, and if they differ, each is explained. --requests reads what
'waymark decide --requests' reads.

What is not among the files, such as a Gateway or a Service, is assumed; the last line says what.
docs/explain.md describes -o json.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			paint, err := color.paint()
			if err != nil {
				return err
			}
			o, err := in.asking(&intake)
			if err != nil {
				return err
			}
			list, fromURL, err := explained(c, &in, requests, headers)
			if err != nil {
				return err
			}
			if server.address != "" {
				return server.explain(c, fleet.Question{Proxy: of, Requests: list, All: all}, len(in.files) > 0, output)
			}
			w, failed, err := in.everything()
			if err != nil {
				return err
			}
			j, err := verdict.New(w.Plan, o.Intake())
			if err != nil {
				return err
			}
			x := explain.New(w.Plan, j, in.loaded, in.clusterDomain)
			explanations := make([]*explain.Explanation, len(list))
			for i, r := range list {
				if fromURL {
					r = assumeTLS(w, j, r)
				}
				explanations[i] = x.Explain(r)
			}
			write := func(to io.Writer) error {
				return writeExplanations(to, explanations, w.Assumed, explain.TextOptions{All: all, Paint: paint})
			}
			if output == "json" {
				write = func(to io.Writer) error {
					return writeJSON(to, map[string]any{"requests": explanations, "assumed": append([]string{}, w.Assumed...)})
				}
			}
			if err := write(c.OutOrStdout()); err != nil || !failed {
				return err
			}
			return &exitError{status: exitBadInput} // what is explained is what can be served
		},
	}
	in.addFlags(c)
	c.Args = nil // see explained
	f := c.Flags()
	f.StringVar(&requests, "requests", "", "JSON file with a list of requests, or - for standard input")
	f.StringArrayVarP(&headers, "header", "H", nil, "header of the request, 'NAME: VALUE' (repeatable)")
	f.BoolVar(&all, "all", false, "show every rule, however many there are")
	addOutputFlag(c, &output)
	color.add(c)
	intake.add(c, "plain, as Istio")
	server.add(c, "")
	f.StringVar(&of, "of", "", "with --server: name of the Envoy that is asked about, as 'waymark status' shows it (default: any, where all get the same)")
	return c
}

// explain asks a control plane about the rules in force.
func (o *operator) explain(c *cobra.Command, q fleet.Question, hasFiles bool, output string) error {
	if hasFiles {
		return usageError("-f and --server exclude each other: the server has the rules")
	}
	var a fleet.Answer
	if err := o.ask(c.Context(), http.MethodPost, "/api/v1/explain", q, &a); err != nil {
		return err
	}
	if output == "json" {
		return writeJSON(c.OutOrStdout(), map[string]any{"requests": a.Requests, "change": a.Number})
	}
	_, err := io.WriteString(c.OutOrStdout(), a.Text)
	return err
}

// explained reads the requests of a command line. All other arguments are files, as with the other commands. fromURL means
// that the request is one of the command line, which says less than one of a file.
func explained(c *cobra.Command, in *input, requests string, headers []string) (list []verdict.Request, fromURL bool, err error) {
	args := c.Flags().Args()
	var command []string
	if dash := c.ArgsLenAtDash(); dash >= 0 {
		args, command = args[:dash], args[dash:]
	} else if requests == "" && len(args) > 0 {
		args, command = args[:len(args)-1], args[len(args)-1:]
	}
	if len(args) > 0 && !c.Flags().Changed("file") {
		return nil, false, usageError("%q is not understood; see 'waymark explain --help'", args[0])
	}
	in.files = append(in.files, args...)
	switch {
	case requests != "" && len(command) > 0:
		return nil, false, usageError("give either --requests %s or the request %q", requests, strings.Join(command, " "))
	case requests != "" && len(headers) > 0:
		return nil, false, usageError("-H %q is for a request on the command line, and --requests has its own headers", headers[0])
	case requests != "":
		list, err = readRequests(requests)
		return list, false, err
	case len(command) == 0:
		return nil, false, usageError("give a request, such as 'GET https://shop.example.com/', or --requests FILE")
	}
	var r verdict.Request
	switch {
	case len(command) == 1:
		r, err = requestText(command[0], headers)
	case !isCurl(command[0]):
		err = usageError("after -- comes a curl command, and not %q", command[0])
	case len(headers) > 0:
		err = usageError("-H %q: give the headers of a curl command in the command", headers[0])
	default:
		r, err = curlRequest(command[1:])
	}
	return []verdict.Request{r}, true, err
}

// assumeTLS makes a request for https plain if Gateways are assumed and no listener terminates TLS for the host: the
// Gateway that is not among the files may.
func assumeTLS(w *gateway.Whole, j *verdict.Judge, r verdict.Request) verdict.Request {
	if !r.TLS || r.GatewayPort != 0 || len(w.Assumed) == 0 || j.Decide(r).Kind != verdict.TLSError {
		return r
	}
	r.TLS, r.SNI, r.Scheme = false, "", "https"
	w.Assumed = append(w.Assumed, "TLS: no listener terminates it; taken to be terminated before the proxy")
	return r
}

func writeExplanations(w io.Writer, explanations []*explain.Explanation, assumed []string, o explain.TextOptions) error {
	for i, e := range explanations {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := io.WriteString(w, e.Text(o)); err != nil {
			return err
		}
	}
	return writeAssumed(w, assumed)
}
