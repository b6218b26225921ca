package envoy

import (
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
)

// supported reports everything in a plan that an Envoy with these options does not execute, all of it at once. Envoy
// itself would refuse the whole configuration for some of it, and pass over the rest in silence.
func supported(p *plan.Plan, o *Options) error {
	var found plan.UnsupportedError
	for r := range p.Rules() {
		if o.Matching == MatchingFilter {
			for _, c := range r.Match.Claims {
				found.AddRule(r, "a match on the claim "+strings.Join(c.Path, ".")+" of a JWT", "the filter knows no tokens; "+
					"use --matching native and a JWT filter of your own, or take the rule out")
			}
		}
		for _, operator := range r.Operators() {
			name, _, _ := strings.Cut(operator, "(")
			switch {
			case slices.Contains(Operators(o.Minor), name):
			case slices.Contains(operatorsSince138, name):
				found.AddRule(r, "%"+operator+"% in a header operation", "Envoy has this command operator from 1.38 on, and --envoy-version is 1.%d", o.Minor)
			default:
				found.AddRule(r, "%"+operator+"% in a header operation", "Envoy has no command operator of that name, and would refuse the whole configuration")
			}
		}
	}
	for _, c := range p.Clusters {
		if b := c.Pool.RetryBudget; b != nil && b.Interval > 0 && o.Minor < 39 {
			found = append(found, plan.Unsupported{Object: "cluster " + c.Name, Feature: "retryBudget.budgetInterval of " + strings.Join(c.Rules, ", "),
				Reason: fmt.Sprintf("Envoy has it from 1.39 on, and --envoy-version is 1.%d", o.Minor)})
		}
	}
	pairs, authorities := credentials(p)
	for _, c := range append(pairs, authorities...) {
		if c.HasContent() && !o.dynamic() {
			found = append(found, plan.Unsupported{Source: c.Source, Object: "credential " + strings.TrimPrefix(c.Name, "kubernetes://"),
				Feature: "a certificate that stands in a Secret document", Reason: "it would be printed with its key; write files with --dynamic, or name the certificate's own with --secret"})
		}
	}
	return found.OrNil()
}

// Operators are the names of the command operators that Envoy 1.minor knows in header operations.
func Operators(minor int) []string {
	if minor < 38 {
		return operators
	}
	return slices.Concat(operators, operatorsSince138)
}

