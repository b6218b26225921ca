package kubernetes

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"waymark.dev/waymark/e2e/internal/apiserver"
)

// The server of these tests keeps its objects when it is killed, and takes the addresses that tests have.
func TestTheAPIServerOfTheTests(t *testing.T) {
	s := apiserver.Start(t)
	client, err := kubernetes.NewForConfig(s.Admin())
	require.NoError(t, err)
	slice := func(name, address string) *discovery.EndpointSlice {
		return &discovery.EndpointSlice{
			ObjectMeta: meta.ObjectMeta{Name: name}, AddressType: discovery.AddressTypeIPv4, Endpoints: []discovery.Endpoint{{Addresses: []string{address}}},
		}
	}
	slices := client.DiscoveryV1().EndpointSlices("default")
	_, err = slices.Create(t.Context(), slice("own", apiserver.Address(t)), meta.CreateOptions{})
	require.NoError(t, err)
	_, err = slices.Create(t.Context(), slice("loopback", "127.0.0.1"), meta.CreateOptions{})
	assert.ErrorContains(t, err, "may not be in the loopback range")

	s.Kill(t)
	_, err = slices.Get(t.Context(), "own", meta.GetOptions{})
	require.Error(t, err)
	s.Restart(t)
	_, err = slices.Get(t.Context(), "own", meta.GetOptions{})
	require.NoError(t, err)

	other, err := kubernetes.NewForConfig(s.Account(t, "default", "other"))
	require.NoError(t, err)
	_, err = other.CoreV1().ConfigMaps("default").Create(t.Context(), &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "a"}}, meta.CreateOptions{})
	assert.ErrorContains(t, err, `User "system:serviceaccount:default:other" cannot create resource "configmaps"`)
}

// The same works on a machine that has no network.
func TestTheAPIServerWithoutANetwork(t *testing.T) {
	if os.Getenv("WAYMARK_TEST_NETWORK") == "" {
		assert.Zero(t, apiserver.Isolated("-test.run=^(TestTheAPIServerOfTheTests|TestTheAPIServerWithoutANetwork)$", fmt.Sprintf("-test.v=%t", testing.Verbose())))
		return
	}
	assert.Equal(t, "192.0.2.1", apiserver.Address(t))
}
