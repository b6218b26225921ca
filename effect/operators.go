package effect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

// CheckFormat returns why Envoy 1.minor refuses a header value because of its command operators, or nil. Envoy refuses
// the whole configuration that has such a value. (Envoy: substitution_formatter.cc, stream_info_formatter.cc; compared
// with real Envoys by e2e/envoy/operators_test.go.)
func CheckFormat(value string, minor int) error {
	return checkFormat(value, minor, version.Only(minor))
}

// checkFormat is [CheckFormat] for one of several Envoys, which the message names.
func checkFormat(value string, minor int, envoys version.Range) error {
	for rest := value; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return nil
		}
		rest = rest[i+1:]
		if strings.HasPrefix(rest, "%") {
			rest = rest[1:]
			continue
		}
		n := operatorLength(rest)
		if n < 0 {
			return errors.New("a percent sign is written %%, or encloses a command operator such as %REQ(name)%")
		}
		if err := checkOperator(rest[:n], minor, envoys); err != nil {
			return fmt.Errorf("%%%s%%: %w", rest[:n], err)
		}
		rest = rest[n+1:]
	}
}

// CheckFormats is [CheckFormat] for the newest and the oldest of several Envoys. err is why one of them refuses the
// value, or nil; everywhere is set if both do.
func CheckFormats(value string, envoys version.Range) (err error, everywhere bool) {
	newest, oldest := checkFormat(value, envoys.To, envoys), checkFormat(value, envoys.From, envoys)
	if newest != nil {
		return newest, oldest != nil
	}
	return oldest, false
}

// operator is what may follow the name of a command operator.
type operator struct {
	needsArgument, takesArgument, takesLength bool
	// since, argumentSince and lengthSince are the first minor versions of Envoy that have the operator, accept an
	// argument and accept a length; 0 is all versions.
	since, argumentSince, lengthSince int
	// check returns what is wrong with an argument, or "". If check is nil, every argument is accepted.
	check func(argument string, minor int) string
}

func checkOperator(text string, minor int, envoys version.Range) error {
	name, argument, length := splitOperator(text)
	o, ok := operators[name]
	switch {
	case !ok:
		return errors.New("no Envoy has a command operator of that name; each would refuse the whole configuration")
	case o.since > minor:
		return fmt.Errorf("it came with Envoy 1.%d, and this is for %s", o.since, envoys)
	case length != "" && !o.takesLength:
		return errors.New("no length can be given")
	case length != "" && o.lengthSince > minor:
		return fmt.Errorf("it takes a length from Envoy 1.%d on, and this is for %s", o.lengthSince, envoys)
	case argument == "" && o.needsArgument:
		return errors.New("an argument in parentheses is missing")
	case argument == "":
		return nil
	case !o.takesArgument:
		return errors.New("it takes no argument")
	case o.argumentSince > minor:
		return fmt.Errorf("it takes an argument from Envoy 1.%d on, and this is for %s", o.argumentSince, envoys)
	case o.check != nil:
		if problem := o.check(argument, minor); problem != "" {
			return errors.New(problem)
		}
	}
	return nil
}

