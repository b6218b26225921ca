package envoy

import (
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// AccessLogFormat is the form of the access log on standard output.
type AccessLogFormat string

// The forms: one JSON object a line, or one line of text for people.
const (
	AccessLogJSON AccessLogFormat = "json"
	AccessLogText AccessLogFormat = "text"
)

// httpFields are what is logged of each request, its rule and destination among it.
var httpFields = []string{
	"time=%START_TIME%", "method=%REQ(:METHOD)%", "authority=%REQ(:AUTHORITY)%", "path=%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
	"protocol=%PROTOCOL%", "status=%RESPONSE_CODE%", "flags=%RESPONSE_FLAGS%", "details=%RESPONSE_CODE_DETAILS%", "rule=%ROUTE_NAME%",
	"cluster=%UPSTREAM_CLUSTER_RAW%", "upstream=%UPSTREAM_HOST%", "duration_ms=%DURATION%", "bytes_in=%BYTES_RECEIVED%",
	"bytes_out=%BYTES_SENT%", "client=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "request_id=%REQ(X-REQUEST-ID)%",
}

const httpText = `[%START_TIME%] "%REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ` +
	`%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% rule=%ROUTE_NAME% cluster=%UPSTREAM_CLUSTER_RAW% upstream=%UPSTREAM_HOST% ` +
	`%DURATION%ms client=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% id=%REQ(X-REQUEST-ID)%`

func httpAccessLog(o *Options) []*accesslogv3.AccessLog {
	return []*accesslogv3.AccessLog{accessLog(o, httpFields, httpText)}
}

// tcpAccessLog logs which rule took a connection; Envoy has no operator for it.
func tcpAccessLog(t *plan.TCPProxy, o *Options) []*accesslogv3.AccessLog {
	rule := strings.ReplaceAll(diag.Printable(t.Origin.String()), "%", "%%")
	fields := []string{
		"time=%START_TIME%", "protocol=TCP", "server_name=%REQUESTED_SERVER_NAME%", "flags=%RESPONSE_FLAGS%", "rule=" + rule,
		"cluster=%UPSTREAM_CLUSTER_RAW%", "upstream=%UPSTREAM_HOST%", "duration_ms=%DURATION%", "bytes_in=%BYTES_RECEIVED%",
		"bytes_out=%BYTES_SENT%", "client=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
	}
	text := `[%START_TIME%] "TCP %REQUESTED_SERVER_NAME%" %RESPONSE_FLAGS% rule=` + rule +
		` cluster=%UPSTREAM_CLUSTER_RAW% upstream=%UPSTREAM_HOST% %DURATION%ms client=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%`
	return []*accesslogv3.AccessLog{accessLog(o, fields, text)}
}

func accessLog(o *Options, fields []string, text string) *accesslogv3.AccessLog {
	format := &corev3.SubstitutionFormatString{}
	if o.AccessLog == AccessLogText {
		format.Format = &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: text + "\n"},
		}}
	} else {
		members := map[string]any{}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			members[name] = value
		}
		object, err := structpb.NewStruct(members)
		if err != nil {
			panic("envoy: " + err.Error()) // constants, and a name without control characters
		}
		format.Format = &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: object}
	}
	return &accesslogv3.AccessLog{
		Name: "envoy.access_loggers.stdout",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: typed(&streamv3.StdoutAccessLog{
			AccessLogFormat: &streamv3.StdoutAccessLog_LogFormat{LogFormat: format},
		})},
	}
}
