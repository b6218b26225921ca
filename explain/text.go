package explain

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
)

// Tone is what a part of a text means, for its colour.
type Tone uint8

// The tones.
const (
	Heading Tone = iota
	Good
	Bad
	Faint
)

// TextOptions are how an explanation is written for people. The zero value writes what fits, without colours.
type TextOptions struct {
	// All writes every rule; else many that fail in the same way are counted.
	All bool
	// Paint colours a part of a line; nil leaves it as it is.
	Paint func(tone Tone, text string) string
}

// Text returns the explanation for people; the format may change.
func (e *Explanation) Text(o TextOptions) string {
	if o.Paint == nil {
		o.Paint = func(_ Tone, text string) string { return text }
	}
	t := &text{TextOptions: o}
	t.request(e.Request)
	if e.Decision.Kind == verdict.Differs {
		t.line("", "the listeners that have the host do not agree")
		for _, l := range e.Listeners {
			t.b.WriteString("\n")
			t.last = ""
			t.explanation(l)
		}
		return t.b.String()
	}
	t.explanation(e)
	return t.b.String()
}

// text is a text that is being written: lines of a label and what it says.
type text struct {
	TextOptions
	b    strings.Builder
	last string // label
}

// labelWidth is the width of the column of labels.
const labelWidth = 13

