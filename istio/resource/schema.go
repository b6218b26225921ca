package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"waymark.dev/waymark/diag"
)

// schema checks a spec as the API server does, which holds an object against the schema of its CustomResourceDefinition
// before Istio sees it. The schema follows from the message: types, names of enums, fields of a oneof, required fields.
// What is beyond that is in limits.
type schema struct {
	// add adds a finding about a field; key means that its place is that of the key.
	add func(severity diag.Severity, code, field string, key bool, format string, args ...any)
	// secret means that no value is shown.
	secret bool
}

// unknownCode is the code of a field that the schema does not have.
const unknownCode = "VAL-ANY-03"

// report adds an error.
func (s *schema) report(code, field string, key bool, format string, args ...any) {
	s.add(diag.Error, code, field, key, format, args...)
}

// message checks an object against a message.
func (s *schema) message(value any, message protoreflect.MessageDescriptor, field string) {
	object, ok := value.(map[string]any)
	if !ok {
		s.wrongType(field, "an object", value)
		return
	}
	fields := message.Fields()
	set := map[protoreflect.FullName]string{} // the field that is set, by oneof
	for _, key := range sortedKeys(object) {
		at := diag.KeyField(field, key)
		f := fields.ByJSONName(key)
		if f == nil && deprecatedNames[message.FullName()] == key {
			f = fields.ByTextName(key)
		}
		if f == nil && slices.Contains(removedFields[message.FullName()], key) {
			s.add(diag.Warning, unknownCode, at, true, "is a field that Istio removed; it is ignored")
			continue
		}
		if f == nil {
			s.report(unknownCode, at, true, "unknown field %q%s", key, suggest(key, message))
			continue
		}
		if object[key] == nil {
			continue // the API server removes it
		}
		if oneof := f.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			if other, ok := set[oneof.FullName()]; ok {
				s.report(SchemaCode, at, true, "%s and %s cannot be set together", other, key)
			}
			set[oneof.FullName()] = key
		}
		s.field(object[key], f, at)
	}
	s.empty(object, message, field)
	for _, f := range requiredFields(message) {
		if object[f.JSONName()] == nil {
			s.report(SchemaCode, diag.KeyField(field, f.JSONName()), false, "is missing")
		}
	}
}

// empty checks an empty list or map that must not be there: rules of the schemas count it as set, and it cannot be seen
// once the message has been decoded.
func (s *schema) empty(object map[string]any, message protoreflect.MessageDescriptor, field string) {
	switch message.FullName() {
	case "istio.networking.v1alpha3.ServiceEntry":
		if list, ok := object["endpoints"].([]any); !ok || len(list) > 0 {
			return
		}
		if resolution := object["resolution"]; resolution == nil || resolution == "NONE" {
			s.report(SchemaCode, diag.KeyField(field, "endpoints"), true, "cannot be set, even to an empty list, with resolution NONE")
		} else if object["workloadSelector"] != nil {
			s.report(SchemaCode, diag.KeyField(field, "endpoints"), true, "cannot be set, even to an empty list, together with workloadSelector")
		}
	case "istio.networking.v1alpha3.WorkloadEntry":
		address, _ := object["address"].(string)
		if ports, ok := object["ports"].(map[string]any); ok && len(ports) == 0 && strings.HasPrefix(address, "unix://") {
			s.report(SchemaCode, diag.KeyField(field, "ports"), true, "cannot be set, even to an empty mapping, for a Unix domain socket")
		}
	}
}

// SchemaCode is the code of a value that the schema of its kind refuses.
const SchemaCode = "VAL-ANY-05"

// deprecatedNames are the fields that a schema has by the name that the message's text form has, by message.
var deprecatedNames = map[protoreflect.FullName]string{"istio.networking.v1alpha3.HTTPRoute": "mirror_percent"}

// removedFields are fields that messages had in earlier versions of Istio. An API server removes them from an object, and
// kubectl warns of them.
var removedFields = map[protoreflect.FullName][]string{
	"istio.networking.v1alpha3.HTTPRoute": {
		"websocketUpgrade", "appendHeaders", "appendRequestHeaders", "removeRequestHeaders", "appendResponseHeaders", "removeResponseHeaders",
	},
}

