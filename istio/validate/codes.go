package validate

import "waymark.dev/waymark/diag"

// Code is one kind of finding: a rule of Istio's validation, or one of Waymark's beyond it.
type Code struct {
	// ID is the code of the finding, which never changes, and the heading of its section in docs/findings.md.
	ID string
	// Severities are those that a finding of this kind can have: diag.Error where the object is refused, diag.Warning
	// where it is used all the same.
	Severities []diag.Severity
	// Beyond marks what Istio's validation does not find: it cannot be seen once the document has been decoded, or only
	// Envoy refuses it, or it is about an annotation of Waymark's. Such a finding counts like others, but is not part
	// of the verdict.
	Beyond bool
	// Summary describes the mistake in a few words.
	Summary string
}

// Codes are all kinds of findings, in the order of docs/findings.md.
func Codes() []Code { return codes }

var (
	refused = []diag.Severity{diag.Error}
	warned  = []diag.Severity{diag.Warning}
	either  = []diag.Severity{diag.Error, diag.Warning}
)

var codes = []Code{
	{"VAL-ANY-01", refused, false, "the annotation istio.io/dry-run on anything but an AuthorizationPolicy"},
	{"VAL-ANY-02", refused, false, "an annotation that Istio sets itself"},
	{"VAL-ANY-03", either, true, "an unknown or removed field, null where a value belongs, no name or a bad one"},
	{"VAL-ANY-04", refused, false, "a value that its field cannot hold"},
	{"VAL-ANY-05", either, true, "a value that the schema of the kind refuses"},
	{"VAL-ANY-06", warned, true, "a key twice"},
	{"VAL-ANY-07", warned, true, "an object that a later one of its name replaces"},
	{"VAL-ANY-08", warned, false, "a placeholder that was not replaced"},

	{"VAL-VS-01", refused, false, "a delegate, which has no hosts, with gateways, tls or tcp"},
	{"VAL-VS-02", refused, false, "a Gateway with a slash that is not NAMESPACE/NAME"},
	{"VAL-VS-03", refused, false, "a Gateway without a slash that is not a valid name"},
	{"VAL-VS-04", warned, false, "a Gateway named in the old form, with dots"},
	{"VAL-VS-05", refused, false, "a claim of a JWT matched in the mesh"},
	{"VAL-VS-06", refused, false, "a host that is neither a host name nor an IP address"},
	{"VAL-VS-07", refused, false, "the host * in the mesh"},
	{"VAL-VS-08", refused, false, "two hosts that match each other"},
	{"VAL-VS-09", refused, false, "none of http, tls and tcp"},
	{"VAL-VS-10", refused, true, "an http rule that is null"},
	{"VAL-VS-11", refused, false, "exportTo of a VirtualService that contradicts itself or names no namespace"},

	{"VAL-H-01", refused, false, "a rule that delegates, with route or redirect"},
	{"VAL-H-02", refused, false, "a delegate that delegates"},
	{"VAL-H-03", refused, false, "redirect together with route, fault, rewrite or directResponse"},
	{"VAL-H-04", refused, false, "directResponse together with route, fault or rewrite"},
	{"VAL-H-05", refused, false, "a rule without action"},
	{"VAL-H-06", refused, false, "mirror together with mirrors"},
	{"VAL-H-07", refused, true, "a condition on a header that is null"},
	{"VAL-H-08", refused, false, "a condition on a name that is not a header"},
	{"VAL-H-09", refused, false, "an empty prefix, or a bad regular expression, in a condition"},
	{"VAL-H-10", refused, false, "a bad regular expression for the path"},
	{"VAL-H-11", refused, false, "a bad port, label, Gateway or namespace in a match"},
	{"VAL-H-12", refused, false, "a header that cannot be changed"},
	{"VAL-H-13", refused, false, "a bad value for a header"},
	{"VAL-H-14", refused, false, "the authority set twice"},
	{"VAL-H-15", refused, false, "a bad origin in a corsPolicy"},
	{"VAL-H-16", refused, false, "an unknown method in a corsPolicy"},
	{"VAL-H-17", refused, false, "a bad name of a header in a corsPolicy"},
	{"VAL-H-18", refused, false, "a bad maxAge in a corsPolicy"},
	{"VAL-H-19", refused, false, "a fault without delay and abort"},
	{"VAL-H-20", refused, false, "a bad percentage of a fault"},
	{"VAL-H-21", refused, false, "an abort with an error of HTTP/2"},
	{"VAL-H-22", refused, false, "an abort with an unknown status"},
	{"VAL-H-23", warned, false, "an abort without status"},
	{"VAL-H-24", refused, false, "a bad delay"},
	{"VAL-H-25", either, false, "the deprecated mirrorPercent"},
	{"VAL-H-26", refused, false, "a bad percentage of a mirror"},
	{"VAL-H-27", refused, false, "a bad destination of a mirror"},
	{"VAL-H-28", refused, false, "prefixRewrite of a redirect together with uri, or without a prefix to rewrite"},
	{"VAL-H-29", refused, false, "a redirect that changes nothing"},
	{"VAL-H-30", refused, false, "a bad status, scheme or port of a redirect"},
	{"VAL-H-31", either, false, "a large body or a bad status of a directResponse"},
	{"VAL-H-32", refused, false, "negative attempts"},
	{"VAL-H-33", refused, false, "retries configured, with 0 attempts"},
	{"VAL-H-34", refused, false, "a bad duration in retries"},
	{"VAL-H-35", refused, false, "an unknown condition in retryOn"},
	{"VAL-H-36", refused, false, "a rewrite that is empty, ambiguous or incomplete"},
	{"VAL-H-37", refused, false, "a route without destination"},
	{"VAL-H-38", refused, false, "a bad host, subset or port of a destination"},
	{"VAL-H-39", refused, false, "bad weights"},
	{"VAL-H-40", refused, false, "a bad timeout"},
	{"VAL-H-41", refused, false, "bad headers of a single destination"},

	{"VAL-W-01", warned, false, "a second rule without match"},
	{"VAL-W-02", warned, false, "a match behind a rule without match"},
	{"VAL-W-03", warned, false, "a match that an earlier rule has"},
	{"VAL-W-04", warned, false, "a rule all of whose matches earlier rules have"},
	{"VAL-W-05", warned, false, "a prefix that an earlier prefix covers"},

	{"VAL-L-01", refused, false, "a tls rule without match, sniHosts or route"},
	{"VAL-L-02", refused, false, "an SNI host that is not a valid name, or that no host covers"},
	{"VAL-L-03", warned, false, "an SNI host that is an IP address"},
	{"VAL-L-04", refused, false, "a bad subnet, port, label or Gateway in a match of tls or tcp"},
	{"VAL-L-05", refused, false, "a tcp rule without route"},
	{"VAL-L-06", refused, false, "a bad destination or weight in tls or tcp"},

	{"VAL-G-01", refused, false, "a name of a Gateway that is not a DNS label"},
	{"VAL-G-02", refused, false, "no servers"},
	{"VAL-G-03", refused, false, "a server without hosts"},
	{"VAL-G-04", refused, false, "a bad host of a server"},
	{"VAL-G-05", refused, false, "a bad port of a server"},
	{"VAL-G-06", refused, false, "two ports of one name"},
	{"VAL-G-07", refused, false, "a bad address to bind"},
	{"VAL-G-08", refused, false, "HTTPS or TLS without tls"},
	{"VAL-G-09", refused, false, "certificates on a port that speaks plain HTTP"},
	{"VAL-G-10", refused, false, "tls on a port that speaks neither HTTP nor TLS"},
	{"VAL-G-11", warned, false, "httpsRedirect on a port that does not speak plain HTTP"},
	{"VAL-G-12", warned, false, "an old version of TLS without ciphers for it, or bad ciphers"},
	{"VAL-G-13", refused, false, "ISTIO_MUTUAL with certificates"},
	{"VAL-G-14", warned, false, "passthrough with certificates"},
	{"VAL-G-15", refused, false, "more than one source of certificates"},
	{"VAL-G-16", refused, false, "a certificate or key that is missing"},
	{"VAL-G-17", warned, false, "more than two tlsCertificates"},
	{"VAL-G-18", refused, false, "caCrl where it cannot be used"},

	{"VAL-D-01", refused, false, "a bad host of a DestinationRule"},
	{"VAL-D-02", refused, false, "an empty policy"},
	{"VAL-D-03", refused, false, "a bad tunnel or proxyProtocol"},
	{"VAL-D-04", refused, false, "a bad subset"},
	{"VAL-D-05", refused, false, "a policy of a port without the port"},
	{"VAL-D-06", refused, false, "a bad connectionPool"},
	{"VAL-D-07", warned, false, "the deprecated consecutiveErrors"},
	{"VAL-D-08", refused, false, "a bad outlierDetection"},
	{"VAL-D-09", refused, false, "a bad httpCookie"},
	{"VAL-D-10", either, false, "the deprecated minimumRingSize"},
	{"VAL-D-11", refused, false, "a bad size of a Maglev table"},
	{"VAL-D-12", refused, false, "bad preferences of localities"},
	{"VAL-D-13", warned, false, "failover without outlierDetection"},
	{"VAL-D-14", refused, false, "a bad warmup"},
	{"VAL-D-15", refused, false, "bad tls towards a destination"},
	{"VAL-D-16", refused, false, "exportTo of a DestinationRule that contradicts itself or names no namespace"},
	{"VAL-D-17", either, false, "a workloadSelector of a DestinationRule that selects nothing or everything"},

	{"VAL-S-01", refused, false, "no host, or a bad host of a ServiceEntry"},
	{"VAL-S-02", warned, false, "a host with a star for a part of a label"},
	{"VAL-S-03", either, false, "a bad workloadSelector of a ServiceEntry, or one together with endpoints"},
	{"VAL-S-04", refused, false, "a bad address"},
	{"VAL-S-05", refused, false, "a bad port of a ServiceEntry"},
	{"VAL-S-06", warned, false, "a TCP port without an address"},
	{"VAL-S-07", either, false, "resolution NONE with endpoints or workloadSelector"},
	{"VAL-S-08", either, false, "a bad endpoint for resolution STATIC"},
	{"VAL-S-09", refused, false, "a host that cannot be resolved by DNS"},
	{"VAL-S-10", refused, false, "several endpoints for resolution DNS_ROUND_ROBIN"},
	{"VAL-S-11", refused, false, "a bad endpoint for resolution DNS"},
	{"VAL-S-12", warned, false, "several hosts by one address and TCP port"},
	{"VAL-S-13", refused, false, "what resolution DYNAMIC_DNS cannot have"},
	{"VAL-S-14", refused, false, "several hosts on a port that does not tell them apart"},
	{"VAL-S-15", refused, false, "exportTo of a ServiceEntry that contradicts itself or names no namespace"},

	{"VAL-E-01", either, false, "a bad address, port or label of a WorkloadEntry"},

	{"VAL-X-01", refused, true, "a text that must not be written where Envoy would write it"},
	{"VAL-X-02", either, true, "a command operator that Envoy refuses in a header's value"},
	{"VAL-X-03", either, true, "an expression that some Envoys refuse"},
	{"VAL-X-04", warned, true, "a header that belongs to one connection"},
	{"VAL-X-05", refused, true, "a list of ciphers that Envoy refuses"},
	{"VAL-X-06", warned, true, "an expression that is too costly for the filter"},
	{"VAL-X-07", refused, true, "an unknown annotation of Waymark's, or a bad value for one"},
	{"VAL-X-08", either, true, "an interval of a retry budget, which older Envoys do not have"},
}

// IsBeyond reports whether Istio's validation does not find what the code with this ID stands for. An unknown ID, ""
// included, is false.
func IsBeyond(id string) bool {
	for _, c := range codes {
		if c.ID == id {
			return c.Beyond
		}
	}
	return false
}
