package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What the log is told of requests that fail and work again.
func TestOutages(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	refused, forbidden, expired := errors.New("connection refused"), apierrors.NewForbidden(pods, "", errors.New("no right")), apierrors.NewResourceExpired("too old")
	type request struct {
		second      int
		watch, kind string
		err         error
	}
	const gone, back = "WARN the Kubernetes API server cannot be used; what it had stays in force", "INFO the Kubernetes API server can be used again"
	const noPods, podsAgain = "WARN objects of a kind cannot be watched; what was known of them stays in force Pod", "INFO objects of a kind can be watched again Pod"
	for what, c := range map[string]struct {
		requests []request
		log      []string
	}{
		"everything works": {[]request{{0, "a", "Pod", nil}, {1, "a", "Pod", nil}}, nil},
		"a server goes and comes back": {[]request{{0, "a", "Pod", nil}, {0, "b", "Service", nil}, {1, "a", "Pod", refused}, {1, "b", "Service", refused}, {2, "a", "Pod", refused},
			{3, "b", "Service", nil}, {4, "a", "Pod", nil}}, []string{gone, back}},
		"it goes twice":                 {[]request{{1, "a", "Pod", refused}, {2, "a", "Pod", nil}, {3, "a", "Pod", refused}}, []string{gone, back, gone}},
		"a watch begins anew":           {[]request{{0, "a", "Pod", nil}, {1, "a", "Pod", expired}, {2, "a", "Pod", nil}}, nil},
		"a right is missing at first":   {[]request{{0, "a", "Pod", forbidden}, {1, "a", "Pod", forbidden}, {90, "a", "Pod", forbidden}, {91, "a", "Pod", nil}}, []string{noPods, podsAgain}},
		"a right is taken away":         {[]request{{0, "a", "Pod", nil}, {1, "a", "Pod", forbidden}, {5, "a", "Pod", forbidden}, {17, "a", "Pod", forbidden}, {20, "a", "Pod", forbidden}}, []string{noPods}},
		"a server does not know rights": {[]request{{0, "a", "Pod", nil}, {1, "a", "Pod", refused}, {2, "a", "Pod", forbidden}, {4, "a", "Pod", nil}}, []string{gone, back}},
		"two namespaces of one kind": {[]request{{0, "a", "Pod", forbidden}, {0, "b", "Pod", forbidden}, {1, "a", "Pod", nil}, {2, "b", "Pod", nil}},
			[]string{noPods, podsAgain}},
	} {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		o := outages{log: log, worked: map[string]bool{}, failed: map[string]*outage{}}
		begin := time.Now()
		for _, r := range c.requests {
			o.tell(t.Context(), begin.Add(time.Duration(r.second)*time.Second), r.watch, r.kind, r.err)
		}
		var got []string
		for line := range strings.Lines(text.String()) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
			line, _, _ = strings.Cut(line, " error=")
			line = strings.NewReplacer("msg=", "", `"`, "", "kind=", "").Replace(line)
			got = append(got, line)
		}
		assert.Equal(t, c.log, got, what)
	}
}
