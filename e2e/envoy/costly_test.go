package envoy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
)

// costly are rules and the request that makes their expressions work hardest.
type costly struct {
	name     string
	patterns []string
	match    string // a match with a pattern in it
	path     string
	headers  map[string]string
	way      envoy.Strategy // how the virtual host is matched with --matching filter
	status   int            // of the filter's answer
}

func numbered(n int, pattern func(i int) string) (all []string) {
	for i := range n {
		all = append(all, pattern(i))
	}
	return all
}

var costlies = []costly{
	{"a counted repetition behind a class", []string{"/.*[a-f].{900}"}, "{uri: {regex: %q}}", "/" + strings.Repeat("a", 57_000) + strings.Repeat("z", 901), nil, envoy.StrategyList, 404},
	{"300 counted repetitions around a byte", numbered(300, func(i int) string { return fmt.Sprintf(".{0,%d}x.{0,%d}z", 100+i, 400-i) }),
		"{uri: {regex: %q}}", "/" + strings.Repeat("x", 480), nil, envoy.StrategyList, 404},
	{"states that are just allowed", []string{".{0,34}x.{0,34}z"},
		"{uri: {regex: %q}}", "/" + strings.Repeat("x", 66), nil, envoy.StrategyFilter, 404},
	{"300 patterns in few groups", numbered(300, func(i int) string { return fmt.Sprintf("/[a-z]+/[%c-%c]{%d}[0-9]+", 'a'+i%13, 'm'+i%13, 1+i/13) }),
		"{uri: {regex: %q}}", "/" + strings.Repeat("a", 58_000), nil, envoy.StrategyFilter, 404},
	{"a text that many patterns look for", numbered(2000, func(i int) string { return fmt.Sprintf("/[a-z/]*/item-%d/[0-9]", i) }),
		"{uri: {regex: %q}}", strings.Repeat("/item-7", 8000), nil, envoy.StrategyFilter, 404},
	{"values that each lead to a pattern", numbered(1500, func(i int) string { return fmt.Sprintf("/(a|b)*c{%d}", 1+i%50) }),
		"{uri: {regex: %q}, headers: {x-a: {exact: v%d}}}", "/" + strings.Repeat("ab", 20_000), map[string]string{"x-a": "many"}, envoy.StrategyFilter, 404},
}

func (c *costly) yaml() string {
	var b strings.Builder
	b.WriteString("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: costly, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n")
	for i, p := range c.patterns {
		match := fmt.Sprintf(strings.Replace(c.match, "v%d", fmt.Sprintf("v%d", i), 1), p)
		fmt.Fprintf(&b, "  - {match: [%s], directResponse: {status: 200}}\n", match)
	}
	return b.String()
}

// raw is the request as it is sent.
func (c *costly) raw() string {
	headers := ""
	if c.headers != nil {
		headers = strings.Join(numbered(len(c.patterns), func(i int) string { return fmt.Sprintf("x-a: v%d\r\n", i) })[:80], "")
	}
	return "GET " + c.path + " HTTP/1.1\r\nHost: a.test\r\n" + headers + "\r\n"
}

// TestNoRequestCostsMuch sends what makes expressions work hardest. It costs with the filter no more than five times what it
// costs with Envoy's own list, or next to nothing; or matching was given up, which bounds the cost whatever the rules are.
func TestNoRequestCostsMuch(t *testing.T) {
	b := defaultEnvoy(t)
	for i := range costlies {
		c := &costlies[i]
		t.Run(c.name, func(t *testing.T) {
			list := c.measure(t, b.Minor, "", envoy.MatchingNative)
			for _, m := range program.Modules(t) {
				filter := c.measure(t, b.Minor, m.Path, envoy.MatchingFilter)
				t.Logf("filter with the %s module %v, list %v: %.2f", m.Name, filter, list, float64(filter)/float64(list))
				assert.Less(t, filter, 5*list+500*time.Microsecond, m.Name)
			}
		})
	}
}

// measure is the processor time of one request.
func (c *costly) measure(t *testing.T, minor int, module string, matching envoy.Matching) time.Duration {
	r := rulesTestbed(t, c.yaml())
	if matching == envoy.MatchingFilter {
		choices, err := envoy.Choices(r.plan, envoy.Options{Minor: minor, Matching: matching})
		require.NoError(t, err)
		require.Equal(t, c.way, choices[0].Strategy, choices[0].Why)
	}
	p := startEnvoy(t, defaultEnvoy(t), r, module)
	client := r.client()
	defer client.close()
	send := func() {
		status, err := client.raw(c.raw())
		require.NoError(t, err)
		require.Equal(t, c.status, status)
	}
	_, err := client.retry(request("/", nil))
	require.NoError(t, err)
	send()
	before, err := p.CPUTime()
	require.NoError(t, err)
	const n = 10
	for range n {
		send()
	}
	after, err := p.CPUTime()
	require.NoError(t, err)
	return (after - before) / n
}
