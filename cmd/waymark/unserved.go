package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
)

// A request whose host nothing serves gets an empty 404, which says nothing to somebody who tries. The log names the hosts
// that are served: once a minute for each host that is asked for, and no more than mostUnserved times a minute, since
// anybody can send requests.

const (
	mostUnserved  = 10                // entries in unservedPause
	mostAsked     = 1000              // hosts that are looked at in unservedPause
	unservedPause = time.Minute       //
	notFound      = "route_not_found" // Envoy's details of such an answer, and of one to a host that has no rule for it
)

// unserved looks for such requests.
type unserved struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	plan  *plan.Plan
	begun time.Time       // of the minute
	asked map[string]bool // hosts in it
	said  int             // entries in it
}

func newUnserved(log *slog.Logger) *unserved { return &unserved{log: log, now: time.Now} }

// serve is what is served from now on.
func (u *unserved) serve(p *plan.Plan) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.plan, u.begun = p, time.Time{}
}

// request looks at a request that no route was found for.
func (u *unserved) request(authority string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := u.now(); now.Sub(u.begun) >= unservedPause {
		u.begun, u.asked, u.said = now, map[string]bool{}, 0
	}
	if u.plan == nil || u.asked[authority] || len(u.asked) >= mostAsked || u.said >= mostUnserved {
		return
	}
	u.asked[authority] = true
	for rc := range u.plan.RouteConfigs() {
		for _, h := range rc.VirtualHosts {
			if (len(h.Rules) > 0 || h.RequireTLS) && effect.Domain(h, authority) != "" {
				return
			}
		}
	}
	u.said++
	hosts := hostsOf(u.plan)
	served := "no host has a rule"
	if len(hosts) > 0 {
		served = "the hosts that are served are " + named(hosts)
	}
	u.log.Info(fmt.Sprintf("404: no host serves %q; %s", shortened(authority), served), "hosts", len(hosts))
}

// shortened bounds a text that a client has sent.
func shortened(text string) string {
	const most = 100
	if len(text) > most {
		text = text[:most] + "..."
	}
	return diag.Printable(text)
}

// access looks at a request of the embedded data plane.
func (u *unserved) access(a proxy.Access) {
	if a.Status == http.StatusNotFound && a.Detail == notFound {
		u.request(a.Authority)
	}
}

// accessText is such a request in Envoy's access log, with --access-log text.
var accessText = regexp.MustCompile(`^\[[^\]]*\] "\S+ ([^/"\s]*)[^"]*" 404 \S+ ` + notFound + ` `)

// lines passes Envoy's output on, and looks at the requests in it.
func (u *unserved) lines(next io.Writer) io.Writer { return &unservedLines{next, u} }

type unservedLines struct {
	next io.Writer
	seen *unserved
}

// Write takes whole lines.
func (l *unservedLines) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(notFound)) {
		for line := range bytes.Lines(b) {
			if authority, ok := notFoundIn(line); ok {
				l.seen.request(authority)
			}
		}
	}
	return l.next.Write(b)
}

// notFoundIn is the authority of a request that no route was found for, in a line of Envoy's access log.
func notFoundIn(line []byte) (authority string, ok bool) {
	if !bytes.Contains(line, []byte(notFound)) {
		return "", false
	}
	if m := accessText.FindSubmatch(line); m != nil {
		return string(m[1]), true
	}
	var entry struct{ Authority, Details string }
	if json.Unmarshal(line, &entry) != nil || entry.Details != notFound {
		return "", false
	}
	return entry.Authority, true
}
