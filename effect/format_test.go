package effect

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCommandOperators(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                       "plain",
		"100%%":                       "100%",
		"%REQ(x)%":                    "[REQ(x)]",
		"a%PROTOCOL%b%REQ(x?y):3%":    "a[PROTOCOL]b[REQ(x?y):3]",
		"%START_TIME(%Y-%m)% 5%% off": "[START_TIME(%Y-%m)] 5% off",
		"a lone %":                    "a lone %",
	} {
		assert.Equal(t, want, format(text, func(operator string) string { return "[" + operator + "]" }), text)
	}
}
