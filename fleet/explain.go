package fleet

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/verdict"
)

// Question is what `waymark explain --server` asks.
type Question struct {
	// Proxy is the name of an Envoy that is connected; "" is any, where all get the same.
	Proxy    string            `json:"proxy,omitempty"`
	Requests []verdict.Request `json:"requests"`
	// All shows every rule in the text.
	All bool `json:"all,omitempty"`
}

// Answer has the explanations for the resources in force, as documents and as text.
type Answer struct {
	// Number is that of the change that is in force.
	Number   uint64                 `json:"number"`
	Requests []*explain.Explanation `json:"requests"`
	Text     string                 `json:"text"`
}

// Explain shows what happens to requests with the resources in force, and why.
func (p *Plane) Explain(q Question) (*Answer, error) {
	t, err := p.groupOf(q.Proxy)
	if err != nil {
		return nil, err
	}
	o := p.building(t.group)
	j, err := verdict.New(t.plan, o.Intake())
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	x := explain.New(t.plan, j, p.set, cmp.Or(p.options.Translate.ClusterDomain, "cluster.local"))
	out := &Answer{Number: p.number}
	p.mu.Unlock()
	var texts []string
	for _, r := range q.Requests {
		e := x.Explain(r)
		out.Requests = append(out.Requests, e)
		texts = append(texts, e.Text(explain.TextOptions{All: q.All}))
	}
	out.Text = strings.Join(texts, "\n")
	return out, nil
}

// groupOf is the translation for the group of a proxy.
func (p *Plane) groupOf(proxy string) (*translated, error) {
	var of []string // keys of groups
	var names []string
	for _, s := range p.server.Status() {
		names = append(names, s.ID)
		if key := s.Group.Key(); (proxy == "" || s.ID == proxy) && !slices.Contains(of, key) {
			of = append(of, key)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(of) == 0 && proxy != "":
		return nil, fmt.Errorf("no proxy %q is connected; these are: %s", proxy, strings.Join(names, ", "))
	case len(of) == 0:
		return nil, errors.New("no proxy is connected")
	case len(of) > 1:
		return nil, fmt.Errorf("the proxies get different configurations; name one of them: %s", strings.Join(names, ", "))
	}
	t := p.groups[of[0]]
	if t == nil || t.plan == nil {
		return nil, errors.New("the proxy has no configuration yet")
	}
	return t, nil
}

func (p *Plane) answer(w http.ResponseWriter, r *http.Request) {
	var q Question
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q); err != nil {
		http.Error(w, "this is not a question: "+err.Error(), http.StatusBadRequest)
		return
	}
	a, err := p.Explain(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	writeJSON(w, a)
}

// maxQuestion bounds a question, in bytes.
const maxQuestion = 16 << 20
