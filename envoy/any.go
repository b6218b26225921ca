package envoy

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// eachMessage visits a message and all that are packed in it, the outermost first.
func eachMessage(m proto.Message, visit func(proto.Message) error) error {
	if err := visit(m); err != nil {
		return err
	}
	return protorange.Range(m.ProtoReflect(), func(v protopath.Values) error {
		inner, ok := v.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		packed, ok := inner.Interface().(*anypb.Any)
		if !ok {
			return nil
		}
		unpacked, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		if err := eachMessage(unpacked, visit); err != nil {
			return err
		}
		return protorange.Break
	})
}
