package envoy

import (
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// eachMessage visits a message and all that are packed in it, the outermost first.
func eachMessage(m proto.Message, visit func(proto.Message) error) error {
	if err := visit(m); err != nil {
		return err
	}
	return eachPacked(m.ProtoReflect(), visit)
}

// eachPacked visits the messages that are packed into a message or into parts of it.
func eachPacked(m protoreflect.Message, visit func(proto.Message) error) (err error) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		unpacked, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		return eachMessage(unpacked, visit)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if d := f.MapValue().Message(); d != nil && canPack(d) {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					err = eachPacked(v.Message(), visit)
					return err == nil
				})
			}
		case f.Message() == nil || !canPack(f.Message()):
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = eachPacked(v.List().Get(i).Message(), visit)
			}
		default:
			err = eachPacked(v.Message(), visit)
		}
		return err == nil
	})
	return err
}

// packers caches which messages can have an Any, themselves or in their parts. Most cannot, and are not searched.
var packers sync.Map

func canPack(d protoreflect.MessageDescriptor) bool {
	if known, ok := packers.Load(d.FullName()); ok {
		return known.(bool)
	}
	can := reaches(d, map[protoreflect.FullName]bool{})
	packers.Store(d.FullName(), can)
	return can
}

// reaches looks for an Any among all that can be in a message.
func reaches(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if d.FullName() == "google.protobuf.Any" {
		return true
	}
	if seen[d.FullName()] {
		return false
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		inner := f.Message()
		if f.IsMap() {
			inner = f.MapValue().Message()
		}
		if inner != nil && reaches(inner, seen) {
			return true
		}
	}
	return false
}
