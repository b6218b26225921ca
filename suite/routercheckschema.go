package suite

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// The messages that the schema names.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// validation is the message of a file of router_check_tool: test/tools/router_check/validation.proto of Envoy, which no
// module for Go has. With it, a file is read exactly as that tool reads it: snake_case and camelCase, numbers as texts,
// wrappers, and the text format of protocol buffers. The names of before 2020 have the numbers that are reserved today.
var validation = routerCheckSchema()

// field describes a field of the schema. Type is a scalar's, or that of the message with the name.
type field struct {
	name     string
	number   int32
	scalar   descriptorpb.FieldDescriptorProto_Type
	message  string
	repeated bool
}

func routerCheckSchema() protoreflect.MessageDescriptor {
	const (
		text     = descriptorpb.FieldDescriptorProto_TYPE_STRING
		boolean  = descriptorpb.FieldDescriptorProto_TYPE_BOOL
		number   = descriptorpb.FieldDescriptorProto_TYPE_UINT64
		own      = ".envoy.RouterCheckToolSchema."
		optional = ".google.protobuf.StringValue"
		header   = ".envoy.config.core.v3.HeaderValue"
		matcher  = ".envoy.config.route.v3.HeaderMatcher"
	)
	of := func(message string) field { return field{message: message} }
	named := func(f field, name string, n int32) field {
		f.name, f.number = name, n
		return f
	}
	all := func(f field) field {
		f.repeated = true
		return f
	}
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("waymark/routercheck.proto"), Package: proto.String("envoy.RouterCheckToolSchema"), Syntax: proto.String("proto3"),
		Dependency: []string{
			"envoy/config/core/v3/base.proto", "envoy/config/route/v3/route_components.proto",
			"google/protobuf/wrappers.proto", "google/protobuf/duration.proto", "google/protobuf/struct.proto",
		},
		MessageType: []*descriptorpb.DescriptorProto{
			message("Validation", named(all(of(own+"ValidationItem")), "tests", 1)),
			message("ValidationItem",
				field{name: "test_name", number: 1, scalar: text},
				named(of(own+"ValidationInput"), "input", 2), named(of(own+"ValidationAssert"), "validate", 3)),
			message("ValidationInput",
				field{name: "authority", number: 1, scalar: text}, field{name: "path", number: 2, scalar: text}, field{name: "method", number: 4, scalar: text},
				field{name: "random_value", number: 5, scalar: number}, field{name: "ssl", number: 6, scalar: boolean}, field{name: "internal", number: 7, scalar: boolean},
				field{name: "runtime", number: 9, scalar: text},
				named(all(of(header)), "additional_headers", 8), // until 2020
				named(all(of(header)), "additional_request_headers", 10), named(all(of(header)), "additional_response_headers", 11),
				named(all(of(own+"Metadata")), "dynamic_metadata", 12)),
			message("Metadata", // envoy.extensions.filters.http.set_metadata.v3.Metadata, without what it has for other uses
				field{name: "metadata_namespace", number: 1, scalar: text}, field{name: "allow_overwrite", number: 2, scalar: boolean},
				named(of(".google.protobuf.Struct"), "value", 3)),
			message("ValidationAssert",
				named(of(optional), "cluster_name", 1), named(of(optional), "virtual_cluster_name", 2), named(of(optional), "virtual_host_name", 3),
				named(of(optional), "host_rewrite", 4), named(of(optional), "path_rewrite", 5), named(of(optional), "path_redirect", 6),
				named(all(of(header)), "header_fields", 7), named(all(of(header)), "custom_header_fields", 8), // until 2020
				named(all(of(header)), "request_header_fields", 9), named(all(of(header)), "response_header_fields", 10),
				named(all(of(matcher)), "request_header_matches", 11), named(all(of(matcher)), "response_header_matches", 12),
				named(of(".google.protobuf.UInt32Value"), "code_redirect", 13), named(of(".google.protobuf.Duration"), "timeout", 14)),
		},
	}
	d, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		panic("suite: " + err.Error()) // a mistake above
	}
	return d.Messages().ByName("Validation")
}

// message describes a message of the schema.
func message(name string, fields ...field) *descriptorpb.DescriptorProto {
	out := &descriptorpb.DescriptorProto{Name: proto.String(name)}
	for _, f := range fields {
		d := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(f.name), Number: proto.Int32(f.number), Type: f.scalar.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if f.message != "" {
			d.Type, d.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(f.message)
		}
		if f.repeated {
			d.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		out.Field = append(out.Field, d)
	}
	return out
}
