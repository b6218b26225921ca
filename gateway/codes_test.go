package gateway_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/validate"
)

// section is the heading of a code and the first words below it.
var section = regexp.MustCompile(`(?m)^### (\S+)\n(Error or warning|Error|Warning)?\.? `)

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
		severity := "Error or warning"
		if len(c.Severities) == 1 {
			severity = map[diag.Severity]string{diag.Error: "Error", diag.Warning: "Warning"}[c.Severities[0]]
		}
		listed = append(listed, c.ID+" "+severity)
	}
	assert.Equal(t, listed, documented)
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
