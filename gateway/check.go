package gateway

import (
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/plan"
)

// Report is what Istio's validation says of a set of files.
type Report struct {
	// Resources are Istio's resources that Waymark reads, in the order of the files.
	Resources []Checked
	// Other problems belong to no such resource: files that cannot be read, broken objects of Kubernetes, notices.
	Other Problems

	lines map[string][]string   // of each file; those of Secrets are left out
	marks map[plan.Source][]int // of each line that was shown: where every 1024th character begins
	set   *Resources
}

// Checked is one resource and what is wrong with it.
type Checked struct {
	Kind, Namespace, Name string
	// Findings are sorted by place.
	Findings Problems
}

// Verdict of Istio on a resource.
type Verdict string

// A resource is ok, or there are warnings, or Istio refuses it.
const (
	VerdictOK      Verdict = "ok"
	VerdictWarning Verdict = "warning"
	VerdictError   Verdict = "error"
)

// Verdict is the worst of what Istio's validation finds. What is wrong with the document alone is left out, and what
// Waymark finds beyond: Istio's validation does not know of it.
func (c *Checked) Verdict() Verdict {
	out := VerdictOK
	for _, f := range c.Findings {
		switch {
		case isBeyond(f.Code), isOwn(f.Code):
		case f.Severity == Error:
			return VerdictError
		default:
			out = VerdictWarning
		}
	}
	return out
}

// Check reads the resources in files and folders ("-" is stdin), as Read does, and reports everything that Istio's
// validation refuses or warns of, and nothing else.
func Check(paths []string, stdin io.Reader) *Report {
	r, problems := Read(paths, stdin)
	report := &Report{lines: map[string][]string{}, marks: map[plan.Source][]int{}, set: r}
	for file, text := range r.files {
		report.lines[file] = splitLines(text)
	}
	for _, s := range r.secrets {
		report.hide(s)
	}
	index := make(map[*yaml.Node]int, len(r.read))
	for i, o := range r.read {
		index[o.doc.root] = i
		report.Resources = append(report.Resources, Checked{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
	}
	for _, p := range problems {
		if i, ok := index[p.root]; ok && p.Severity != Notice {
			report.Resources[i].Findings = append(report.Resources[i].Findings, p)
		} else {
			report.Other = append(report.Other, p)
		}
	}
	return report
}

// splitLines splits a text at what ends a line in YAML, which counts them so: besides line feeds, carriage returns and the
// three line ends of Unicode.
func splitLines(text string) (lines []string) {
	for {
		i := strings.IndexAny(text, "\n\r\u0085\u2028\u2029")
		if i < 0 {
			return append(lines, text)
		}
		lines = append(lines, text[:i])
		_, n := utf8.DecodeRuneInString(text[i:])
		if strings.HasPrefix(text[i:], "\r\n") {
			n = 2
		}
		text = text[i+n:]
	}
}

// Findings are those of all resources, sorted by place.
func (r *Report) Findings() Problems {
	var all []Problems
	for _, c := range r.Resources {
		all = append(all, c.Findings)
	}
	return Merge(all...)
}

// hide takes out the lines of a Secret. Nothing that is found points at one; but in a file of JSON, the line of another
// object may be the Secret's, too.
func (r *Report) hide(d document) {
	lines := r.lines[d.file]
	last := d.root.Line
	eachNode(d.root, func(n *yaml.Node) { last = max(last, n.Line+len(splitLines(n.Value))-1) })
	for i := d.root.Line; i <= min(last, len(lines)); i++ {
		lines[i-1] = unshown
	}
}

// unshown stands for a line that is not shown.
const unshown = "\x00"

func eachNode(n *yaml.Node, visit func(*yaml.Node)) {
	visit(n)
	for _, c := range n.Content {
		eachNode(c, visit)
	}
}

// Excerpt is the part of a line around a place, in characters, at most width of them, and the index of the place in it. ok
// is false where there is no such line, or it must not be shown.
func (r *Report) Excerpt(s plan.Source, width int) (text []rune, at int, ok bool) {
	lines := r.lines[s.File]
	if s.Line < 1 || s.Line > len(lines) || s.Column < 1 || lines[s.Line-1] == unshown {
		return nil, 0, false
	}
	begin := max(0, s.Column-1-width/2)
	if line := lines[s.Line-1]; len(line) <= utf8.UTFMax*width && utf8.RuneCountInString(line) <= width {
		begin = 0 // it is shown whole
	}
	line, at := r.from(s, begin)
	for _, c := range line[:min(len(line), utf8.UTFMax*width)] {
		if len(text) == width {
			break
		}
		text = append(text, c)
	}
	return text, min(s.Column-1-at, len(text)), true
}

// from is the line of a place from a character on, and which character that is: the last one of a shorter line. In a long
// line it begins at a mark, so that many findings in one line cost no more than one.
func (r *Report) from(s plan.Source, character int) (rest string, at int) {
	line := r.lines[s.File][s.Line-1]
	key := plan.Source{File: s.File, Line: s.Line}
	marks, ok := r.marks[key]
	if !ok {
		n := 0
		for i := range line {
			if n%markEvery == 0 {
				marks = append(marks, i)
			}
			n++
		}
		r.marks[key] = marks
	}
	if len(marks) == 0 {
		return line, 0
	}
	mark := min(character/markEvery, len(marks)-1)
	at = mark * markEvery
	for i := range line[marks[mark]:] {
		if at == character {
			return line[marks[mark]+i:], at
		}
		at++
	}
	return "", at
}

// markEvery is the distance of marks in a line, in characters.
const markEvery = 1024
