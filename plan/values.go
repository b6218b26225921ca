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

// Operators are the command operators in a rule's header operations, in order and each once: NAME or NAME(argument).
func (r *Rule) Operators() []string {
	var out []string
	seen := map[string]bool{}
	r.EachValue(func(value string) {
		Format(value, func(operator string) string {
			if !seen[operator] {
				seen[operator] = true
				out = append(out, operator)
			}
			return ""
		})
	})
	return out
}
