package plan

import (
	"encoding/json"
	"fmt"
	"strings"

	"waymark.dev/waymark/routing"
)

// PluginConfig is the configuration of the filter for one set of virtual hosts, as the JSON that [routing.Compile]
// reads. joinRepeated compares repeated headers joined by commas, as Envoy before 1.39 does.
func (rc *RouteConfig) PluginConfig(joinRepeated bool) ([]byte, error) {
	c := routing.Config{Version: routing.Version, Name: rc.Name, VirtualHosts: []routing.VirtualHost{}}
	if joinRepeated {
		c.RepeatedHeaders = routing.RepeatedHeadersJoined
	}
	for _, h := range rc.VirtualHosts {
		out := routing.VirtualHost{Name: h.Name, Domains: h.Domains, Rules: []routing.Rule{}}
		for _, r := range h.Rules {
			out.Rules = append(out.Rules, r.config())
		}
		c.VirtualHosts = append(c.VirtualHosts, out)
	}
	return json.Marshal(&c)
}

func (r *Rule) config() routing.Rule {
	out := routing.Rule{Name: r.RouteName()}
	if p := r.Match.Path; p.Kind != Present && !(p.Kind == Prefix && p.Value == "") {
		out.Path = &routing.PathMatch{IgnoreCase: p.IgnoreCase && p.Kind != Regex}
		if p.Kind == Separated {
			out.Path.Separated = &p.Value
		} else {
			out.Path.StringMatch = stringMatch(p.Kind, p.Value)
		}
	}
	for _, h := range r.Match.Headers {
		out.Headers = append(out.Headers, routing.HeaderMatch{
			Name: strings.ToLower(h.Name), StringMatch: stringMatch(h.Kind, h.Value), Invert: h.Invert, MissingAsEmpty: h.MissingAsEmpty,
		})
	}
	for _, q := range r.Match.Query {
		out.Query = append(out.Query, routing.QueryMatch{Name: q.Name, StringMatch: stringMatch(q.Kind, q.Value)})
	}
	if len(r.Outcomes) == 1 {
		out.Outcome = r.Outcomes[0].ID
	} else {
		for _, o := range r.Outcomes {
			out.Split = append(out.Split, routing.Share{Outcome: o.ID, Weight: o.Weight})
		}
	}
	out.Fault = r.Fault.config()
	return out
}

func stringMatch(kind MatchKind, value string) routing.StringMatch {
	switch kind {
	case Exact:
		return routing.StringMatch{Exact: &value}
	case Prefix:
		return routing.StringMatch{Prefix: &value}
	case Regex:
		return routing.StringMatch{Regex: &value}
	default:
		return routing.StringMatch{}
	}
}

func (f *Fault) config() *routing.Fault {
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

// CheckIDs makes sure that no two outcomes of different content share an id.
func (p *Plan) CheckIDs() error {
	seen := map[string]string{}
	for _, l := range p.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				for _, r := range h.Rules {
					for _, o := range r.Outcomes {
						what := fmt.Sprintf("%s[%d]", r.Ref(), o.Destination)
						if other, ok := seen[o.ID]; ok && other != what {
							return fmt.Errorf("outcomes %s and %s have the same id %s; rename one of the resources", other, what, o.ID)
						}
						seen[o.ID] = what
					}
				}
			}
		}
	}
	return nil
}
