package plain

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/markdown"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	questions "waymark.dev/waymark/internal/ask"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/verdict"
)

// surprise is one section of docs/istio-surprises.md: resources, and requests with what becomes of them.
type surprise struct {
	id, resources string
	asked         []string
}

// readSurprises reads the sections. The one block of YAML before the first of them is the Gateway of all examples that
// have none.
func readSurprises(t *testing.T) []surprise {
	text, err := os.ReadFile(filepath.Join(repository.Root, "docs", "istio-surprises.md"))
	require.NoError(t, err)
	head, rest, _ := strings.Cut(string(text), "\n## ")
	shared := markdown.Blocks(head)
	require.Len(t, shared, 1)
	heading := regexp.MustCompile(`^(Q-\d\d): \S`)
	var out []surprise
	for _, section := range strings.Split(rest, "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		m := heading.FindStringSubmatch(title)
		require.NotNil(t, m, title)
		s := surprise{id: m[1]}
		kinds := map[string]int{}
		for _, b := range markdown.Blocks(section) {
			kinds[b.Kind]++
			switch b.Kind {
			case "yaml":
				s.resources = strings.Join(b.Lines, "\n") + "\n"
			case "text":
				s.asked = b.Lines
			}
		}
		delete(kinds, "console") // TestDocuments runs these
		require.Equal(t, map[string]int{"yaml": 1, "text": 1}, kinds, "%s: blocks", s.id)
		require.NotEmpty(t, s.asked, s.id)
		if !strings.Contains(s.resources, "kind: Gateway\n") {
			s.resources = strings.Join(shared[0].Lines, "\n") + "\n---\n" + s.resources
		}
		out = append(out, s)
	}
	return out
}

// TestSurprises asks every request of docs/istio-surprises.md, and the module those that it decides.
func TestSurprises(t *testing.T) {
	all := readSurprises(t)
	var want, got []string
	for i := range 31 {
		want = append(want, fmt.Sprintf("Q-%02d", i+1))
	}
	module := newVM(t, compile(t, program.Modules(t)[0]))
	decided := map[verdict.Kind]int{}
	for _, s := range all {
		got = append(got, s.id)
		t.Run(s.id, func(t *testing.T) {
			in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(s.resources)}, version.All)
			require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
			p, _ := translate.Plan(in.Set, translate.Options{}) // destinations are names alone
			judge, err := verdict.New(p, effect.Intake{})
			require.NoError(t, err)
			for _, text := range s.asked {
				line, err := questions.Parse(text)
				require.NoError(t, err)
				v := judge.Decide(line.Request)
				problems, err := line.Problems(v)
				require.NoError(t, err)
				assert.Empty(t, problems)
				if slices.Contains([]verdict.Kind{verdict.Route, verdict.Redirect, verdict.DirectResponse, verdict.NoRoute, verdict.NoVirtualHost}, v.Kind) {
					decided[v.Kind]++
					assertModuleAgrees(t, module, p, line.Request, v)
				}
			}
		})
	}
	assert.Equal(t, want, got, "sections")
	for _, kind := range []verdict.Kind{verdict.Route, verdict.Redirect, verdict.DirectResponse, verdict.NoRoute, verdict.NoVirtualHost} {
		assert.Positive(t, decided[kind], "requests that the module decides: %s", kind)
	}
}

// assertModuleAgrees wants that the module chooses an outcome of the verdict's rule, or none where no rule matches.
func assertModuleAgrees(t *testing.T, module *vm.VM, p *plan.Plan, q verdict.Request, v *verdict.Verdict) {
	rc := routeConfig(p, v.RouteConfig)
	require.NotNil(t, rc, v.RouteConfig)
	config, err := pluginconfig.Write(rc, version.Of(version.Default))
	require.NoError(t, err)
	ctx := context.Background()
	id, err := module.Configure(ctx, config)
	require.NoError(t, err)
	outcome := decide(t, module, id, received(t, q))
	require.NoError(t, module.Delete(ctx, id))
	if v.Route == nil {
		assert.Empty(t, outcome, q.Name)
		return
	}
	host := effect.HostFor(rc, q.Authority)
	require.NotNil(t, host, q.Name)
	var outcomes []string
	for _, o := range host.Rules[v.Route.Index].Outcomes {
		outcomes = append(outcomes, o.ID)
	}
	assert.Contains(t, outcomes, outcome, q.Name)
}

func routeConfig(p *plan.Plan, name string) *plan.RouteConfig {
	for rc := range p.RouteConfigs() {
		if rc.Name == name {
			return rc
		}
	}
	return nil
}

// received are the headers of a request as Envoy shows them to the module.
func received(t *testing.T, q verdict.Request) vm.Headers {
	in := effect.Request{Method: cmp.Or(q.Method, "GET"), Authority: q.Authority, Path: q.Path, Headers: effect.Headers{}}
	for name, values := range q.Headers {
		in.Headers[name] = values
	}
	in, refusal := effect.Intake{}.Receive(in)
	require.Nil(t, refusal, q.Name)
	scheme := "http"
	if q.TLS {
		scheme = "https"
	}
	out := vm.Headers{{":authority", q.Authority}, {":path", in.Path}, {":method", q.Method}, {":scheme", scheme}}
	for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
		for _, value := range in.Headers[name] {
			out = append(out, [2]string{name, value})
		}
	}
	return out
}
