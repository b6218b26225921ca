package plain

import (
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/e2e/internal/folders"
	"waymark.dev/waymark/e2e/internal/program"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// finding begins a finding, or the error of the command; lines without it are excerpts, carets and the table of the plan.
var finding = regexp.MustCompile(`^waymark: |^(\S+:\d+:\d+: |\S+: )?(error|warning|notice): `)

// TestFolders runs the commands of e2e/testdata/folders, but for those that serve.
func TestFolders(t *testing.T) {
	for _, f := range folders.All(t) {
		t.Run(f.Name, func(t *testing.T) {
			for i := range f.Commands {
				c := &f.Commands[i]
				args := f.Args(*c, "127.0.0.1:9")
				if args[0] == "run" {
					continue
				}
				stdout, stderr, status := program.Run(t, "", args...)
				var said []string
				for line := range strings.Lines(stdout + stderr) {
					if line = strings.TrimSuffix(line, "\n"); finding.MatchString(line) {
						said = append(said, strings.ReplaceAll(line, f.Path(), "FOLDER"))
					}
				}
				slices.Sort(said)
				got := append([]string{fmt.Sprintf("exit %d", status)}, said...)
				if *update {
					c.Want = got
				}
				assert.Equal(t, c.Want, got, c.Line)
			}
			if *update {
				f.Write(t)
			}
		})
	}
}
