package gateway

import (
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/advise"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/istio/validate"
)

// Codes of findings about spellings of paths.
const (
	// PathPasses is about a rule that denies requests and does not match another spelling of its path, which is
	// forwarded.
	PathPasses = "WM-PATH-01"
	// ParametersPass is the same for a spelling that has a dot segment with parameters, which no flag resolves.
	ParametersPass = "WM-PATH-02"
)

// OwnCodes lists the kinds of findings that Istio's validation does not have, in the order of docs/findings.md. They are not
// part of a verdict.
func OwnCodes() []validate.Code { return ownCodes }

var (
	warned   = []diag.Severity{diag.Warning}
	informed = []diag.Severity{diag.Warning, diag.Notice}
)

// The codes WM01 are those of package lint, which imports this one.
var ownCodes = []validate.Code{
	{ID: "WM0101", Severities: informed, Summary: "a rule whose requests are all taken by earlier rules"},
	{ID: "WM0102", Severities: warned, Summary: "a rule whose conditions no request meets"},
	{ID: "WM0103", Severities: warned, Summary: "a rule behind one of the same VirtualService that takes every request"},
	{ID: "WM0104", Severities: warned, Summary: "a rule that is for no listener"},
	{ID: "WM0105", Severities: warned, Summary: "a rule of a delegate that contradicts the rule that delegates"},
	{ID: "WM0106", Severities: warned, Summary: "a rule that no request reaches on some hosts or ports"},
	{ID: "WM0110", Severities: warned, Summary: "a condition that every request meets"},
	{ID: "WM0111", Severities: warned, Summary: "a condition that other conditions of its match imply"},
	{ID: "WM0120", Severities: warned, Summary: "VirtualServices of one host whose order decides"},

	{ID: advise.CodeHiddenRetries, Severities: warned, Summary: "retries of a rule whose fault answers every request"},
	{ID: advise.CodeShortTimeout, Severities: warned, Summary: "a timeout that ends before the retries"},
	{ID: advise.CodeOtherSpelling, Severities: warned, Summary: "a rule that takes a path in spellings that a policy does not deny"},
	{ID: advise.CodeOtherNamespace, Severities: warned, Summary: "a host for the mesh whose service is in another namespace"},
	{ID: resource.CodePolicy, Severities: warned, Summary: "a policy that Waymark does not apply"},

	{ID: PathPasses, Severities: warned, Summary: "a rule that denies does not match another spelling of its path"},
	{ID: ParametersPass, Severities: informed, Summary: "a rule that denies does not match its path with parameters in a dot segment"},
	{ID: translate.CodeNoGateway, Severities: warned, Summary: "a VirtualService that names no Gateway, or one that is not there"},
	{ID: translate.CodeNoServer, Severities: warned, Summary: "a host that no server of the Gateways has"},
	{ID: translate.CodeNoDelegate, Severities: warned, Summary: "a rule that delegates to a VirtualService that is not there"},
	{ID: translate.CodeNoHost, Severities: warned, Summary: "a DestinationRule whose host no service has, although one has a similar host"},
	{ID: translate.CodeNoDestination, Severities: []diag.Severity{diag.Error, diag.Warning}, Summary: "a destination that is not there"},
	{ID: translate.CodeNoEndpoint, Severities: warned, Summary: "a destination without endpoints"},
	{ID: translate.CodeLost, Severities: warned, Summary: "what is missing without a refused object"},
}

func isOwn(id string) bool {
	return slices.ContainsFunc(ownCodes, func(c validate.Code) bool { return c.ID == id })
}