// required caches the fields of messages that must be there, by the message's descriptor.
var required sync.Map

// requiredFields are the fields of a message that must be there.
func requiredFields(message protoreflect.MessageDescriptor) (fields []protoreflect.FieldDescriptor) {
	if known, ok := required.Load(message); ok {
		return known.([]protoreflect.FieldDescriptor)
	}
	for i := range message.Fields().Len() {
		if f := message.Fields().Get(i); isRequired(f) {
			fields = append(fields, f)
		}
	}
	required.Store(message, fields)
	return fields
}

// isRequired reports whether a field must be there.
func isRequired(f protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_REQUIRED) && !notRequired[f.FullName()]
}

// notRequired are fields that the messages call required and the schemas do not.
var notRequired = map[protoreflect.FullName]bool{}

// field checks the value of a field.
func (s *schema) field(value any, f protoreflect.FieldDescriptor, at string) {
	limit := limits[f.FullName()]
	switch {
	case f.IsMap():
		object, ok := value.(map[string]any)
		if !ok {
			s.wrongType(at, "an object", value)
			return
		}
		s.count(at, "entries", len(object), limit)
		for _, key := range sortedKeys(object) {
			if object[key] != nil { // null: the API server removes it
				s.value(object[key], f.MapValue(), limit, diag.KeyField(at, key))
			} else if f.MapValue().Message() != nil {
				s.null(f, diag.KeyField(at, key))
			}
		}
	case f.IsList():
		list, ok := value.([]any)
		if !ok {
			s.wrongType(at, "a list", value)
			return
		}
		s.count(at, "entries", len(list), limit)
		for i, item := range list {
			at := at + "[" + strconv.Itoa(i) + "]"
			if item == nil {
				s.null(f, at)
				continue
			}
			s.value(item, f, limit, at)
		}
	default:
		s.value(value, f, limit, at)
	}
}

// sortedKeys are the keys of an object, sorted.
func sortedKeys(object map[string]any) []string {
	keys := slices.AppendSeq(make([]string, 0, len(object)), maps.Keys(object))
	slices.Sort(keys)
	return keys
}

// null reports a null in a list or a map.
func (s *schema) null(f protoreflect.FieldDescriptor, at string) {
	switch f.FullName() {
	case "istio.networking.v1alpha3.VirtualService.http":
		s.report("VAL-VS-10", at, false, "a rule cannot be null")
	case "istio.networking.v1alpha3.HTTPMatchRequest.headers":
		s.report("VAL-H-07", at, false, "a condition cannot be null; {} matches any value")
	default:
		s.report(unknownCode, at, false, "a value cannot be null here")
	}
}

// value checks one value: of a field, or of an item of it.
func (s *schema) value(value any, f protoreflect.FieldDescriptor, limit limit, at string) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		s.messageValue(value, f.Message(), limit, at)
	case protoreflect.EnumKind:
		s.enum(value, f.Enum(), at)
	case protoreflect.BoolKind:
		s.boolean(value, at)
	case protoreflect.StringKind:
		s.text(value, limit, at)
	case protoreflect.BytesKind:
		s.bytes(value, at)
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		s.number(value, limit, at)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		s.integer(value, limit.or(0, math.MaxUint32), at)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		s.integer(value, limit.or(0, math.MaxInt64), at)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		s.integer(value, limit.or(math.MinInt32, math.MaxInt32), at)
	default:
		s.integer(value, limit.or(math.MinInt64, math.MaxInt64), at)
	}
}

// messageValue checks a message, where those of protobuf itself have forms of their own.
func (s *schema) messageValue(value any, message protoreflect.MessageDescriptor, limit limit, at string) {
	switch message.FullName() {
	case "google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.StringValue":
		s.text(value, limit, at)
	case "google.protobuf.BoolValue":
		s.boolean(value, at)
	case "google.protobuf.UInt32Value":
		s.integer(value, limit.or(0, math.MaxUint32), at)
	case "google.protobuf.Int32Value":
		s.integer(value, limit.or(math.MinInt32, math.MaxInt32), at)
	case "google.protobuf.UInt64Value", "google.protobuf.Int64Value":
		s.integer(value, limit.or(0, math.MaxInt64), at)
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue":
		s.number(value, limit, at)
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.Any":
	default:
		s.message(value, message, at)
	}
}

