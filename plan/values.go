package plan

// EachValue visits the values of a rule's header operations, those of its destinations included, in order.
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

// EachExpression visits the regular expressions of a match, with what they are compared with.
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

// EachExpression visits all regular expressions of a rule, those of its rewrite and its origins included.
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
