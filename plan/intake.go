package plan

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Underscores says what becomes of a request with an underscore in the name of a header.
type Underscores string

// Envoy's answers to underscores in names of headers.
const (
	AllowUnderscores  Underscores = "ALLOW"
	RejectUnderscores Underscores = "REJECT_REQUEST" // 400
	DropUnderscores   Underscores = "DROP_HEADER"
)

// Intake is what Envoy does with a request before any rule is looked at: codec and connection manager. The zero value is
// a proxy of Istio without a profile, on Envoy 1.39 or later.
type Intake struct {
	// Era of the Envoy.
	Era Era
	// Paths say what is done to a path.
	Paths Paths
	// Underscores; "" allows them.
	Underscores Underscores
}

// Refusal is an answer that Envoy gives before any rule is looked at.
type Refusal struct {
	Status   int
	Location string // of a redirect
}

// Receive is the request as the filter and the router see it: names in lower case, headers of which Envoy keeps one
// joined, the path normalised. A request that Envoy answers by itself has a refusal, else nil.
func (in Intake) Receive(r Request) (received Request, refusal *Refusal) {
	out := r
	out.Headers = Headers{}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		lower := strings.ToLower(name)
		if strings.Contains(name, "_") {
			switch in.Underscores {
			case RejectUnderscores:
				return r, &Refusal{Status: http.StatusBadRequest}
			case DropUnderscores:
				continue
			}
		}
		for _, value := range r.Headers[name] {
			out.Headers.add(lower, strings.Trim(value, " \t"))
		}
	}
	var action PathAction
	out.Path, action = in.Paths.Normalize(r.Path, in.Era)
	switch {
	case action == PathRefused, action == PathRedirected && out.isGRPC():
		return r, &Refusal{Status: http.StatusBadRequest}
	case action == PathRedirected:
		return r, &Refusal{http.StatusTemporaryRedirect, out.Path}
	}
	return out, nil
}

// isGRPC says that a request is gRPC by its content type: application/grpc, alone or with a suffix or parameters.
func (r Request) isGRPC() bool {
	rest, ok := strings.CutPrefix(r.Headers.first("content-type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
