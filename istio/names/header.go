package names

import "strings"

// claimsPrefix begins the names of headers that stand for claims of a JWT.
const claimsPrefix = "@request.auth.claims"

// Claim returns what follows the prefix @request.auth.claims in a header name that stands for a claim of a JWT:
// .group.id or [group][id]. ok is false for other names. The form of the rest is not checked (VS-MATCH-22).
func Claim(name string) (rest string, ok bool) {
	if len(name) < len(claimsPrefix) || !strings.EqualFold(name[:len(claimsPrefix)], claimsPrefix) {
		return "", false
	}
	rest = name[len(claimsPrefix):]
	return rest, strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]")
}

// IsInternalHeader reports whether a name is that of a pseudo-header or Host, which header operations do not change.
func IsInternalHeader(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}

// GRPCStatus has the gRPC status codes by the names that a fault may use (VS-FAULT-05).
var GRPCStatus = map[string]uint32{
	"OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
	"ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
	"OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}
