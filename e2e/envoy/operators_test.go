package envoy

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
)

// operatorForms are the ways in which a command operator may be written; %s is its name.
var operatorForms = []string{"%%%s%%", "%%%s()%%", "%%%s(a)%%", "%%%s(a:b)%%", "%%%s(ROUTE:a)%%", "%%%s:5%%", "%%%s(a):5%%", "%%%s(a:b):5%%", "%%%s(x?y)%%", "%%%s(%%Y)%%", "a %%%s(a:FIELD:b)%% b"}

// formatted are values of headers, good and bad ones.
var formatted = []string{
	"%REQ(a)%", "%REQ(:path)%", "%REQ(:PATH?b)%", "%REQ(a?)%", "%REQ(?a)%", "%REQ(a?b?c)%", "%REQ(a b)%", "%REQ( a)%", "%REQ(a:)%", "%REQ(a:b)%",
	"%REQ(:)%", "%REQ(a,b)%", "%REQ(ü)%", "%REQ(a_b)%", "%REQ(a/b)%", "%REQ(A)%", "%REQ(a\"b)%", "%REQ(a\\tb)%", "%REQ(a;b)%", "%REQ(@)%", "%REQ(a)b)%",
	"%REQ(a%)%", "%REQ(a):0%", "%REQ(a):1%", "%REQ(a):99999999999%", "%REQ(a):%", "%REQ(a):-1%", "%REQ(a):1x%", "%REQ(a%", "%REQ(a) %", "%REQ (a)%",
	"%REQ%", "%", "%%", "a%b", "%req(a)%", "%%REQ(a)%%", "100%", "%A B%", "%FILTER_STATE(a:PLAIN)%", "%FILTER_STATE(a:TYPED)%",
	"%FILTER_STATE(a:FIELD:x)%", "%FILTER_STATE(a:FIELD)%", "%FILTER_STATE(a:X)%", "%FILTER_STATE(:PLAIN)%", "%FILTER_STATE()%",
	"%FILTER_STATE(a:PLAIN:x)%", "%FILTER_STATE(a:TYPED:x)%", "%FILTER_STATE(a:FIELD:)%", "%FILTER_STATE(a:)%", "%FILTER_STATE(a:plain)%",
	"%FILTER_STATE(a:FIELD:x:y)%", "%FILTER_STATE(a:PLAIN):3%", "%FILTER_STATE(a b)%", "%UPSTREAM_FILTER_STATE(a:X)%",
	"%UPSTREAM_FILTER_STATE(a:FIELD:x)%", "%UPSTREAM_FILTER_STATE(a:PLAIN)%", "%DYNAMIC_METADATA(a)%", "%DYNAMIC_METADATA(a:b)%",
	"%DYNAMIC_METADATA(:)%", "%DYNAMIC_METADATA()%", "%DYNAMIC_METADATA(a:b:c)%", "%DYNAMIC_METADATA([\"a\",\"b\"])%", "%DYNAMIC_METADATA(a:b):3%",
	"%CLUSTER_METADATA(a)%", "%UPSTREAM_METADATA(a:b)%", "%UPSTREAM_METADATA([\"a\", \"b\"])%", "%UPSTREAM_METADATA([\"a\"])%",
	"%UPSTREAM_METADATA([a])%", "%UPSTREAM_METADATA()%", "%METADATA(ROUTE:a)%", "%METADATA(CLUSTER:a:b)%", "%METADATA(UPSTREAM_HOST:a)%",
	"%METADATA(LISTENER:a)%", "%METADATA(VIRTUAL_HOST:a)%", "%METADATA(LISTENER_FILTER_CHAIN:a)%", "%METADATA(DYNAMIC:a)%", "%METADATA(X:a)%",
	"%METADATA(ROUTE)%", "%METADATA(ROUTE:)%", "%METADATA(route:a)%", "%METADATA(ROUTE:a:b:c)%", "%METADATA(ROUTE:a):3%", "%PATH%", "%PATH(WQ)%",
	"%PATH(NQ)%", "%PATH(DYN)%", "%PATH(WQ:ORIG)%", "%PATH(NQ:PATH)%", "%PATH(WQ:ORIG_OR_PATH)%", "%PATH(X)%", "%PATH(WQ:X)%", "%PATH(:ORIG)%",
	"%PATH(WQ:)%", "%PATH(WQ:ORIG:x)%", "%PATH():3%", "%PATH(WQ):3%", "%PATH(DYN:ORIG)%", "%PATH( )%", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%",
	"%COMMON_DURATION(DS_RX_BEG:DS_TX_END)%", "%COMMON_DURATION(a:b:ms)%", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
	"%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ns)%", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:x)%",
	"%COMMON_DURATION(DS_RX_BEG)%", "%COMMON_DURATION(:b)%", "%COMMON_DURATION(a:)%", "%COMMON_DURATION(a:b:ms:d)%", "%COMMON_DURATION(a::ms)%",
	"%COMMON_DURATION()%", "%PER_REQUEST_STATE(a)%", "%PER_REQUEST_STATE(a:b)%", "%PER_REQUEST_STATE(a.b)%", "%PER_REQUEST_STATE()%",
	"%PER_REQUEST_STATE(a b)%", "%QUERY_PARAM(a)%", "%QUERY_PARAM()%", "%QUERY_PARAM(a):1%", "%ENVIRONMENT()%", "%ENVIRONMENT(A)%",
	"%ENVIRONMENT(A=B)%", "%ENVIRONMENT(A):1%", "%START_TIME(%s)%", "%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "%START_TIME(%E3S)%", "%START_TIME(%f)%",
	"%START_TIME(%3f)%", "%START_TIME(%q)%", "%START_TIME(%)%", "%START_TIME(%%)%", "%START_TIME():3%", "%EMIT_TIME(a)%",
	"%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "%RESPONSE_CODE_DETAILS(x)%", "%START_TIME(\n)%", "%START_TIME(a\nb)%", "%DURATION(1)%",
	"%DURATION()%", "%PROTOCOL(x)%", "%PROTOCOL:3%", "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(x)%",
	"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(MASK_PREFIX_LEN:16)%", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(MASK_PREFIX_LEN)%",
	"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(MASK_PREFIX_LEN:x)%", "%TRACE_ID(a)%", "%CUSTOM_FLAGS(a)%", "%SECRET(x)%", "%FILTER_CHAIN_NAME(x)%",
	"%ROUTE_NAME%:%PROTOCOL%", " %PROTOCOL% ", "%PROTOCOL%%PROTOCOL%", "%TRAILER(x)%", "%GRPC_STATUS(SNAKE_STRING)%", "%GRPC_STATUS(CAMEL_STRING)%",
	"%GRPC_STATUS(NUMBER)%", "%GRPC_STATUS(X)%", "a\tb", "é", "%RESP(x?y):3%", "%DOWNSTREAM_PEER_CERT_V_START(x)%",
	"%DOWNSTREAM_PEER_CERT_V_START():3%", "%REQ(:foo)%", "%REQ(:a:b)%", "%REQ(::path)%", "%REQ(a?:b)%", "%REQ(a?b:c)%", "%REQ(?)%", "%REQ(a|b)%",
	"%REQ(a~b)%", "%REQ(a!b#c$d&e'f*g+h.i^j`k)%", "%FILTER_STATE(a::x)%", "%FILTER_STATE(a::)%", "%FILTER_STATE(a:FIELD::)%",
	"%FILTER_STATE(a:PLAIN:)%", "%PER_REQUEST_STATE(a:PLAIN)%", "%PER_REQUEST_STATE(a:PLAIN:x)%", "%PER_REQUEST_STATE(:PLAIN)%",
	"%PER_REQUEST_STATE(a:FIELD:x)%", "%PER_REQUEST_STATE(a:TYPED)%", "%PER_REQUEST_STATE(a:)%", "%PER_REQUEST_STATE(a):3%", "%COMMON_DURATION(a:b:)%",
	"%COMMON_DURATION(a:b:ms):3%", "%COMMON_DURATION(::)%", "%COMMON_DURATION(:)%", "%METADATA(:a)%", "%METADATA()%", "%METADATA(ROUTE )%",
	"%CLUSTER_METADATA%", "%CLUSTER_METADATA()%", "%CLUSTER_METADATA(a:b):3%", "%CLUSTER_METADATA(a b)%", "%CLUSTER_METADATA(:)%", "%GRPC_STATUS(X):3%",
	"%GRPC_STATUS_NUMBER(NUMBER)%", "%GRPC_STATUS(number)%", "%PATH(:)%", "%PATH(WQ:PATH:x:y)%", "%RESPONSE_CODE_DETAILS:3%", "%TRAILER()%", "%RESP()%",
	"%REQ():3%", "%CEL(%", "%CEL()%", "%CEL(a b c)%", "%COALESCE(a)%", "%FILTER_STATE(a\nb)%", "%START_TIME(a)b)%", "%START_TIME(a(b)%",
	"%DYNAMIC_METADATA(a(b)%", "%UPSTREAM_METADATA(a):3%", "%QUERY_PARAM(a?b)%", "%QUERY_PARAM( )%", "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT():3%",
	"%REQ(ab%%)%", "%A%", "%0%", "%_%", "%REQ(a)%REQ(b)%", "%%%REQ(a)%", "%REQ(a)%%%", "%%%", "%%%%", "%REQ(a?b):3%x%%",
}

