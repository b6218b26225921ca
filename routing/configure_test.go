package routing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
)

// walk visits every value of a document, as a reader on top of a library would.
func walk(v gjson.Result) (values int) {
	if !v.IsObject() && !v.IsArray() {
		return 1
	}
	v.ForEach(func(_, v gjson.Result) bool {
		values += walk(v)
		return true
	})
	return values
}

// TestConfiguringCostsLittleMoreThanReading: a worker stands still meanwhile.
func TestConfiguringCostsLittleMoreThanReading(t *testing.T) {
	text := marshal(t, routingtest.Shaped("mixed").Config(10_000))
	assert.LessOrEqual(t, len(text), 200*10_000, "bytes of configuration, for 10,000 rules")
	var read, compiled time.Duration
	for range 3 {
		read, compiled = routingtest.InTurns(9, 1, func() {
			if !gjson.ValidBytes(text) || walk(gjson.ParseBytes(text)) < 10_000 {
				t.Error("the baseline reads nothing")
			}
		}, func() {
			if _, err := routing.Compile(text); err != nil {
				t.Error(err)
			}
		})
		if compiled <= read+read/2 {
			break
		}
	}
	t.Logf("%d bytes, %d for each rule; read by gjson in %v, compiled in %v", len(text), len(text)/10_000, read, compiled)
	assert.LessOrEqual(t, compiled, read+read/2)
}

func TestTheSameRulesGiveTheSameBytes(t *testing.T) {
	for _, name := range []string{"mixed", "regex-alone", "header-regex"} {
		s := routingtest.Shaped(name)
		require.Equal(t, marshal(t, s.Config(300)), marshal(t, s.Config(300)), name)
	}
}