// line writes a line. Its label is left out if it is the last one that was written.
func (t *text) line(label, format string, args ...any) {
	if label == t.last {
		label = ""
	}
	pad := strings.Repeat(" ", max(1, labelWidth-len(label)))
	if label != "" {
		t.last = label
		label = t.Paint(Heading, label)
	}
	t.b.WriteString(strings.TrimRight(label+pad+fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *text) request(r verdict.Request) {
	scheme := r.Scheme
	switch {
	case scheme != "":
	case r.TLS:
		scheme = "https"
	default:
		scheme = "http"
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	line := fmt.Sprintf("%s %s://%s%s", method, scheme, r.Authority, r.Path)
	if r.GatewayPort != 0 {
		line += fmt.Sprintf(" on port %d", r.GatewayPort)
	}
	if r.TLS && r.SNI != routing.Host(r.Authority) {
		line += fmt.Sprintf(" with server name %q", r.SNI)
	}
	t.b.WriteString(t.Paint(Heading, diag.Printable(line)) + "\n")
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		for _, value := range r.Headers[name] {
			t.b.WriteString(diag.Printable("  "+name+": "+value) + "\n")
		}
	}
}

// explanation writes all but the request.
func (t *text) explanation(e *Explanation) {
	if l := e.Listener; l != nil {
		what := fmt.Sprintf("port %d", l.Port)
		if l.Proxy != "" {
			what += ", " + l.Proxy
		}
		if len(l.Gateways) > 0 {
			what += ", Gateway " + strings.Join(l.Gateways, ", ")
		}
		t.line("listener", "%s", diag.Printable(what))
	}
	if c := e.Chain; c != nil {
		label, what := "TCP", "the chain that "+c.Why
		if c.TLS != "" {
			label, what = "TLS", c.TLS+": the chain that "+c.Why
		}
		t.line(label, "%s", diag.Printable(what))
	}
	if h := e.VirtualHost; h != nil {
		what := fmt.Sprintf("%s (%s)", h.Domain, h.Why)
		for _, other := range h.PassedOver {
			what += fmt.Sprintf("; %s is %s", other.Domain, other.Why)
		}
		t.line("virtual host", "%s", diag.Printable(what))
	}
	t.tried(e)
	t.dropped(e)
	t.decision(e)
	t.near(e)
	for _, r := range e.Resources {
		t.line("from", "%s", t.Paint(Faint, diag.Printable(r.Name+"  "+place(r.File, r.Line))))
	}
}

// columns are the width of the columns of a list of rules and their places.
func columns(rules, places []string) (rule, place int) {
	for i := range rules {
		rule, place = max(rule, len(rules[i])), max(place, len(places[i]))
	}
	return rule, place
}

const (
	// mostAlike is how many rules that fail in the same way are written one after the other.
	mostAlike = 4
	// mostTried is how many rules are written at the beginning and at the end of the list.
	mostTried = 12
)

// tried writes the rules in order. Of many that fail by the same field, one after the other, most are counted; so are
// those in the middle of a long list.
func (t *text) tried(e *Explanation) {
	type row struct {
		rule, place, why string
		tone             Tone
		rules            int // how many the row stands for
	}
	var rows []row
	for i := 0; i < len(e.Tried); i++ {
		x := e.Tried[i]
		r := row{rule: x.Rule, place: place(x.File, x.Line), why: "takes the request", tone: Good, rules: 1}
		if x.Failed != nil {
			r.why, r.tone = x.Failed.String(), Faint
		}
		rows = append(rows, r)
		if t.All || x.Failed == nil {
			continue
		}
		alike := 1
		for i+alike < len(e.Tried) && e.Tried[i+alike].Failed != nil && e.Tried[i+alike].Failed.Field == x.Failed.Field {
			alike++
		}
		if alike > mostAlike {
			rows = append(rows, row{why: fmt.Sprintf("... %d more rules, of which the %s differs", alike-1, x.Failed.subject), tone: Faint, rules: alike - 1})
			i += alike - 1
		}
	}
	if !t.All && len(rows) > 2*mostTried+1 {
		more := 0
		for _, r := range rows[mostTried : len(rows)-mostTried] {
			more += r.rules
		}
		cut := row{why: fmt.Sprintf("... %d more rules that do not match", more), tone: Faint}
		rows = slices.Concat(rows[:mostTried], []row{cut}, rows[len(rows)-mostTried:])
	}
	var rules, places []string
	for _, r := range rows {
		rules, places = append(rules, r.rule), append(places, r.place)
	}
	width, placeWidth := columns(rules, places)
	for _, r := range rows {
		if r.rule == "" {
			t.line("rules", "%s", t.Paint(r.tone, r.why))
			continue
		}
		t.line("rules", "%s", t.Paint(r.tone, fmt.Sprintf("%-*s  %-*s  %s", width, diag.Printable(r.rule), placeWidth, diag.Printable(r.place), r.why)))
	}
}

func place(file string, line int) string { return diag.Place{File: file, Line: line}.String() }

// mostDropped is how many rules that the listener does not have are written.
const mostDropped = 8

func (t *text) dropped(e *Explanation) {
	for i, d := range e.Dropped {
		if i == mostDropped && !t.All {
			t.line("", "... %d more rules that are not on this listener", len(e.Dropped)-i)
			return
		}
		t.line("not here", "%s", t.Paint(Faint, diag.Printable(fmt.Sprintf("%s  %s  %s", d.Rule, place(d.File, d.Line), d.Why))))
	}
}

// decision writes what happens to the request.
func (t *text) decision(e *Explanation) {
	v := e.Decision
	if e.walk != nil {
		v = e.walk.Verdict
	}
	for i, c := range v.Clusters {
		what := c.Name
		if len(v.Clusters) > 1 {
			what = v.Share(i) + " " + what
		}
		t.line("goes to", "%s", t.Paint(Good, diag.Printable(what)))
		if v.Kind == verdict.Route {
			t.upstream(e.walk, i)
		}
	}
	if v.Kind == verdict.TCP && e.Chain != nil {
		t.line("by", "%s  %s", diag.Printable(e.Chain.Rule), diag.Printable(place(e.Chain.File, e.Chain.Line)))
	}
	answer := answer(v)
	switch w := e.walk; {
	case w == nil:
	case w.Exhausted:
		answer = "404 Not Found: the proxy gives up, since the expressions of the rules would take too many steps for this request"
	case v.Kind == verdict.NoRoute && w.Host != nil && len(w.Host.Rules) == 0:
		answer = "404 Not Found: no VirtualService has a rule for this virtual host"
	}
	if answer != "" {
		tone := Bad
		if v.Status < http.StatusBadRequest && v.Status != 0 {
			tone = Good
		}
		t.line("answer", "%s", t.Paint(tone, diag.Printable(answer)))
	}
	for _, n := range v.Notes() {
		t.line(n.What, "%s", diag.Printable(n.Text))
	}
	if e.walk != nil && e.walk.Rule() != nil {
		t.response(e.walk.Rule())
	}
	if len(v.Unknown) > 0 {
		t.line("not certain", "rules compare %s, which only the proxy knows", diag.Printable(strings.Join(v.Unknown, ", ")))
	}
	if len(v.Alike()) > 0 {
		t.line("the same", "on port %s", strings.Join(v.Alike(), ", "))
	}
	if there := v.There(); there != "" {
		t.line("", "%s", diag.Printable(there))
	}
}

// answer is what the proxy itself answers, in words; "" if a destination answers.
func answer(v *verdict.Verdict) string {
	out := strings.ReplaceAll(string(v.Kind), "_", " ")
	if v.Status != 0 {
		out = fmt.Sprintf("%d %s", v.Status, http.StatusText(v.Status))
	}
	switch v.Kind {
	case verdict.Route, verdict.TCP:
		return ""
	case verdict.NoRoute:
		out += ": no rule of the virtual host matches, and no other virtual host is looked at"
	case verdict.NoVirtualHost:
		out += ": no virtual host has the host"
	case verdict.NoFilterChain:
		out = "the connection is closed: no filter chain takes it"
	case verdict.TLSError:
		out = "the connection fails: one side speaks TLS, and the other does not"
	case verdict.UpgradeRefused:
		out += ": the upgrade is refused"
	case verdict.BadRequest:
		out += ": the proxy refuses it before it looks at rules"
	case verdict.Redirect, verdict.DirectResponse, verdict.TLSRedirect, verdict.PathRedirect, verdict.NoListener, verdict.Differs:
	}
	if v.Location != "" {
		out += ", location: " + v.Location
	}
	if v.Body != nil && *v.Body != "" {
		out += fmt.Sprintf(", body of %d bytes", len(*v.Body))
	}
	if v.GRPCStatus != "" {
		out += fmt.Sprintf(" (to gRPC: 200, grpc-status %s)", v.GRPCStatus)
	}
	return out
}

// upstream writes the request that a destination gets, if it is not the one that was sent.
func (t *text) upstream(w *verdict.Walk, destination int) {
	u := w.Verdict.Clusters[destination].Upstream
	var changes []string
	if u.Path != w.Sent.Path {
		changes = append(changes, "path "+u.Path)
	}
	if u.Authority != w.Sent.Authority {
		changes = append(changes, "authority "+u.Authority)
	}
	for _, name := range slices.Sorted(maps.Keys(u.Headers)) {
		if !slices.Equal(u.Headers[name], w.Sent.Headers[name]) {
			changes = append(changes, name+": "+strings.Join(u.Headers[name], ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Sent.Headers)) {
		if _, ok := u.Headers[name]; !ok {
			changes = append(changes, "without "+name)
		}
	}
	for _, c := range changes {
		t.line("", "  %s", diag.Printable(c))
	}
}

// response writes what the rule, or a destination, does with the headers of the response.
func (t *text) response(r *plan.Rule) {
	write := func(to string, o plan.HeaderOperations) {
		for _, a := range o.Add {
			verb := "adds"
			if a.Overwrite {
				verb = "sets"
			}
			t.line("response", "%s", diag.Printable(fmt.Sprintf("%s %s: %s%s", verb, a.Name, a.Value, to)))
		}
		for _, name := range o.Remove {
			t.line("response", "%s", diag.Printable(fmt.Sprintf("removes %s%s", name, to)))
		}
	}
	write("", r.ResponseHeaders)
	if r.Route != nil {
		for _, d := range r.Route.Destinations {
			write(", of "+d.Cluster, d.ResponseHeaders)
		}
	}
}

// mostNearest is how many of the nearest rules are written.
const mostNearest = 3

// near writes what is near if nothing matches.
func (t *text) near(e *Explanation) {
	for _, n := range e.Nearest[:min(len(e.Nearest), mostNearest)] {
		var missing []string
		for _, c := range n.conditions {
			missing = append(missing, c.String())
		}
		t.line("nearest", "%s  %s  %s", diag.Printable(n.Rule), diag.Printable(place(n.File, n.Line)), strings.Join(missing, "; "))
	}
	if len(e.NearHosts) > 0 {
		t.line("near hosts", "%s", diag.Printable(strings.Join(e.NearHosts, ", ")))
	}
}
