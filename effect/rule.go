package effect

import (
	"strconv"
	"strings"

	"waymark.dev/waymark/plan"
	regexes "waymark.dev/waymark/routing/regex"
)

// Rule is a rule with its regular expressions compiled.
type Rule struct {
	*plan.Rule
	rewriting *regexes.Rewrite // nil if the rule has no regex rewrite
	origins   []matcher
}

// Of compiles a rule. The rule must not change afterwards.
func Of(r *plan.Rule) *Rule {
	out := &Rule{Rule: r}
	if r.Route != nil && r.Route.RegexRewrite != nil {
		out.rewriting = regexes.NewRewrite(r.Route.RegexRewrite.Pattern, r.Route.RegexRewrite.Substitution)
	}
	if r.CORS != nil {
		for _, o := range r.CORS.AllowOrigins {
			out.origins = append(out.origins, originMatcher(o))
		}
	}
	return out
}

// Upstream returns the request that a destination gets: the received request after all operations of the rule and of
// the destination with this index. The headers that the router adds are left out.
//
// The order is Envoy's (VS-RW-08): the destination's header operations and host, if the rule has several destinations;
// then the rule's header operations; then its host; then its path. So %REQ(:PATH)% in a header is the original path.
func (r *Rule) Upstream(destination int, in Request) Request {
	out := in
	out.Headers = in.Headers.clone()
	d := r.Route.Destinations[destination]
	if r.Route.Weighted {
		apply(d.RequestHeaders, out.Headers, func(op string) string { return formatRequest(op, &out) })
		if d.HostRewrite != "" {
			out.Authority = d.HostRewrite
		}
	}
	apply(r.RequestHeaders, out.Headers, func(op string) string { return formatRequest(op, &out) })
	if r.Route.HostRewrite != "" {
		out.Authority = r.Route.HostRewrite
	}
	if path := r.rewrite(in.Path, r.Route.PrefixRewrite, r.rewriting); path != in.Path {
		out.Path = path
	}
	return out
}

// Response returns the headers that the client gets for the headers of a response: after the destination's operations,
// if there are several destinations, and then the rule's (VS-HDR-05, VS-HDR-06). destination is an index, or -1 for a
// redirect or direct response; request is the request that the destination got.
func (r *Rule) Response(destination int, request Request, headers Headers) Headers {
	out := headers.clone()
	format := func(op string) string { return formatResponse(op, &request, out) }
	if destination >= 0 && r.Route.Weighted {
		apply(r.Route.Destinations[destination].ResponseHeaders, out, format)
	}
	apply(r.ResponseHeaders, out, format)
	return out
}

// apply removes headers, then evaluates all values, then overwrites, then appends. A header whose value is empty is
// left out (VS-HDR-03, VS-HDR-04).
func apply(o plan.HeaderOperations, h Headers, operator func(string) string) {
	for _, name := range o.Remove {
		delete(h, strings.ToLower(name))
	}
	values := make([]string, len(o.Add))
	for i, a := range o.Add {
		values[i] = format(a.Value, operator)
	}
	for i, a := range o.Add {
		if a.Overwrite && values[i] != "" {
			h[strings.ToLower(a.Name)] = []string{values[i]}
		}
	}
	for i, a := range o.Add {
		if !a.Overwrite && values[i] != "" {
			h.add(strings.ToLower(a.Name), values[i])
		}
	}
}

// format replaces Envoy's command operators in a header value: %% becomes a percent sign; %NAME%, %NAME(argument)% and
// %NAME(argument):length% become what operator returns for the text between the percent signs. An argument may contain
// percent signs. Everything else stays as it is.
func format(text string, operator func(string) string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		text = text[i+1:]
		if strings.HasPrefix(text, "%") {
			b.WriteByte('%')
			text = text[1:]
			continue
		}
		end := operatorLength(text)
		if end < 0 {
			b.WriteByte('%')
			continue
		}
		b.WriteString(operator(text[:end]))
		text = text[end+1:]
	}
}

// Evaluated are the names of the command operators that this package evaluates, since they depend only on request and
// response. All others are empty.
var Evaluated = []string{"REQ", "RESP", "PROTOCOL"}

// formatRequest evaluates the operators that depend only on the request.
func formatRequest(operator string, r *Request) string {
	name, argument, most := parseOperator(operator)
	var value string
	switch name {
	case "REQ":
		value = r.alternative(argument)
	case "PROTOCOL":
		value = "HTTP/1.1"
	}
	if most > 0 && len(value) > most {
		value = value[:most]
	}
	return value
}

