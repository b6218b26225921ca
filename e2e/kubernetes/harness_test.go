package kubernetes

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"waymark.dev/waymark/cluster"
	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/istio/resource"
)

// istio is an API server with Istio's kinds.
func istio(t *testing.T) *apiserver.Server {
	s := apiserver.Start(t)
	s.InstallIstio(t)
	return s
}

// watched is a source with what it writes to the log.
type watched struct {
	*cluster.Source
	log *logged
}

// watch watches a cluster until the test ends.
func watch(t *testing.T, config *rest.Config, o cluster.Options) watched {
	log := &logged{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	s, err := cluster.Watch(t.Context(), config, o)
	require.NoError(t, err)
	return watched{s, log}
}

// next is the next state of a source.
func (w watched) next(t *testing.T) *cluster.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	state, err := w.Next(ctx)
	require.NoError(t, err, w.log.String())
	return state
}

// until is the first state that is as a test needs it. Objects that are written one by one may come one by one.
func (w watched) until(t *testing.T, is func(*resource.Set) bool) *cluster.State {
	t.Helper()
	for {
		if state := w.next(t); is(state.Input.Set) {
			return state
		}
	}
}

// logged is a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines counts the lines with a text.
func (l *logged) lines(text string) int { return strings.Count(l.String(), text) }

// byName finds an object of a list.
func byName[T interface{ String() string }](list []T, name string) (found T) {
	for _, o := range list {
		if strings.HasSuffix(o.String(), "/"+name) {
			return o
		}
	}
	return found
}
