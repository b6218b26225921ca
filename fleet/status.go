package fleet

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waymark.dev/waymark/envoy/xds"
)

// Status is the state of the fleet, as `waymark status` prints it.
type Status struct {
	// Number is that of the latest change.
	Number uint64 `json:"number"`
	// Proxies are counted by what they do; Fleet has each of them.
	Proxies counts       `json:"proxies"`
	Fleet   []xds.Status `json:"fleet"`
	Rollout *xds.Rollout `json:"rollout,omitempty"`
	// Refused is what proxies refuse, with the objects that it was made of.
	Refused []Refused `json:"refused,omitempty"`
	// Findings are what is wrong with the resources.
	Findings []Finding `json:"findings"`
}

// Refused is a refusal of one proxy.
type Refused struct {
	Proxy    string    `json:"proxy"`
	Type     string    `json:"type"`
	Names    []string  `json:"names"`
	Message  string    `json:"message"`
	Suspects []Suspect `json:"suspects"`
}

// Finding is a finding about a resource.
type Finding struct {
	Severity string `json:"severity"`
	Code     string `json:"code,omitempty"`
	Object   string `json:"object,omitempty"`
	Field    string `json:"field,omitempty"`
	Message  string `json:"message"`
}

type counts struct {
	Connected int `json:"connected"`
	InSync    int `json:"inSync"`
	Waiting   int `json:"waiting"`
	Refusing  int `json:"refusing"`
}

func (n *counts) add(s *xds.Status) {
	n.Connected++
	switch {
	case len(s.Refusals) > 0:
		n.Refusing++
	case s.InSync:
		n.InSync++
	default:
		n.Waiting++
	}
}

// Status is the state of the fleet now.
func (p *Plane) Status() Status {
	out := Status{Fleet: p.server.Status()}
	for i := range out.Fleet {
		out.Proxies.add(&out.Fleet[i])
	}
	if r := p.server.Rollout(); r.State != "" {
		out.Rollout = &r
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out.Number = p.number
	for _, s := range out.Fleet {
		for _, r := range s.Refusals {
			out.Refused = append(out.Refused, Refused{s.ID, r.Type.Short(), r.Names, strings.TrimSpace(r.Message), suspects(p.groups[s.Group.Key()], r)})
		}
	}
	for _, f := range p.all() {
		finding := Finding{Severity: string(f.Severity), Code: f.Code, Field: f.Field, Message: f.Message}
		if f.About != nil {
			finding.Object = f.About.String()
		}
		out.Findings = append(out.Findings, finding)
	}
	return out
}

// Health answers those who watch over the plane, and lets nobody change anything: /healthz, /readyz and /metrics.
func (p *Plane) Health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.Ready() {
			http.Error(w, "the resources are not known yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// Handler is [Plane.Health] with what operators ask, below /api/v1: `waymark status`, `waymark rollout` and `waymark explain
// --server`.
func (p *Plane) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", p.Health())
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, p.Status()) })
	mux.HandleFunc("POST /api/v1/explain", p.answer)
	for name, do := range map[string]func() error{
		"pause": func() error { return p.server.Pause("by hand") }, "resume": p.server.Resume, "abort": p.server.Abort,
	} {
		mux.HandleFunc("POST /api/v1/rollout/"+name, func(w http.ResponseWriter, _ *http.Request) {
			if err := do(); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			writeJSON(w, p.server.Rollout())
		})
	}
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("content-type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	_ = e.Encode(v) // whoever asked has gone
}

// Ready reports whether there are resources, so that proxies get what they need.
func (p *Plane) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set != nil
}