func formatResponse(operator string, r *Request, h Headers) string {
	name, argument, most := parseOperator(operator)
	if name != "RESP" {
		return formatRequest(operator, r)
	}
	main, other, _ := strings.Cut(strings.ToLower(argument), "?")
	value := h.first(main)
	if len(h[main]) == 0 {
		value = h.first(other)
	}
	if most > 0 && len(value) > most {
		value = value[:most]
	}
	return value
}

// parseOperator splits NAME(argument):length.
func parseOperator(operator string) (name, argument string, most int) {
	name, argument, length := splitOperator(operator)
	most, _ = strconv.Atoi(length)
	return name, argument, most
}

// alternative returns the header of an argument X?Y: X if the request has it, else Y.
func (r *Request) alternative(argument string) string {
	main, other, _ := strings.Cut(strings.ToLower(argument), "?")
	if value, ok := r.header(main); ok {
		return value
	}
	value, _ := r.header(other)
	return value
}

func (r *Request) header(name string) (string, bool) {
	switch name {
	case ":method":
		return r.Method, true
	case ":path":
		return r.Path, true
	case ":authority", "host":
		return r.Authority, true
	case ":scheme":
		return r.Scheme, true
	}
	v := r.Headers[name]
	return r.Headers.first(name), len(v) > 0
}

// rewrite returns the path after a rewrite; the query is kept. prefix replaces the part of the path that the rule's
// match compares: a prefix, or the whole path for exact and regex (VS-RW-01). rewriting replaces all its matches
// anywhere in the path (VS-RW-05).
func (r *Rule) rewrite(path, prefix string, rewriting *regexes.Rewrite) string {
	only, query := path, ""
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		only, query = path[:i], path[i:]
	}
	switch {
	case rewriting != nil:
		if only = rewriting.Replace(only); only == "" {
			return path
		}
		return only + query
	case prefix == "":
		return path
	}
	switch p := r.Match.Path; p.Kind {
	case plan.Exact, plan.Regex:
		return prefix + query
	case plan.Prefix, plan.Separated:
		return prefix + only[min(len(p.Value), len(only)):] + query
	default:
		return prefix + strings.TrimPrefix(only, "/") + query
	}
}

// Location returns the URL to which a redirect sends the client (VS-RED-02 to VS-RED-07). For a direct response with
// status 201 or 3xx it is the URL of the request itself, which Envoy adds (VS-DR-03), and for everything else "".
func (r *Rule) Location(in Request) string {
	if d := r.DirectResponse; d != nil && (d.Status == 201 || d.Status/100 == 3) {
		return in.Scheme + "://" + redirectHost(in, in.Scheme, false) + in.Path
	}
	t := r.Redirect
	if t == nil {
		return ""
	}
	scheme := t.Scheme
	if scheme == "" {
		scheme = in.Scheme
	}
	port := ""
	if t.Port != 0 {
		port = ":" + strconv.Itoa(int(t.Port))
	}
	host := t.Host
	if host == "" {
		host = redirectHost(in, scheme, port != "")
	}
	path := in.Path
	switch {
	case t.PrefixRewrite != "":
		path = r.rewrite(in.Path, t.PrefixRewrite, nil)
	case strings.Contains(t.Path, "?"):
		path = t.Path
	case t.Path != "":
		path = t.Path
		if i := strings.IndexByte(in.Path, '?'); i >= 0 {
			path += in.Path[i:]
		}
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return scheme + "://" + host + port + path
}

// redirectHost returns the host of the request with its port. The port is left out if the redirect has another port, or
// if the scheme changes and the port was the default port of the old scheme.
func redirectHost(in Request, scheme string, newPort bool) string {
	host := in.Authority
	i := strings.LastIndexByte(host, ':')
	if strings.HasPrefix(host, "[") {
		if i = strings.LastIndex(host, "]:"); i >= 0 {
			i++
		}
	}
	if i < 0 {
		return host
	}
	port, connection := host[i:], "http"
	if in.TLS {
		connection = "https"
	}
	remove := newPort
	if scheme != connection {
		remove = remove || connection == "https" && port == ":443" || connection == "http" && port == ":80"
	}
	if remove {
		return host[:i]
	}
	return host
}

// TLSLocation returns the URL to which a request without TLS is redirected by a virtual host that requires TLS. The
// host is kept as it is, with its port (GW-REDIR-01).
func TLSLocation(in Request) string { return "https://" + in.Authority + in.Path }