func (s *schema) wrongType(at, want string, value any) {
	if s.secret {
		s.report(SchemaCode, at, false, "must be %s", want)
		return
	}
	s.report(SchemaCode, at, false, "must be %s, and is %s", want, describe(value))
}

func (s *schema) boolean(value any, at string) {
	if _, ok := value.(bool); !ok {
		s.wrongType(at, "true or false", value)
	}
}

// describe names a value for a message. It does not contain a long text.
func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("%t (quote it for a text; YAML reads yes, no, on, off, y and n as true or false, too)", v)
	case string:
		if len(v) > 40 {
			return "a text"
		}
		return fmt.Sprintf("the text %q", v)
	case json.Number:
		return "the number " + v.String()
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func (s *schema) enum(value any, enum protoreflect.EnumDescriptor, at string) {
	name, ok := value.(string)
	if ok && enum.Values().ByName(protoreflect.Name(name)) != nil {
		return
	}
	var all []string
	for i := range enum.Values().Len() {
		all = append(all, string(enum.Values().Get(i).Name()))
	}
	s.wrongType(at, "one of "+strings.Join(all, ", "), value)
}

func (s *schema) text(value any, limit limit, at string) {
	text, ok := value.(string)
	if !ok {
		s.wrongType(at, "a text", value)
		return
	}
	if n := utf8.RuneCountInString(text); limit.length > 0 && n > limit.length {
		s.report(SchemaCode, at, false, "has at most %d characters, this one %d", limit.length, n)
	}
}

// base64Text is what an API server takes for bytes.
var base64Text = regexp.MustCompile(`^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$`)

func (s *schema) bytes(value any, at string) {
	switch v := value.(type) {
	case []any: // an API server stores it; whether it can be decoded is for the decoder to say
	case string:
		if !base64Text.MatchString(v) {
			s.report(SchemaCode, at, false, "must be base64 with padding, and not empty")
		}
	default:
		s.wrongType(at, "a text in base64", value)
	}
}

func (s *schema) integer(value any, limit limit, at string) {
	number, ok := value.(json.Number)
	if !ok {
		s.wrongType(at, "an integer", value)
		return
	}
	f, err := strconv.ParseFloat(number.String(), 64)
	switch {
	case err != nil || f != math.Trunc(f), limit.ruled && strings.ContainsAny(number.String(), ".eE"):
		s.wrongType(at, "an integer", value)
	case f < limit.least || f > limit.most:
		s.report(SchemaCode, at, false, "must be between %.0f and %.0f, and is %s", limit.least, limit.most, number)
	}
}

func (s *schema) number(value any, limit limit, at string) {
	number, ok := value.(json.Number)
	if !ok {
		s.wrongType(at, "a number", value)
		return
	}
	if f, err := number.Float64(); err != nil || limit.least < limit.most && (f < limit.least || f > limit.most) {
		s.report(SchemaCode, at, false, "must be between %.0f and %.0f, and is %s", limit.least, limit.most, number)
	}
}

// count checks the number of entries of a list or a map.
func (s *schema) count(at, what string, n int, limit limit) {
	switch {
	case limit.maxItems > 0 && n > limit.maxItems:
		s.report(SchemaCode, at, false, "has at most %d %s, this one %d", limit.maxItems, what, n)
	case n < limit.minItems:
		s.report(SchemaCode, at, false, "needs %d %s at least", limit.minItems, what)
	}
}

// limit is what a schema says about a field beyond its type. Zero values do not limit.
type limit struct {
	least, most        float64 // of a number
	length             int     // of a text, in characters
	minItems, maxItems int     // entries of a list or a map
	ruled              bool    // the schema has a rule for an integer, which an API server cannot evaluate for 1.0 or 1e2
}

