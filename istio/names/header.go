package names

import "strings"

// claimsPrefix begins the names of headers that stand for claims of a JWT.
const claimsPrefix = "@request.auth.claims"

// Claim is what follows the prefix of a header name that stands for a claim: .group.id or [group][id], in good form or not.
func Claim(name string) (rest string, ok bool) {
	if len(name) < len(claimsPrefix) || !strings.EqualFold(name[:len(claimsPrefix)], claimsPrefix) {
		return "", false
	}
	rest = name[len(claimsPrefix):]
	return rest, strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]")
}

// IsInternalHeader says that a name is a pseudo-header or Host, which header operations do not change.
func IsInternalHeader(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}

// GRPCStatus are the names that a fault may use (VS-FAULT-05).
var GRPCStatus = map[string]uint32{
	"OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
	"ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
	"OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}
