// Package version has what differs between the minor versions of Envoy 1 that Waymark writes for, in one table. It depends
// on nothing, so that whoever follows Envoy's behaviour can ask it: the model, the translator and the builders of
// configuration.
//
// A version that is new adds its number to the range, what it does differently to [Behaviour] and [Of], and its release to
// the pins in the Makefile. Code asks for a behaviour by its name and never compares numbers.
package version

import "strconv"

// The minor versions that are supported, and the one that is meant where none is named.
const (
	Oldest  = 36
	Newest  = 40
	Default = 39
)

// Range is a range of minor versions, both of them in it.
type Range struct{ From, To int }

// All are the supported versions.
var All = Range{Oldest, Newest}

// Only is the range of one version.
func Only(minor int) Range { return Range{minor, minor} }

// String is the range as a reader writes it: 1.36 to 1.40, or 1.36.
func (r Range) String() string {
	if r.From == r.To {
		return "1." + strconv.Itoa(r.From)
	}
	return "1." + strconv.Itoa(r.From) + " to 1." + strconv.Itoa(r.To)
}

// Supported says whether Waymark writes for Envoy 1.minor.
func Supported(minor int) bool { return Oldest <= minor && minor <= Newest }

// Nearest is the supported version that is nearest to a minor version.
func Nearest(minor int) int { return min(max(minor, Oldest), Newest) }

// The minor versions that brought what a configuration can name. An Envoy before them refuses the whole configuration, and
// the message to the user names them.
const (
	// ListenerFilterChainMetadata is %METADATA(LISTENER_FILTER_CHAIN)% (stream_info_formatter.cc).
	ListenerFilterChainMetadata = 37
	// DynamicMetadataLength is the length of %DYNAMIC_METADATA(...):length% (stream_info_formatter.cc).
	DynamicMetadataLength = 37
	// ConnectionOperators are command operators for upstream attempts and for who closed a connection
	// (stream_info_formatter.cc).
	ConnectionOperators = 38
	// AddressMask is the argument of operators such as %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%
	// (stream_info_formatter.cc).
	AddressMask = 38
	// RetryBudgetInterval is retry_budget.budget_interval of a cluster (circuit_breaker.proto).
	RetryBudgetInterval = 39
)

// Behaviour is what an Envoy does with a request, or wants in its configuration, where versions differ. Each field is false
// for versions on one side of a change.
type Behaviour struct {
	// RepeatedHeadersJoined: a rule compares the values of a repeated header as one, joined by commas. Else it compares
	// them one by one, and one match suffices (header_utility.cc).
	RepeatedHeadersJoined bool
	// RegexReadsUTF8: regular expressions, and what they are compared with, are read as UTF-8. Else as bytes, in RE2's
	// Latin-1 mode (common/regex.cc).
	RegexReadsUTF8 bool
	// DropsDotSegmentParameters: when a path is normalised, "/..;x/" is a dot segment like "/../" (path_utility.cc).
	DropsDotSegmentParameters bool

	// KnowsQueryMethod: the codec of HTTP/1.1 takes the method QUERY (balsa_parser.cc), and the connection manager refuses
	// such a request without content-type (conn_manager_impl.cc).
	KnowsQueryMethod bool
	// HTTP2RefusesEmptyHost: the codec of HTTP/2 refuses an empty Host or :authority (http2/codec_impl.cc).
	HTTP2RefusesEmptyHost bool
	// HTTP2RefusesRepeatedHost: the codec of HTTP/2 refuses more than one Host (http2/codec_impl.cc).
	HTTP2RefusesRepeatedHost bool
	// HTTP2IgnoresCaseOfTE: the codec of HTTP/2 takes "Trailers" for "trailers" (http2/codec_impl.cc).
	HTTP2IgnoresCaseOfTE bool
	// HTTP2CountsCookies: cookies count for the limits on number and length of headers (http2/codec_impl.cc).
	HTTP2CountsCookies bool
	// HTTP2BoundsEachCrumb: a single cookie header that is longer than all headers may be is refused, although cookies do
	// not count (http2/codec_impl.cc).
	HTTP2BoundsEachCrumb bool
	// HTTP2CountsHost: Host counts for the limits on number and length of headers (http2/codec_impl.cc).
	HTTP2CountsHost bool

	// VirtualHostsOverADS: virtual hosts can be resources of their own on an ADS stream. Else Envoy refuses a route
	// configuration that says so, and asks for a stream for them alone (vhds.cc).
	VirtualHostsOverADS bool
	// RestrictsCapabilitiesOfVM: capability_restriction_config is a field of the Wasm VM. Else it is one of the plugin, a
	// field that newer versions have deprecated (wasm.proto).
	RestrictsCapabilitiesOfVM bool
}

// Of is the behaviour of Envoy 1.minor.
func Of(minor int) Behaviour {
	return Behaviour{
		RepeatedHeadersJoined:     minor < 39,
		RegexReadsUTF8:            minor < 39,
		DropsDotSegmentParameters: minor >= 39,

		KnowsQueryMethod:         minor >= 40,
		HTTP2RefusesEmptyHost:    minor >= 37,
		HTTP2RefusesRepeatedHost: minor >= 37,
		HTTP2IgnoresCaseOfTE:     minor >= 37,
		HTTP2CountsCookies:       minor >= 38,
		HTTP2BoundsEachCrumb:     minor < 37,
		HTTP2CountsHost:          minor >= 39,

		VirtualHostsOverADS:       minor >= 37,
		RestrictsCapabilitiesOfVM: minor >= 40,
	}
}
