package routing

// The headers that carry a decision from the filter to Envoy: the id of the outcome, and the delay or abort that
// Envoy's fault filter is to inject.
const (
	RouteHeader     = "x-waymark-route"
	DelayHeader     = "x-envoy-fault-delay-request"
	AbortHeader     = "x-envoy-fault-abort-request"
	AbortGRPCHeader = "x-envoy-fault-abort-grpc-request"
)

// DecisionHeaders are the headers above and all others that Envoy's fault filter obeys. The filter removes them when a
// client sends them, and Envoy sends none of them to a destination. The four that a decision writes come first, in the
// order above.
var DecisionHeaders = [...]string{
	RouteHeader, DelayHeader, AbortHeader, AbortGRPCHeader,
	"x-envoy-fault-delay-request-percentage", "x-envoy-fault-abort-request-percentage",
	"x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage",
}