// TestEnvoysTakeTheFormats holds plan.CheckFormat against real Envoys, value by value: of every command operator in every
// form, and of values that look like one, each Envoy takes those that we take, and no others.
func TestEnvoysTakeTheFormats(t *testing.T) {
	values := append([]string{"%NO_SUCH_OPERATOR%"}, formatted...)
	for _, name := range effect.OperatorNames(version.Newest) {
		for _, form := range operatorForms {
			values = append(values, fmt.Sprintf(form, name))
		}
	}
	var questions []envoytest.Question
	for _, value := range values {
		questions = append(questions, envoytest.Question{Route: map[string]any{"request_headers_to_add": []any{map[string]any{"header": map[string]any{"key": "x", "value": value}}}}})
	}
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			refused, err := envoytest.Refusals(context.Background(), b, t.TempDir(), questions)
			require.NoError(t, err)
			good, bad := 0, 0
			for i, value := range values {
				err := effect.CheckFormat(value, b.Minor)
				if err == nil { // what must not be in any value is another question
					err = effect.CheckWritable(value, effect.HeaderValue)
				}
				assert.Equal(t, refused[i] == "", err == nil, "%q: we: %v, Envoy: %s", value, err, refused[i])
				if refused[i] == "" {
					good++
				} else {
					bad++
				}
			}
			assert.Greater(t, good, 300)
			assert.Greater(t, bad, 800)
		})
	}
}
