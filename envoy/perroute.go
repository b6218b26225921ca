package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonfault "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// HTTPFault is the fault of a route in the way Istio emits it, dice included.
func HTTPFault(f *plan.Fault) *faultv3.HTTPFault {
	out := &faultv3.HTTPFault{}
	if d := f.Delay; d != nil {
		out.Delay = &commonfault.FaultDelay{
			FaultDelaySecifier: &commonfault.FaultDelay_FixedDelay{FixedDelay: durationpb.New(d.Duration)},
			Percentage:         percent(d.Percentage),
		}
	}
	if a := f.Abort; a != nil {
		out.Abort = &faultv3.FaultAbort{Percentage: percent(a.Percentage)}
		if a.IsGRPC {
			out.Abort.ErrorType = &faultv3.FaultAbort_GrpcStatus{GrpcStatus: a.GRPCStatus}
		} else {
			out.Abort.ErrorType = &faultv3.FaultAbort_HttpStatus{HttpStatus: a.HTTPStatus}
		}
	}
	return out
}

// headerFault makes the fault filter obey the headers that our filter sets: it throws the dice, this filter delays,
// aborts and counts. It does nothing for a request without these headers.
func headerFault() *faultv3.HTTPFault {
	always := &typev3.FractionalPercent{Numerator: 100}
	return &faultv3.HTTPFault{
		Delay: &commonfault.FaultDelay{
			FaultDelaySecifier: &commonfault.FaultDelay_HeaderDelay_{HeaderDelay: &commonfault.FaultDelay_HeaderDelay{}},
			Percentage:         always,
		},
		Abort: &faultv3.FaultAbort{
			ErrorType:  &faultv3.FaultAbort_HeaderAbort_{HeaderAbort: &faultv3.FaultAbort_HeaderAbort{}},
			Percentage: always,
		},
	}
}

// CORSPolicy is the CORS policy of a route.
func CORSPolicy(c *plan.CORSPolicy) *corsv3.CorsPolicy {
	out := &corsv3.CorsPolicy{
		AllowMethods:                 c.AllowMethods,
		AllowHeaders:                 c.AllowHeaders,
		ExposeHeaders:                c.ExposeHeaders,
		MaxAge:                       c.MaxAge,
		FilterEnabled:                &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: 100}},
		ForwardNotMatchingPreflights: wrapperspb.Bool(c.ForwardUnmatched),
	}
	if c.AllowCredentialsSet {
		out.AllowCredentials = wrapperspb.Bool(c.AllowCredentials)
	}
	for _, o := range c.AllowOrigins {
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, stringMatcher(o.Kind, o.Value))
	}
	return out
}
