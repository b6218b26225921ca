package pluginconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// Encoding is how an Envoy of this behaviour reads the bytes of regular expressions and of the values that it compares.
func Encoding(b version.Behaviour) regex.Encoding {
	if b.RegexReadsUTF8 {
		return regex.UTF8
	}
	return regex.Latin1
}

// Write writes the configuration of the filter for one set of virtual hosts, as the JSON that [routing.Compile]
// reads. It fails for a regular expression that an Envoy of this behaviour refuses.
func Write(rc *plan.RouteConfig, behaviour version.Behaviour) ([]byte, error) {
	w := &configWriter{config: routing.Config{Version: routing.Version, Name: rc.Name, VirtualHosts: []routing.VirtualHost{}}}
	if behaviour.RepeatedHeadersJoined {
		w.config.RepeatedHeaders = routing.RepeatedHeadersJoined
	}
	w.regexes = regex.NewCollection(Encoding(behaviour))
	for _, h := range rc.VirtualHosts {
		w.host = h.Name
		out := routing.VirtualHost{Name: h.Name, Domains: h.Domains, Rules: []routing.Rule{}}
		for _, r := range h.Rules {
			out.Rules = append(out.Rules, w.rule(r))
		}
		w.config.VirtualHosts = append(w.config.VirtualHosts, out)
	}
	if w.err != nil {
		return nil, w.err
	}
	w.regexes.Write(&w.config)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(&w.config); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// configWriter collects the regular expressions, each once, while it writes rules.
type configWriter struct {
	config  routing.Config
	regexes *regex.Collection
	host    string // the current virtual host
	err     error
}

func (w *configWriter) rule(r *plan.Rule) routing.Rule {
	out := routing.Rule{Name: r.RouteName()}
	if p := r.Match.Path; p.Kind != plan.Present && (p.Kind != plan.Prefix || p.Value != "") {
		out.Path = &routing.PathMatch{IgnoreCase: p.IgnoreCase && p.Kind != plan.Regex}
		if p.Kind == plan.Separated {
			out.Path.Separated = &p.Value
		} else {
			out.Path.StringMatch = w.stringMatch(r, "path", p.Kind, p.Value)
		}
	}
	for _, h := range r.Match.Headers {
		out.Headers = append(out.Headers, routing.HeaderMatch{
			Name: strings.ToLower(h.Name), StringMatch: w.stringMatch(r, "header "+h.Name, h.Kind, h.Value), Invert: h.Invert, MissingAsEmpty: h.MissingAsEmpty,
		})
	}
	for _, q := range r.Match.Query {
		out.Query = append(out.Query, routing.QueryMatch{Name: q.Name, StringMatch: w.stringMatch(r, "query "+q.Name, q.Kind, q.Value)})
	}
	if len(r.Outcomes) == 1 {
		out.Outcome = r.Outcomes[0].ID
	} else {
		for _, o := range r.Outcomes {
			out.Split = append(out.Split, routing.Share{Outcome: o.ID, Weight: o.Weight})
		}
	}
	out.Never = slices.ContainsFunc(r.Match.Claims, func(c plan.ClaimMatch) bool { return !c.Invert })
	out.Fault = fault(r.Fault)
	return out
}

func (w *configWriter) stringMatch(r *plan.Rule, subject string, kind plan.MatchKind, value string) routing.StringMatch {
	switch kind {
	case plan.Exact:
		return routing.StringMatch{Exact: &value}
	case plan.Prefix:
		return routing.StringMatch{Prefix: &value}
	case plan.Regex:
		i := w.regex(r, subject, value)
		return routing.StringMatch{Regex: &i}
	default:
		return routing.StringMatch{}
	}
}

// regex returns the index of a pattern in Config.Regexes.
func (w *configWriter) regex(r *plan.Rule, subject, pattern string) int {
	i, err := w.regexes.Add(pattern, w.host+" "+subject)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("%s: regex %q: %w", r.String(), pattern, err)
	}
	return i
}

func fault(f *plan.Fault) *routing.Fault {
	if f == nil {
		return nil
	}
	out := &routing.Fault{}
	if d := f.Delay; d != nil {
		out.Delay = &routing.Delay{Milliseconds: uint32(d.Duration.Milliseconds()), PerMillion: d.Percentage.PerMillion()}
	}
	if a := f.Abort; a != nil {
		out.Abort = &routing.Abort{PerMillion: a.Percentage.PerMillion()}
		if a.IsGRPC {
			out.Abort.GRPCStatus = &a.GRPCStatus
		} else {
			out.Abort.HTTPStatus = &a.HTTPStatus
		}
	}
	return out
}
