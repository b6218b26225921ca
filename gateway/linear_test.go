package gateway_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

const oneGateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [%s]}\n---\n"

const oneVirtualService = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v%d}\nspec: {hosts: [%s], gateways: [gw], http: [%s]}\n---\n"

// list repeats a format, with numbers from 0.
func list(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func virtualServices(n int, hosts string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, oneVirtualService, i, strings.ReplaceAll(hosts, "#", fmt.Sprint(i)), "{directResponse: {status: 200}}")
	}
	return b.String()
}

// Four times the input takes about four times as long; comparing all pairs would take sixteen times as long. Comparing
// allocates nothing, so it is not allocations that are counted: it is the time that the thread of the test had a processor,
// to which other tests and other programs add little.
func TestWorkIsLinear(t *testing.T) {
	t.Parallel()
	ok := "{directResponse: {status: 200}}"
	for what, input := range map[string]func(n int) string{
		"hosts of one rule set": func(n int) string { return fmt.Sprintf(oneVirtualService, 0, list(4*n, "h%d.test"), ok) },
		"the same host":         func(n int) string { return fmt.Sprintf(oneVirtualService, 0, list(n, "h.test"), ok) },
		"hosts of Gateway and rules": func(n int) string {
			return fmt.Sprintf(oneGateway, list(n, "h%d.test")) + fmt.Sprintf(oneVirtualService, 0, list(n, "h%d.test"), ok)
		},
		"a Gateway's host for each": func(n int) string {
			return fmt.Sprintf(oneGateway, list(n, "h%d.test")) + virtualServices(n/4, "h#.test")
		},
		"findings in one line": func(n int) string { return fmt.Sprintf(oneVirtualService, 0, "a.test", list(n, "{bad%d: 1}")) },
		"findings of one mapping": func(n int) string {
			return strings.Replace(fmt.Sprintf(oneVirtualService, 0, "a.test", ok), "spec: {", "spec: {"+list(n, "bad%d: 1")+", ", 1)
		},
		"prefixes of many lengths": func(n int) string {
			return fmt.Sprintf(oneVirtualService, 0, "a.test", list(n, "{match: [{uri: {prefix: /%060d}}], directResponse: {status: 200}}"))
		},
		"one very long prefix after many": func(n int) string {
			return fmt.Sprintf(oneVirtualService, 0, "a.test", list(n/8, "{match: [{uri: {prefix: /%d}}], directResponse: {status: 200}}")+", {match: [{uri: {prefix: /"+strings.Repeat("a", 100*n)+"}}], directResponse: {status: 200}}")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			const n = 1000
			ratio := 99.0
			for range 10 { // a collection of garbage may fall into one of the two
				ratio = min(ratio, float64(readingTime(input(4*n)))/float64(readingTime(input(n))))
				if ratio < 8 {
					break
				}
			}
			assert.Less(t, ratio, 8.0)
		})
	}
}

// readingTime is how long a processor takes to check a set and to translate it.
func readingTime(text string) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begun := threadTime()
	report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
	for _, p := range report.Findings() {
		report.Texts.Excerpt(p.Place)
	}
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
	translate.Plan(in.Set, translate.Options{})
	return threadTime() - begun
}
