package plain

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

// specs are the four resources of docs/compatibility.md.
var specs = []proto.Message{&istio.Gateway{}, &istio.VirtualService{}, &istio.DestinationRule{}, &istio.ServiceEntry{}}

// apiFields are all fields of the four resources, as Message.field, in the order of the API.
func apiFields() []string {
	var out []string
	seen := map[protoreflect.FullName]bool{}
	var walk func(d protoreflect.MessageDescriptor)
	walk = func(d protoreflect.MessageDescriptor) {
		if seen[d.FullName()] {
			return
		}
		seen[d.FullName()] = true
		for i := range d.Fields().Len() {
			out = append(out, fieldName(d.Fields().Get(i)))
		}
		for i := range d.Fields().Len() {
			if m := messageOf(d.Fields().Get(i)); m != nil {
				walk(m)
			}
		}
	}
	for _, s := range specs {
		walk(s.ProtoReflect().Descriptor())
	}
	return out
}

// messageOf is the message of Istio's API that a field holds, or nil.
func messageOf(f protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	m := f.Message()
	if f.IsMap() {
		m = f.MapValue().Message()
	}
	if m == nil || m.FullName().Parent() == "google.protobuf" {
		return nil
	}
	return m
}

// fieldName is Message.field; the two messages named WorkloadSelector are told apart by who has them.
func fieldName(f protoreflect.FieldDescriptor) string {
	message := string(f.Parent().FullName())
	switch message {
	case "istio.type.v1beta1.WorkloadSelector":
		message = "WorkloadSelector (DestinationRule)"
	case "istio.networking.v1alpha3.WorkloadSelector":
		message = "WorkloadSelector (ServiceEntry)"
	}
	return strings.TrimPrefix(message, "istio.networking.v1alpha3.") + "." + f.JSONName()
}

// vectorFields are the fields that occur in the conformance vectors.
func vectorFields(t testing.TB) map[string]bool {
	used := map[string]bool{}
	var note func(m protoreflect.Message)
	note = func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			used[fieldName(f)] = true
			switch {
			case messageOf(f) == nil:
			case f.IsMap():
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { note(v.Message()); return true })
			case f.IsList():
				for i := range v.List().Len() {
					note(v.List().Get(i).Message())
				}
			default:
				note(v.Message())
			}
			return true
		})
	}
	files := vectors.Open(t)
	names, err := fs.Glob(files, "*.yaml")
	require.NoError(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(string(text))}, version.All)
		for _, o := range in.Set.Gateways {
			note(o.Spec.ProtoReflect())
		}
		for _, o := range in.Set.VirtualServices {
			note(o.Spec.ProtoReflect())
		}
		for _, o := range in.Set.DestinationRules {
			note(o.Spec.ProtoReflect())
		}
		for _, o := range in.Set.ServiceEntries {
			note(o.Spec.ProtoReflect())
		}
	}
	return used
}

// testFiles are the sources of tests, by the names of the tests in them.
func testFiles(t testing.TB) map[string][]string {
	out := map[string][]string{}
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir(repository.Root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != repository.Root:
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range declaration.FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = append(out[m[1]], string(text))
		}
		return nil
	}))
	return out
}

// row is one line of a table of docs/compatibility.md.
type row struct{ field, rules, does, proof string }

func compatibilityRows(t testing.TB) []row {
	text, err := os.ReadFile(filepath.Join(repository.Root, "docs", "compatibility.md"))
	require.NoError(t, err)
	var rows []row
	message := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "### "); ok {
			message = name
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 4 {
			continue
		}
		field := strings.Trim(strings.TrimSpace(cells[0]), "`")
		rows = append(rows, row{message + "." + field, cells[1], cells[2], strings.TrimSpace(cells[3])})
	}
	return rows
}

// TestCompatibilityIsComplete holds docs/compatibility.md against Istio's API: every field has a line with its rules, what
// Waymark does, and tests that are there and have the field in their sources. Where the vectors are the proof, they have
// the field in their resources.
func TestCompatibilityIsComplete(t *testing.T) {
	inVectors, tests := vectorFields(t), testFiles(t)
	documented := map[string]bool{}
	for _, r := range compatibilityRows(t) {
		assert.False(t, documented[r.field], "%s has two lines", r.field)
		documented[r.field] = true
		assert.Regexp(t, `^([A-Z]+(-[A-Z]+)*-\d+(, )?)+$|^-$`, strings.TrimSpace(r.rules), "%s: rules", r.field)
		assert.NotEmpty(t, r.does, r.field)
		name := r.field[strings.LastIndex(r.field, ".")+1:]
		for _, proof := range strings.Split(r.proof, ", ") {
			proof = strings.Trim(proof, "`")
			if proof == "TestConformance" {
				assert.True(t, inVectors[r.field], "%s: no vector has this field", r.field)
				continue
			}
			found := false
			for _, source := range tests[proof] {
				if proof == "TestFields" { // a table keyed by fields
					found = found || strings.Contains(source, `"`+r.field+`":`)
				} else {
					found = found || regexp.MustCompile(`\b`+name+`["']?:`).MatchString(source)
				}
			}
			assert.True(t, found, "%s: %s", r.field, fmt.Sprintf("there is no test %s with this field in its source", proof))
		}
	}
	var missing []string
	for _, field := range apiFields() {
		if !documented[field] {
			missing = append(missing, field)
		}
		delete(documented, field)
	}
	assert.Empty(t, missing, "fields of Istio's API that docs/compatibility.md does not have")
	assert.Empty(t, documented, "lines for what is no field of Istio's API")
}
