package translate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// VS-DEL-02: a rule of a delegate that delegates is dropped, even where its delegate is there.
func TestDelegatesDoNotDelegate(t *testing.T) {
	object := func(name string) *resource.Object {
		return &resource.Object{Kind: "VirtualService", Namespace: "default", Name: name}
	}
	to := func(name string) *istio.HTTPRoute {
		return &istio.HTTPRoute{Delegate: &istio.Delegate{Name: name}}
	}
	answer := &istio.HTTPRoute{DirectResponse: &istio.HTTPDirectResponse{Status: 200}}
	out := &output{}
	roots := mergeDelegates([]*resource.VirtualService{
		{Object: object("root"), Spec: &istio.VirtualService{Hosts: []string{"a.test"}, Http: []*istio.HTTPRoute{to("one")}}},
		{Object: object("one"), Spec: &istio.VirtualService{Http: []*istio.HTTPRoute{to("two"), answer}}},
		{Object: object("two"), Spec: &istio.VirtualService{Http: []*istio.HTTPRoute{answer}}},
	}, nil, out)
	require.Len(t, roots, 1)
	require.Len(t, roots[0].rules, 1)
	assert.Equal(t, 1, roots[0].rules[0].index)
	require.Len(t, out.dropped, 1)
	assert.Equal(t, plan.DropNestedDelegate, out.dropped[0].Code)
	assert.Equal(t, "default/one.http[0]", out.dropped[0].Origin.String())
	assert.Equal(t, "default/root.http[0]", out.dropped[0].By.String())
}
