package diff

import (
	"fmt"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/explain"
)

// mostShown bounds the changes of one host that a text shows.
const mostShown = 20

// Text is the report for people. paint colours text, or leaves it as it is.
func (r *Report) Text(paint func(explain.Tone, string) string) string {
	b := &strings.Builder{}
	changed := 0
	for _, h := range r.Hosts {
		if h.Same {
			continue
		}
		changed++
		fmt.Fprintln(b, paint(explain.Heading, h.title()))
		for _, c := range h.Changes[:min(len(h.Changes), mostShown)] {
			fmt.Fprintf(b, "  %s\n", diag.Printable(c.Text))
			fmt.Fprintf(b, "    when:   %s\n", diag.Printable(c.When.String()))
			fmt.Fprintf(b, "    before: %s\n", c.Old.outcome(c))
			fmt.Fprintf(b, "    now:    %s%s\n", c.New.outcome(c), loss(c, paint))
		}
		if more := len(h.Changes) - mostShown; more > 0 {
			fmt.Fprintf(b, "  and %s\n", diag.Count(more, "more change", "more changes"))
		}
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(b, "not known: %s\n", diag.Printable(u))
	}
	if r.Same {
		fmt.Fprintf(b, "no change: %s compared\n", diag.Count(len(r.Hosts), "host", "hosts"))
	} else {
		fmt.Fprintf(b, "%s of %d changed\n", diag.Count(changed, "host", "hosts"), len(r.Hosts))
	}
	return b.String()
}

func (h *Host) title() string {
	title := fmt.Sprintf("%s on port %d", h.Domain, h.Port)
	if h.Proxy != "" {
		title += " (" + h.Proxy + ")"
	}
	return diag.Printable(title)
}

// outcome is what a side does with the witness.
func (s Side) outcome(c Change) string { return s.Decision.Outcome(c.Witness) }

func loss(c Change, paint func(explain.Tone, string) string) string {
	if !c.Loss {
		return ""
	}
	return "  " + paint(explain.Bad, "[loses its destination]")
}

// Markdown is the report for the comment on a pull request.
func (r *Report) Markdown() string {
	b := &strings.Builder{}
	if r.Same {
		fmt.Fprintf(b, "**Routes: no change** (%s compared)\n", diag.Count(len(r.Hosts), "host", "hosts"))
		return b.String()
	}
	changes := 0
	for _, h := range r.Hosts {
		changes += len(h.Changes)
	}
	fmt.Fprintf(b, "**Routes: %s**", diag.Count(changes, "change", "changes"))
	if r.Loss {
		b.WriteString(", and requests lose their destination")
	}
	b.WriteString("\n\n")
	for _, h := range r.Hosts {
		if h.Same {
			continue
		}
		fmt.Fprintf(b, "#### %s\n\n| request | before | now |\n| --- | --- | --- |\n", cell(h.title()))
		for _, c := range h.Changes[:min(len(h.Changes), mostShown)] {
			mark := ""
			if c.Loss {
				mark = " :warning:"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s%s |\n", cell(c.Text), cell(c.Old.outcome(c)), cell(c.New.outcome(c)), mark)
		}
		if more := len(h.Changes) - mostShown; more > 0 {
			fmt.Fprintf(b, "| and %d more | | |\n", more)
		}
		b.WriteString("\n")
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(b, "- not known: %s\n", cell(u))
	}
	return b.String()
}

// cell is a text in a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "`", "'", "<", "&lt;").Replace(diag.Printable(text))
}
