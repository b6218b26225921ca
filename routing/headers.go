package routing

// The headers by which a decision travels from the filter to Envoy: the outcome's id, and what Envoy's fault filter is
// to do.
const (
	RouteHeader     = "x-waymark-route"
	DelayHeader     = "x-envoy-fault-delay-request"
	AbortHeader     = "x-envoy-fault-abort-request"
	AbortGRPCHeader = "x-envoy-fault-abort-grpc-request"
)

// DecisionHeaders are these and all others that the fault filter obeys. A client's are dropped, and none of them goes on
// to a destination. The four that a decision writes come first, in the order above.
var DecisionHeaders = [...]string{
	RouteHeader, DelayHeader, AbortHeader, AbortGRPCHeader,
	"x-envoy-fault-delay-request-percentage", "x-envoy-fault-abort-request-percentage",
	"x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage",
}