// operators are Envoy's command operators of all supported versions; a test asks real Envoys for each.
var operators = []string{
	"BYTES_RECEIVED", "BYTES_SENT", "COMMON_DURATION", "CONNECTION_ID", "CONNECTION_TERMINATION_DETAILS",
	"CUSTOM_FLAGS", "DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
	"DOWNSTREAM_DIRECT_LOCAL_PORT", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
	"DOWNSTREAM_DIRECT_REMOTE_PORT", "DOWNSTREAM_HANDSHAKE_DURATION", "DOWNSTREAM_HEADER_BYTES_RECEIVED",
	"DOWNSTREAM_HEADER_BYTES_SENT", "DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
	"DOWNSTREAM_LOCAL_DNS_SAN", "DOWNSTREAM_LOCAL_EMAIL_SAN", "DOWNSTREAM_LOCAL_IP_SAN",
	"DOWNSTREAM_LOCAL_OTHERNAME_SAN", "DOWNSTREAM_LOCAL_PORT", "DOWNSTREAM_LOCAL_SUBJECT", "DOWNSTREAM_LOCAL_URI_SAN",
	"DOWNSTREAM_PEER_CERT", "DOWNSTREAM_PEER_CERT_V_END", "DOWNSTREAM_PEER_CERT_V_START",
	"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1", "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256", "DOWNSTREAM_PEER_CHAIN_SERIALS",
	"DOWNSTREAM_PEER_DNS_SAN", "DOWNSTREAM_PEER_EMAIL_SAN", "DOWNSTREAM_PEER_FINGERPRINT_1",
	"DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_IP_SAN", "DOWNSTREAM_PEER_ISSUER",
	"DOWNSTREAM_PEER_OTHERNAME_SAN", "DOWNSTREAM_PEER_SERIAL", "DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_URI_SAN",
	"DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_REMOTE_PORT",
	"DOWNSTREAM_TLS_CIPHER", "DOWNSTREAM_TLS_SESSION_ID", "DOWNSTREAM_TLS_VERSION",
	"DOWNSTREAM_TRANSPORT_FAILURE_REASON", "DOWNSTREAM_WIRE_BYTES_RECEIVED", "DOWNSTREAM_WIRE_BYTES_SENT", "DURATION",
	"DYNAMIC_METADATA", "EMIT_TIME", "EMIT_TIME_LOCAL", "ENVIRONMENT", "FILTER_CHAIN_NAME", "FILTER_STATE",
	"GRPC_STATUS", "GRPC_STATUS_NUMBER", "HOSTNAME", "LOCAL_REPLY_BODY", "METADATA", "PATH", "PER_REQUEST_STATE",
	"PROTOCOL", "QUERY_PARAM", "REQ", "REQUESTED_SERVER_NAME", "REQUEST_DURATION", "REQUEST_HEADERS_BYTES",
	"REQUEST_TX_DURATION", "RESP", "RESPONSE_CODE", "RESPONSE_CODE_DETAILS", "RESPONSE_DURATION", "RESPONSE_FLAGS",
	"RESPONSE_FLAGS_LONG", "RESPONSE_HEADERS_BYTES", "RESPONSE_TRAILERS_BYTES", "RESPONSE_TX_DURATION",
	"ROUNDTRIP_DURATION", "ROUTE_NAME", "START_TIME", "START_TIME_LOCAL", "STREAM_ID", "TLS_JA3_FINGERPRINT",
	"TLS_JA4_FINGERPRINT", "TRACE_ID", "TRAILER", "UNIQUE_ID", "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW",
	"UPSTREAM_CONNECTION_ID", "UPSTREAM_CONNECTION_POOL_READY_DURATION", "UPSTREAM_FILTER_STATE",
	"UPSTREAM_HEADER_BYTES_RECEIVED", "UPSTREAM_HEADER_BYTES_SENT", "UPSTREAM_HOST", "UPSTREAM_HOST_NAME",
	"UPSTREAM_HOST_NAME_WITHOUT_PORT", "UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
	"UPSTREAM_LOCAL_DNS_SAN", "UPSTREAM_LOCAL_IP_SAN", "UPSTREAM_LOCAL_PORT", "UPSTREAM_LOCAL_URI_SAN",
	"UPSTREAM_METADATA", "UPSTREAM_PEER_CERT", "UPSTREAM_PEER_CERT_V_END", "UPSTREAM_PEER_CERT_V_START",
	"UPSTREAM_PEER_DNS_SAN", "UPSTREAM_PEER_IP_SAN", "UPSTREAM_PEER_ISSUER", "UPSTREAM_PEER_SUBJECT",
	"UPSTREAM_PEER_URI_SAN", "UPSTREAM_PROTOCOL", "UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
	"UPSTREAM_REMOTE_PORT", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "UPSTREAM_TLS_CIPHER", "UPSTREAM_TLS_SESSION_ID",
	"UPSTREAM_TLS_VERSION", "UPSTREAM_TRANSPORT_FAILURE_REASON", "UPSTREAM_WIRE_BYTES_RECEIVED",
	"UPSTREAM_WIRE_BYTES_SENT", "VIRTUAL_CLUSTER_NAME",
}

// operatorsSince138 came with Envoy 1.38.
var operatorsSince138 = []string{
	"DOWNSTREAM_DETECTED_CLOSE_TYPE", "DOWNSTREAM_LOCAL_CLOSE_REASON", "SPAN_ID", "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
	"UPSTREAM_DETECTED_CLOSE_TYPE", "UPSTREAM_HOSTS_ATTEMPTED", "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
	"UPSTREAM_HOST_NAMES_ATTEMPTED", "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT", "UPSTREAM_LOCAL_CLOSE_REASON",
}
