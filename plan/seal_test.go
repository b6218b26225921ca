package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The name of a rule never ends a line of a log.
func TestNamesAreOneLine(t *testing.T) {
	r := &Rule{Origin: Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: EntryPath("http", 0)}, Name: "x\r\n127.0.0.1 \"forged\" \x00 ü"}
	require.Equal(t, `default/a.http[0]:x\r\n127.0.0.1 "forged" \x00 ü`, r.RouteName())
}
