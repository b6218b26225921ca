package gateway_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/validate"
	"waymark.dev/waymark/lint"
)

// section is the heading of a code and the first words below it.
var section = regexp.MustCompile(`(?m)^### (\S+)\n(Error or warning|Warning or notice|Error|Warning)?\.? `)

// TestFindingsAreDocumented holds docs/findings.md against the codes: one section each, in the same order, with the
// severity first.
func TestFindingsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/findings.md")
	require.NoError(t, err)
	var documented, listed []string
	for _, s := range section.FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, s[1]+" "+s[2])
	}
	for _, c := range append(slices.Clone(validate.Codes()), gateway.OwnCodes()...) {
		severities := ""
		for i, s := range c.Severities {
			if i > 0 {
				severities += " or "
			}
			severities += string(s)
		}
		listed = append(listed, c.ID+" "+strings.ToUpper(severities[:1])+severities[1:])
	}
	assert.Equal(t, listed, documented)
}

// TestCodesOfLintAreListed holds the list against the codes of package lint, which imports gateway, so that the list has them
// as texts.
func TestCodesOfLintAreListed(t *testing.T) {
	var listed []string
	for _, c := range gateway.OwnCodes() {
		assert.NotEmpty(t, c.Summary, c.ID)
		if strings.HasPrefix(c.ID, "WM01") {
			listed = append(listed, c.ID)
		}
	}
	assert.Equal(t, []string{
		lint.Covered, lint.Contradictory, lint.BehindAll, lint.Nowhere, lint.Conflicting, lint.DeadSomewhere, lint.AlwaysMet, lint.Implied, lint.OrderDecides,
	}, listed)
}

func TestCodesBeyondIstioAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/findings.md")
	require.NoError(t, err)
	var ids []string
	for _, c := range validate.Codes() {
		if c.Beyond {
			ids = append(ids, c.ID)
		}
	}
	require.Len(t, ids, 14)
	assert.Contains(t, string(text), ids[0]+", "+ids[1]+" to "+ids[3]+", "+ids[4]+" and "+ids[5]+".")
	assert.Contains(t, string(text), ids[6]+" to "+ids[11])
	assert.Contains(t, string(text), ids[13]+" is about")
}
