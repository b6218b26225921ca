package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// virtualAddress plays the Service of the control plane: one address that leads to a replica that takes connections, the
// first one of a list that does.
type virtualAddress struct {
	listener net.Listener

	mu       sync.Mutex
	replicas []string
}

func serviceOf(t *testing.T, replicas ...string) *virtualAddress {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	v := &virtualAddress{listener: l, replicas: replicas}
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go v.forward(c)
			}
		}
	}()
	return v
}

// prefer makes a replica the first one.
func (v *virtualAddress) prefer(address string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replicas = append([]string{address}, slices.DeleteFunc(v.replicas, func(a string) bool { return a == address })...)
}

func (v *virtualAddress) forward(from net.Conn) {
	defer func() { _ = from.Close() }() // one side has ended it
	v.mu.Lock()
	replicas := slices.Clone(v.replicas)
	v.mu.Unlock()
	for _, address := range replicas {
		to, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		go func() {
			_, _ = io.Copy(from, to) // ends with either side
			_ = from.Close()         // as above
		}()
		_, _ = io.Copy(to, from) // as above
		_ = to.Close()           // as above
		return
	}
}

// leader is the replica that the Lease names.
func (f *aFleet) leader(t *testing.T) string {
	client, err := kubernetes.NewForConfig(f.Admin())
	require.NoError(t, err)
	lease, err := client.CoordinationV1().Leases("waymark-system").Get(t.Context(), "waymark", meta.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// Of two replicas, the one that leads, and has all Envoys, is killed in the middle of a change. Envoys go to the other one,
// which finishes the change, and writes the status from then on. No request fails.
func TestTheLeaderIsKilled(t *testing.T) {
	f := startFleet(t, 2)
	first := f.serve(t, "first")
	first.Eventually(t, "it leads", func() bool { return f.leader(t) == "first" })
	second := f.serve(t, "second")
	service := serviceOf(t, first.xds, second.xds)
	f.join(t, 0, "1.36.4", service.listener.Addr().String())
	f.join(t, 1, "1.40.0", service.listener.Addr().String())
	load := f.press(t, f.members...)
	var g generation
	leads, other := first, second
	// The first time, no Envoy gets anything of the change from the one that is killed, and the other one never had an Envoy.
	for i, after := range []time.Duration{0, 150 * time.Millisecond, 350 * time.Millisecond} {
		g.rule++
		load.roll(t, g) // what both replicas know
		leads.Eventually(t, "its Envoys", func() bool { return leads.status(t).Proxies.InSync == 2 })

		g.rule++
		g.destination++
		if i == 0 {
			require.NoError(t, leads.Cmd.Process.Kill())
		}
		load.write(t, g)
		if i > 0 {
			time.Sleep(after)
			require.NoError(t, leads.Cmd.Process.Kill())
		}
		load.settle(t)
		other.Eventually(t, "its Envoys", func() bool { return other.status(t).Proxies.InSync == 2 })
		g.rule++
		load.roll(t, g)
		other.Eventually(t, "it leads", func() bool { return f.leader(t) == other.name })
		g.rule++
		load.roll(t, g)
		o, err := virtualServices(t, f.Admin()).Get(t.Context(), "a", meta.GetOptions{})
		require.NoError(t, err)
		written := o.GetGeneration()
		other.Eventually(t, "the status is about what was written last", func() bool {
			o, err := virtualServices(t, f.Admin()).Get(t.Context(), "a", meta.GetOptions{})
			require.NoError(t, err)
			return slices.Contains(conditions(o), programmedAt(written))
		})
		require.Error(t, leads.Cmd.Wait(), "it was killed")
		leads.start(t)
		leads.Eventually(t, "it serves", func() bool { return strings.Contains(leads.Output(), "given to proxies") })
		service.prefer(other.xds)
		leads, other = other, leads
	}
	load.end(t)
	assert.Equal(t, leads.name, f.leader(t))
	t.Logf("%d requests", load.total())
}

// programmedAt is the condition of an object that every proxy has.
func programmedAt(generation int64) string {
	return fmt.Sprintf("waymark.dev/Programmed True taken by every proxy %d", generation)
}
