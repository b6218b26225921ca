package main

import (
	"fmt"
	"io"
	"strings"

	"waymark.dev/waymark/diag"
)

// GitHub's workflow commands end at a line end, and their properties at a colon or a comma (actions/toolkit,
// packages/core/src/command.ts).
var (
	annotationData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	annotationProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// writeAnnotations writes the findings as commands by which a workflow of GitHub shows them beside the lines of a change.
func (c *checked) writeAnnotations(w io.Writer) error {
	for _, f := range c.all() {
		var properties []string
		add := func(name, value string) { properties = append(properties, name+"="+annotationProperty.Replace(value)) }
		if f.Place.File != "" {
			add("file", inFolder(f.Place.File))
		}
		if f.Place.Line > 0 {
			add("line", fmt.Sprint(f.Place.Line))
		}
		if f.Place.Column > 0 {
			add("col", fmt.Sprint(f.Place.Column))
		}
		if f.Code != "" {
			add("title", f.Code)
		}
		command := string(f.Severity)
		if f.Severity != diag.Error && f.Severity != diag.Warning {
			command = "notice"
		}
		if len(properties) > 0 {
			command += " " + strings.Join(properties, ",")
		}
		text := strings.Join(append([]string{about(f)}, proof(f)...), "\n")
		if _, err := fmt.Fprintf(w, "::%s::%s\n", command, annotationData.Replace(text)); err != nil {
			return err
		}
	}
	return nil
}