// or returns the limit with the bounds of the field's type where it has none.
func (l limit) or(least, most float64) limit {
	if l.least == 0 && l.most == 0 {
		l.least, l.most = least, most
	}
	return l
}

// limits are those of the CustomResourceDefinitions, by field. A test holds them against the definitions.
var limits = map[protoreflect.FullName]limit{
	"istio.networking.v1alpha3.ServerTLSSettings.credential_names":                       {minItems: 1, maxItems: 2},
	"istio.networking.v1alpha3.ServerTLSSettings.tls_certificates":                       {minItems: 1, maxItems: 2},
	"istio.networking.v1alpha3.ServiceEntry.hosts":                                       {minItems: 1, maxItems: 256},
	"istio.networking.v1alpha3.ServiceEntry.addresses":                                   {maxItems: 256, length: 64},
	"istio.networking.v1alpha3.ServiceEntry.ports":                                       {maxItems: 256},
	"istio.networking.v1alpha3.ServiceEntry.endpoints":                                   {maxItems: 4096},
	"istio.networking.v1alpha3.ServicePort.name":                                         {length: 256},
	"istio.networking.v1alpha3.ServicePort.protocol":                                     {length: 256},
	"istio.networking.v1alpha3.ServicePort.number":                                       {ruled: true},
	"istio.networking.v1alpha3.ServicePort.target_port":                                  {least: 1, most: 65535, ruled: true},
	"istio.networking.v1alpha3.WorkloadSelector.labels":                                  {maxItems: 256, length: 63},
	"istio.networking.v1alpha3.WorkloadEntry.address":                                    {length: 256},
	"istio.networking.v1alpha3.WorkloadEntry.labels":                                     {maxItems: 256},
	"istio.networking.v1alpha3.WorkloadEntry.locality":                                   {length: 2048},
	"istio.networking.v1alpha3.WorkloadEntry.network":                                    {length: 2048},
	"istio.networking.v1alpha3.WorkloadEntry.ports":                                      {maxItems: 128, ruled: true},
	"istio.networking.v1alpha3.WorkloadEntry.service_account":                            {length: 253},
	"istio.networking.v1alpha3.TrafficPolicy.port_level_settings":                        {maxItems: 4096},
	"istio.type.v1beta1.WorkloadSelector.match_labels":                                   {maxItems: 4096, length: 63},
	"istio.networking.v1alpha3.OutlierDetection.outlier_detection_http_error_codes":      {least: 100, most: 599},
	"istio.networking.v1alpha3.WarmupConfiguration.minimum_percent":                      {least: 0, most: 100},
	"istio.networking.v1alpha3.WarmupConfiguration.aggression":                           {least: 0, most: math.MaxFloat64},
	"istio.networking.v1alpha3.TrafficPolicy.RetryBudget.percent":                        {least: 0, most: 100},
	"istio.networking.v1alpha3.LoadBalancerSettings.ZoneAwareLbSetting.min_cluster_size": {least: 1, most: math.MaxUint32},
}

// suggest returns "; did you mean NAME?" for the field of the message that is nearest to a key, or "".
func suggest(key string, message protoreflect.MessageDescriptor) string {
	var all []string
	for i := range message.Fields().Len() {
		all = append(all, message.Fields().Get(i).JSONName())
	}
	return DidYouMean(key, all)
}

// DidYouMean returns "; did you mean "NAME"?" for the name that is nearest to a misspelt one, or "" where none is near;
// see [Near].
func DidYouMean(misspelt string, all []string) string {
	near := Near(misspelt, all)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near[0])
}

// Near returns the names that are near to a misspelt one, the nearest first: at most a quarter of the letters differ, and
// one always may. Case and underscores do not count.
func Near(misspelt string, all []string) []string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	word, most := plain(misspelt), max(1, len(misspelt)/4)
	distances := map[string]int{}
	var near []string
	for _, name := range all {
		if _, known := distances[name]; known || name == misspelt {
			continue
		}
		if d := levenshtein.ComputeDistance(plain(name), word); d <= most {
			distances[name] = d
			near = append(near, name)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return distances[a] - distances[b] })
	return near
}
