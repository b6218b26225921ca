package envoy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/plan"
)

// eachMessage visits a message and all that are packed in it, the outermost first.
func eachMessage(m proto.Message, visit func(proto.Message) error) error {
	if err := visit(m); err != nil {
		return err
	}
	return eachPacked(m.ProtoReflect(), visit)
}

// eachPacked visits the messages that are packed into a message or into parts of it.
func eachPacked(m protoreflect.Message, visit func(proto.Message) error) (err error) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		unpacked, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		return eachMessage(unpacked, visit)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					err = eachPacked(v.Message(), visit)
					return err == nil
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = eachPacked(v.List().Get(i).Message(), visit)
			}
		default:
			err = eachPacked(v.Message(), visit)
		}
		return err == nil
	})
	return err
}

// validatePacked checks a message, and all that are packed in it.
func validatePacked(m proto.Message) error { return eachMessage(m, validate) }

// An invalid message is refused wherever it is: here it is a route without a name of its cluster, or a cluster without
// a name.
func TestNothingInvalidIsBuilt(t *testing.T) {
	without := func(change func(*plan.Plan)) *plan.Plan {
		p := planOf(&plan.Rule{Route: &plan.RouteAction{Destinations: []plan.Destination{{Cluster: "a"}}}})
		change(p)
		return p
	}
	noCluster := without(func(p *plan.Plan) {
		r := p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules[0]
		r.Route.Destinations[0].Cluster = ""
		r.Seal()
	})
	noName := without(func(p *plan.Plan) { p.Clusters = []*plan.Cluster{clusterWith(func(c *plan.Cluster) { c.Name = "" })} })
	const (
		refused  = "envoy's API does not allow this: "
		embedded = ": embedded message failed validation | caused by: "
		aRoute   = "invalid Route.Route" + embedded + "invalid RouteAction.Cluster: value length must be at least 1 runes"
		aList    = "invalid RouteConfiguration.VirtualHosts[0]" + embedded + "invalid VirtualHost.Routes[0]" + embedded + aRoute
		aCluster = "invalid Cluster.Name: value length must be at least 1 runes; invalid Cluster.LoadAssignment" + embedded +
			"invalid ClusterLoadAssignment.ClusterName: value length must be at least 1 runes"
	)
	for sentence, c := range map[string]struct {
		plan    *plan.Plan
		options Options
		want    string
	}{
		"nothing is invalid":                  {without(func(*plan.Plan) {}), Options{Matching: MatchingFilter}, ""},
		"in a list, packed with the listener": {noCluster, Options{Matching: MatchingNative}, refused + "invalid HttpConnectionManager.RouteConfig" + embedded + aList},
		"in a map, packed in what is packed":  {noCluster, Options{Matching: MatchingFilter}, refused + aRoute},
		"in a file of routes":                 {noCluster, Options{Matching: MatchingNative, Dir: "/etc/envoy"}, refused + aList},
		"in a file of routes, packed":         {noCluster, Options{Matching: MatchingFilter, Dir: "/etc/envoy"}, refused + aRoute},
		"in the bootstrap itself":             {noName, Options{Matching: MatchingFilter}, refused + "invalid Bootstrap.StaticResources" + embedded + "invalid Bootstrap_StaticResources.Clusters[0]" + embedded + aCluster},
		"in a file of clusters":               {noName, Options{Matching: MatchingFilter, Dir: "/etc/envoy"}, refused + aCluster},
	} {
		t.Run(sentence, func(t *testing.T) {
			c.options.Minor, c.options.Module = 39, "waymark.wasm"
			r, err := Build(c.plan, c.options)
			if c.want == "" {
				require.NoError(t, err)
				require.NoError(t, validatePacked(r.Bootstrap))
				return
			}
			require.EqualError(t, err, c.want)
			assert.Nil(t, r)
		})
	}
}

// The choice of a strategy builds the routes of a tree, so what is invalid is refused there, too.
func TestNothingInvalidIsChosen(t *testing.T) {
	h := hostOf("/a", "/b")
	h.Rules[1].Fault = &plan.Fault{Abort: &plan.FaultAbort{HTTPStatus: 7, Percentage: plan.Percentage{Numerator: 100, Denominator: 100}}}
	p := &plan.Plan{Listeners: []*plan.Listener{{Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{Name: "r", VirtualHosts: []*plan.VirtualHost{h}}}}}}}
	o := Options{Matching: MatchingAuto, Costs: free, Minor: 40}
	_, choices := Choices(p, o)
	_, sized := SizedChoices(p, o)
	_, configs := PluginConfigs(p, o)
	for _, err := range []error{choices, sized, configs} {
		assert.ErrorContains(t, err, "envoy's API does not allow this: invalid HTTPFault.Abort")
	}
}
