package main

import (
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/lint"
)

// ignored is one --ignore: the findings of a code, of one object if it names one. An object is a resource,
// [KIND/]NAMESPACE/NAME, or a rule with all its matches, NAMESPACE/NAME.http[0].
type ignored struct {
	flag, code, object string
	count              int
}

func parseIgnored(flags []string) ([]*ignored, error) {
	var out []*ignored
	for _, flag := range flags {
		id, object, named := strings.Cut(flag, "=")
		code, err := codeOf(id)
		if err != nil {
			return nil, usageError("--ignore %s: %w", flag, err)
		}
		if named && !strings.Contains(object, "/") {
			return nil, usageError("--ignore %s: %q is not NAMESPACE/NAME, KIND/NAMESPACE/NAME or a rule such as default/shop.http[0]", flag, object)
		}
		out = append(out, &ignored{flag: flag, code: code.ID, object: object})
	}
	return out, nil
}

// has reports whether a finding is ignored.
func (g *ignored) has(f diag.Finding) bool {
	if f.Code != g.code {
		return false
	}
	return g.object == "" || slices.ContainsFunc(objectsOf(f), func(name string) bool {
		rest, ok := strings.CutPrefix(name, g.object)
		return ok && (rest == "" || strings.HasPrefix(rest, ".match["))
	})
}

// objectsOf are the names that a finding can be ignored by: of its resources, and of its rules.
func objectsOf(f diag.Finding) []string {
	kind, key, _ := strings.Cut(f.Object, " ")
	out := []string{key, kind + "/" + key}
	if rule, ok := strings.CutPrefix(f.Field, "spec."); ok {
		out = append(out, key+"."+rule)
	}
	if details, ok := f.Details.(lint.Details); ok {
		out = append(out, details.Rule)
		out = append(out, details.Rules...)
		for _, vs := range details.VirtualServices {
			out = append(out, vs, kind+"/"+vs)
		}
	}
	return out
}

// ignore takes findings out of a report, and says on standard error how many, so that an --ignore which is not needed any
// more is seen.
func (c *checked) ignore(flags []*ignored) {
	if len(flags) == 0 {
		return
	}
	all := 0
	c.Ignore(func(f diag.Finding) bool {
		for _, g := range flags {
			if g.has(f) {
				g.count++
				all++
				return true
			}
		}
		return false
	})
	var each []string
	for _, g := range flags {
		each = append(each, fmt.Sprintf("%s: %d", g.flag, g.count))
	}
	fmt.Fprintf(talk, "ignored: %s (%s)\n", diag.Count(all, "finding", "findings"), diag.Printable(strings.Join(each, ", ")))
}
