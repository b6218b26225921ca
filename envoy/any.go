package envoy

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// typed packs a message. It is validated here, once: nothing looks into an Any later. It panics with a [refusal] if the
// message is invalid, since packed messages are deep in what is built; [builder.build] returns the refusal as an error.
func typed(m proto.Message) *anypb.Any {
	if err := validate(m); err != nil {
		panic(refusal{err})
	}
	return pack(m)
}

// pack packs a message that is valid. It panics with a [refusal] if a text in it is not UTF-8.
func pack(m proto.Message) *anypb.Any {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(refusal{err})
	}
	return &anypb.Any{TypeUrl: typeURL(m), Value: b}
}

// typeURL is the name of the type of a message.
func typeURL(m proto.Message) string {
	return "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName())
}

// refusal is the reason why a message cannot be packed.
type refusal struct{ error }

// catchRefusal sets an error to the refusal of what panics. It is deferred.
func catchRefusal(err *error) {
	switch r := recover().(type) {
	case nil:
	case refusal:
		*err = r.error
	default:
		panic(r)
	}
}

// validate checks a message by the rules of Envoy's API. What is packed in it has been validated when it was packed.
func validate(m proto.Message) error {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			return fmt.Errorf("envoy's API does not allow this: %w", err)
		}
	}
	return nil
}
