package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// typed is a set as a caller without files has it: the same objects, which nobody read.
func typed(read *resource.Set) *resource.Set {
	bare := func(o *resource.Object) *resource.Object {
		return &resource.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Labels: o.Labels, Annotations: o.Annotations, Created: o.Created}
	}
	out := *read
	out.Gateways, out.VirtualServices, out.DestinationRules, out.ServiceEntries, out.WorkloadEntries = nil, nil, nil, nil, nil
	for _, o := range read.Gateways {
		out.Gateways = append(out.Gateways, &resource.Gateway{Object: bare(o.Object), Spec: o.Spec})
	}
	for _, o := range read.VirtualServices {
		out.VirtualServices = append(out.VirtualServices, &resource.VirtualService{Object: bare(o.Object), Spec: o.Spec})
	}
	for _, o := range read.DestinationRules {
		out.DestinationRules = append(out.DestinationRules, &resource.DestinationRule{Object: bare(o.Object), Spec: o.Spec})
	}
	for _, o := range read.ServiceEntries {
		out.ServiceEntries = append(out.ServiceEntries, &resource.ServiceEntry{Object: bare(o.Object), Spec: o.Spec})
	}
	for _, o := range read.WorkloadEntries {
		out.WorkloadEntries = append(out.WorkloadEntries, &resource.WorkloadEntry{Object: bare(o.Object), Spec: o.Spec})
	}
	return &out
}

// Objects that no file was read for are validated and translated as the same objects are in a file; only the places of
// findings are missing.
func TestTypedObjects(t *testing.T) {
	about := func(findings diag.Findings) (all []string) {
		for _, f := range findings {
			all = append(all, fmt.Sprint(f.Severity, f.Code, f.Object, f.Field, f.Message))
		}
		return all
	}
	for name, f := range fields {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := resource.Read([]string{"-"}, resource.Options{Stdin: strings.NewReader(strings.NewReplacer("<<", "", ">>", "").Replace(f.resources))})
			if read.Findings.HasErrors() {
				return // what cannot be decoded is no typed object
			}
			fromFile, inMemory := gateway.Prepare(read, version.All), gateway.Prepare(resource.Of(typed(read.Set)), version.All)
			for _, proxy := range []translate.ProxyType{translate.GatewayProxy, translate.SidecarProxy} {
				o := translate.Options{Proxy: proxy}
				_, want := translate.Plan(fromFile.Set, o)
				_, got := translate.Plan(inMemory.Set, o)
				assert.ElementsMatch(t, about(want), about(got))
				for _, f := range got {
					if !strings.HasPrefix(f.Object, "Service ") {
						assert.Zero(t, f.Place, f)
					}
				}
			}
			var decided diag.Findings
			for _, f := range fromFile.Findings {
				if f.Severity != diag.Notice {
					decided = append(decided, f)
				}
			}
			assert.ElementsMatch(t, about(decided), about(inMemory.Findings))
		})
	}
}
