package plan

// EachValue calls visit with the values of a rule's header operations, including those of its destinations, in order.
func (r *Rule) EachValue(visit func(value string)) {
	collect := func(o HeaderOperations) {
		for _, a := range o.Add {
			visit(a.Value)
		}
	}
	collect(r.RequestHeaders)
	collect(r.ResponseHeaders)
	if r.Route != nil {
		for _, d := range r.Route.Destinations {
			collect(d.RequestHeaders)
			collect(d.ResponseHeaders)
		}
	}
}

// EachExpression calls visit with the regular expressions on path, headers and query parameters of a match; subject is
// what each is compared with, such as "header x-user".
func (m *Match) EachExpression(visit func(subject, pattern string)) {
	if m.Path.Kind == Regex {
		visit("path", m.Path.Value)
	}
	for _, h := range m.Headers {
		if h.Kind == Regex {
			visit("header "+h.Name, h.Value)
		}
	}
	for _, q := range m.Query {
		if q.Kind == Regex {
			visit("query parameter "+q.Name, q.Value)
		}
	}
}

// EachExpression calls visit with all regular expressions of a rule: those of its match, claims, rewrite and CORS
// origins.
func (r *Rule) EachExpression(visit func(what, pattern string)) {
	r.Match.EachExpression(visit)
	for _, c := range r.Match.Claims {
		if c.Kind == Regex {
			visit("a claim", c.Value)
		}
	}
	if r.Route != nil && r.Route.RegexRewrite != nil {
		visit("the rewrite", r.Route.RegexRewrite.Pattern)
	}
	if r.CORS != nil {
		for _, o := range r.CORS.AllowOrigins {
			if o.Kind == Regex {
				visit("an origin", o.Value)
			}
		}
	}
}

// IsCatchAll reports whether a match is a catch-all as VS-ORD-03 defines it: the path is the prefix "/" or the regex
// ".*", or there is no condition on the path, and there are no conditions on headers (method, scheme and authority
// included), query parameters or claims of a JWT. The prefix "" and the regex "/.*" match the same paths and are not
// catch-alls.
func (m *Match) IsCatchAll() bool {
	if len(m.Headers) > 0 || len(m.Query) > 0 || len(m.Claims) > 0 {
		return false
	}
	switch m.Path.Kind {
	case Prefix, Separated:
		return m.Path.Value == "/"
	case Regex:
		return m.Path.Value == ".*"
	default:
		return m.Path.Kind == Present
	}
}

// Field is the field of a match in a VirtualService from which the condition was made: headers.x-user,
// withoutHeaders.x-user, or method, authority and scheme, which Istio translates to conditions on headers as well.
func (h HeaderMatch) Field() string {
	switch {
	case h.Invert:
		return "withoutHeaders." + h.Name
	case h.Name == ":method", h.Name == ":authority", h.Name == ":scheme":
		return h.Name[1:]
	default:
		return "headers." + h.Name
	}
}

// Written is a comparison as a VirtualService has it: {"exact": value}, or with prefix or regex; {} for presence.
func (k MatchKind) Written(value string) map[string]string {
	switch k {
	case Exact:
		return map[string]string{"exact": value}
	case Prefix, Separated:
		return map[string]string{"prefix": value}
	case Regex:
		return map[string]string{"regex": value}
	default:
		return map[string]string{}
	}
}