// OperatorNames are the command operators of Envoy 1.minor, sorted.
func OperatorNames(minor int) []string {
	var names []string
	for name, o := range operators {
		if o.since <= minor {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

var operators = func() map[string]operator {
	all := map[string]operator{}
	for _, name := range plainOperators {
		all[name] = operator{}
	}
	for _, name := range connectionOperators {
		all[name] = operator{since: version.ConnectionOperators}
	}
	maps.Copy(all, operatorsWithArgument)
	return all
}()

var (
	anyArgument = operator{takesArgument: true}
	header      = operator{needsArgument: true, takesArgument: true, takesLength: true, check: checkHeaders}
	filterState = operator{needsArgument: true, takesArgument: true, takesLength: true, check: checkFilterState}
	needed      = operator{needsArgument: true, takesArgument: true, takesLength: true}
	neededAlone = operator{needsArgument: true, takesArgument: true}
	maskable    = operator{takesArgument: true, argumentSince: version.AddressMask}
)

var operatorsWithArgument = map[string]operator{
	"REQ": header, "RESP": header, "TRAILER": header,
	"FILTER_STATE": filterState, "UPSTREAM_FILTER_STATE": filterState,
	"PER_REQUEST_STATE": {needsArgument: true, takesArgument: true, check: checkPerRequestState},
	"DYNAMIC_METADATA":  {needsArgument: true, takesArgument: true, takesLength: true, lengthSince: version.DynamicMetadataLength},
	"CLUSTER_METADATA":  neededAlone, "UPSTREAM_METADATA": neededAlone,
	"METADATA":        {needsArgument: true, takesArgument: true, takesLength: true, check: checkMetadata},
	"PATH":            {takesArgument: true, takesLength: true, check: checkPathOptions},
	"COMMON_DURATION": {needsArgument: true, takesArgument: true, check: checkDuration},
	"GRPC_STATUS":     {takesArgument: true, check: checkGRPCStatus},
	"ENVIRONMENT":     needed, "QUERY_PARAM": needed,
	"RESPONSE_CODE_DETAILS": anyArgument, "START_TIME": anyArgument, "START_TIME_LOCAL": anyArgument, "EMIT_TIME": anyArgument, "EMIT_TIME_LOCAL": anyArgument,
	"DOWNSTREAM_PEER_CERT_V_START": anyArgument, "DOWNSTREAM_PEER_CERT_V_END": anyArgument, "UPSTREAM_PEER_CERT_V_START": anyArgument, "UPSTREAM_PEER_CERT_V_END": anyArgument,
	"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": maskable, "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": maskable, "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": maskable,
	"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT": maskable, "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": maskable, "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": maskable,
}

// checkHeaders accepts NAME or NAME?OTHER.
func checkHeaders(argument string, _ int) string {
	names := strings.Split(argument, "?")
	if len(names) > 2 {
		return "there is more than one alternative header"
	}
	for _, name := range names {
		if name != "" && !isToken(strings.TrimPrefix(name, ":")) {
			return fmt.Sprintf("%q is not the name of a header", name)
		}
	}
	return ""
}

// checkFilterState accepts KEY, KEY:PLAIN, KEY:TYPED and KEY:FIELD:NAME.
func checkFilterState(argument string, _ int) string {
	key, rest, _ := strings.Cut(argument, ":")
	form, field, _ := strings.Cut(rest, ":")
	switch {
	case key == "":
		return "the key is empty"
	case form != "" && form != "PLAIN" && form != "TYPED" && form != "FIELD":
		return fmt.Sprintf("%q is not PLAIN, TYPED or FIELD", form)
	case (form == "FIELD") != (strings.Trim(field, ":") != ""):
		return "FIELD, and only that, is followed by the name of a field"
	}
	return ""
}

func checkPerRequestState(argument string, minor int) string {
	if key, _, ok := strings.Cut(argument, ":"); ok && !strings.HasPrefix(argument, key+":FIELD:") {
		return "a key has no colon"
	}
	return checkFilterState(argument, minor)
}

// checkMetadata accepts TYPE, and anything after a colon.
func checkMetadata(argument string, minor int) string {
	kind, _, _ := strings.Cut(argument, ":")
	switch kind {
	case "ROUTE", "CLUSTER", "UPSTREAM_HOST", "LISTENER", "VIRTUAL_HOST", "DYNAMIC":
		return ""
	case "LISTENER_FILTER_CHAIN":
		if minor >= version.ListenerFilterChainMetadata {
			return ""
		}
		return fmt.Sprintf("Envoy has LISTENER_FILTER_CHAIN from 1.%d on", version.ListenerFilterChainMetadata)
	}
	return fmt.Sprintf("%q is not ROUTE, CLUSTER, UPSTREAM_HOST, LISTENER, LISTENER_FILTER_CHAIN, VIRTUAL_HOST or DYNAMIC", kind)
}

// checkPathOptions accepts WQ or NQ, and ORIG, PATH or ORIG_OR_PATH after a colon. Both may be empty.
func checkPathOptions(argument string, _ int) string {
	parts := strings.Split(argument, ":")
	if !slices.Contains([]string{"", "WQ", "NQ"}, parts[0]) {
		return fmt.Sprintf("%q is not WQ or NQ", parts[0])
	}
	if len(parts) > 1 && !slices.Contains([]string{"", "ORIG", "PATH", "ORIG_OR_PATH"}, parts[1]) {
		return fmt.Sprintf("%q is not ORIG, PATH or ORIG_OR_PATH", parts[1])
	}
	return ""
}

// checkDuration accepts START:END and START:END:PRECISION.
func checkDuration(argument string, _ int) string {
	parts := strings.Split(argument, ":")
	if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && !slices.Contains([]string{"ms", "us", "ns"}, parts[2]) {
		return "it is not START:END or START:END:PRECISION with ms, us or ns"
	}
	return ""
}

func checkGRPCStatus(argument string, _ int) string {
	if !slices.Contains([]string{"CAMEL_STRING", "SNAKE_STRING", "NUMBER"}, argument) {
		return fmt.Sprintf("%q is not CAMEL_STRING, SNAKE_STRING or NUMBER", argument)
	}
	return ""
}

// splitOperator splits NAME(argument):length.
func splitOperator(text string) (name, argument, length string) {
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		name, length, _ = strings.Cut(text, ":")
		return name, "", length
	}
	end := strings.LastIndexByte(rest, ')')
	if end < 0 {
		return name, rest, ""
	}
	return name, rest[:end], strings.TrimPrefix(rest[end+1:], ":")
}

// operatorLength returns the length of an operator at the start of a text, without the percent sign that ends it; -1 if
// there is none. An argument ends at the first closing parenthesis after which the operator ends, too; it may contain
// other parentheses and percent signs.
func operatorLength(text string) int {
	i := 0
	for i < len(text) && (text[i] == '_' || '0' <= text[i] && text[i] <= '9' || 'A' <= text[i] && text[i] <= 'Z') {
		i++
	}
	if i == 0 {
		return -1
	}
	if i == len(text) || text[i] != '(' {
		return operatorEnd(text, i)
	}
	for i++; i < len(text); i++ {
		if text[i] == ')' {
			if end := operatorEnd(text, i+1); end >= 0 {
				return end
			}
		}
	}
	return -1
}

// operatorEnd returns the index of the percent sign at i, or after a length that begins at i; -1 if there is none.
func operatorEnd(text string, i int) int {
	if i < len(text) && text[i] == ':' {
		begin := i + 1
		for i++; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		}
		if i == begin {
			return -1
		}
	}
	if i == len(text) || text[i] != '%' {
		return -1
	}
	return i
}

// plainOperators accept neither an argument nor a length. All supported versions of Envoy have them.
var plainOperators = []string{
	"BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_ID", "CONNECTION_TERMINATION_DETAILS", "CUSTOM_FLAGS",
	"DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "DOWNSTREAM_DIRECT_LOCAL_PORT", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
	"DOWNSTREAM_DIRECT_REMOTE_PORT", "DOWNSTREAM_HANDSHAKE_DURATION", "DOWNSTREAM_HEADER_BYTES_RECEIVED",
	"DOWNSTREAM_HEADER_BYTES_SENT", "DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_LOCAL_DNS_SAN",
	"DOWNSTREAM_LOCAL_EMAIL_SAN", "DOWNSTREAM_LOCAL_IP_SAN", "DOWNSTREAM_LOCAL_OTHERNAME_SAN", "DOWNSTREAM_LOCAL_PORT",
	"DOWNSTREAM_LOCAL_SUBJECT", "DOWNSTREAM_LOCAL_URI_SAN", "DOWNSTREAM_PEER_CERT",
	"DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1", "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256", "DOWNSTREAM_PEER_CHAIN_SERIALS",
	"DOWNSTREAM_PEER_DNS_SAN", "DOWNSTREAM_PEER_EMAIL_SAN", "DOWNSTREAM_PEER_FINGERPRINT_1",
	"DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_IP_SAN", "DOWNSTREAM_PEER_ISSUER",
	"DOWNSTREAM_PEER_OTHERNAME_SAN", "DOWNSTREAM_PEER_SERIAL", "DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_URI_SAN",
	"DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_PORT", "DOWNSTREAM_TLS_CIPHER", "DOWNSTREAM_TLS_SESSION_ID",
	"DOWNSTREAM_TLS_VERSION", "DOWNSTREAM_TRANSPORT_FAILURE_REASON", "DOWNSTREAM_WIRE_BYTES_RECEIVED",
	"DOWNSTREAM_WIRE_BYTES_SENT", "DURATION", "FILTER_CHAIN_NAME", "GRPC_STATUS_NUMBER", "HOSTNAME", "LOCAL_REPLY_BODY",
	"PROTOCOL", "REQUESTED_SERVER_NAME", "REQUEST_DURATION", "REQUEST_HEADERS_BYTES", "REQUEST_TX_DURATION",
	"RESPONSE_CODE", "RESPONSE_DURATION", "RESPONSE_FLAGS", "RESPONSE_FLAGS_LONG", "RESPONSE_HEADERS_BYTES",
	"RESPONSE_TRAILERS_BYTES", "RESPONSE_TX_DURATION", "ROUNDTRIP_DURATION", "ROUTE_NAME", "STREAM_ID",
	"TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT", "TRACE_ID", "UNIQUE_ID", "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW",
	"UPSTREAM_CONNECTION_ID", "UPSTREAM_CONNECTION_POOL_READY_DURATION", "UPSTREAM_HEADER_BYTES_RECEIVED",
	"UPSTREAM_HEADER_BYTES_SENT", "UPSTREAM_HOST", "UPSTREAM_HOST_NAME", "UPSTREAM_HOST_NAME_WITHOUT_PORT",
	"UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_LOCAL_DNS_SAN", "UPSTREAM_LOCAL_IP_SAN", "UPSTREAM_LOCAL_PORT",
	"UPSTREAM_LOCAL_URI_SAN", "UPSTREAM_PEER_CERT", "UPSTREAM_PEER_DNS_SAN", "UPSTREAM_PEER_IP_SAN",
	"UPSTREAM_PEER_ISSUER", "UPSTREAM_PEER_SUBJECT", "UPSTREAM_PEER_URI_SAN", "UPSTREAM_PROTOCOL",
	"UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REMOTE_PORT", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "UPSTREAM_TLS_CIPHER",
	"UPSTREAM_TLS_SESSION_ID", "UPSTREAM_TLS_VERSION", "UPSTREAM_TRANSPORT_FAILURE_REASON",
	"UPSTREAM_WIRE_BYTES_RECEIVED", "UPSTREAM_WIRE_BYTES_SENT", "VIRTUAL_CLUSTER_NAME",
}

// connectionOperators accept neither an argument nor a length. Envoy has them since the minor version
// [version.ConnectionOperators].
var connectionOperators = []string{
	"DOWNSTREAM_DETECTED_CLOSE_TYPE", "DOWNSTREAM_LOCAL_CLOSE_REASON", "SPAN_ID", "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
	"UPSTREAM_DETECTED_CLOSE_TYPE", "UPSTREAM_HOSTS_ATTEMPTED", "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
	"UPSTREAM_HOST_NAMES_ATTEMPTED", "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT", "UPSTREAM_LOCAL_CLOSE_REASON",
}

// Operators returns the command operators in a rule's header operations, in order and each once: NAME, NAME(argument)
// or NAME(argument):length.
func Operators(r *plan.Rule) []string {
	var out []string
	seen := map[string]bool{}
	r.EachValue(func(value string) {
		format(value, func(operator string) string {
			if !seen[operator] {
				seen[operator] = true
				out = append(out, operator)
			}
			return ""
		})
	})
	return out
}
