package translate

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/resource"
)

// VS-SEL-05: older first, then by name, then by namespace.
func TestByAge(t *testing.T) {
	object := func(seconds int64, name, namespace string) *resource.Object {
		return &resource.Object{Name: name, Namespace: namespace, Created: time.Unix(seconds, 0)}
	}
	want := []*resource.Object{object(1, "z", "z"), object(2, "a", "y"), object(2, "a", "z"), object(2, "b", "a"), object(3, "a", "a")}
	got := []*resource.Object{want[4], want[3], want[2], want[1], want[0]}
	slices.SortFunc(got, byAge)
	assert.Equal(t, want, got)
}
