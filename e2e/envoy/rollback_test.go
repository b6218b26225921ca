package envoy

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
)

// spoil makes Envoy refuse a configuration that the API allows, in each kind of file.
var spoil = map[string]func(t *testing.T, r *envoy.Resources){
	"routes": func(_ *testing.T, r *envoy.Resources) {
		for _, rc := range r.OfType(envoy.RouteType) {
			m := rc.Message.(*routev3.RouteConfiguration)
			if m.Vhds == nil {
				m.VirtualHosts = append(m.VirtualHosts, proto.CloneOf(m.VirtualHosts[0]))
			}
		}
		for _, h := range r.OfType(envoy.HostType) {
			another := proto.CloneOf(h.Message.(*routev3.VirtualHost))
			another.Name += ".again"
			r.Set(another)
		}
	},
	"clusters": func(_ *testing.T, r *envoy.Resources) {
		r.OfType(envoy.ClusterType)[0].Message.(*clusterv3.Cluster).LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED // by a cluster that provides none
	},
	"listeners": func(_ *testing.T, r *envoy.Resources) {
		another := proto.CloneOf(r.OfType(envoy.ListenerType)[0].Message.(*listenerv3.Listener))
		another.Name = "another on the same address"
		r.Set(another)
	},
	"plugins": func(t *testing.T, r *envoy.Resources) {
		for _, p := range r.OfType(envoy.ExtensionType) {
			var w wasmfilterv3.Wasm
			require.NoError(t, p.Message.(*corev3.TypedExtensionConfig).TypedConfig.UnmarshalTo(&w))
			var err error
			w.Config.Configuration, err = anypb.New(wrapperspb.String(`{"version": 1, "no such field": 1}`))
			require.NoError(t, err)
			bad, err := anypb.New(&w)
			require.NoError(t, err)
			r.Set(&corev3.TypedExtensionConfig{Name: p.Name, TypedConfig: bad})
		}
	},
	"certificates": func(_ *testing.T, r *envoy.Resources) {
		for _, s := range r.OfType(envoy.SecretType) {
			s.Message.(*tlsv3.Secret).GetTlsCertificate().PrivateKey = &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "not a key"}}
		}
	},
}

// TestRefusedChanges brings an Envoy a configuration that it refuses, in every kind of file. It goes on with what it had,
// starts again from that after kill -9, and takes the mended change.
func TestRefusedChanges(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		r := startRolling(t, b)
		g := generation{}
		r.apply(t, g)
		serves := func(g generation) {
			t.Helper()
			c := r.client()
			defer c.close()
			for _, path := range []string{"/rule", "/stable", "/split/1"} {
				got, err := c.retry(request(path, nil))
				assert.Empty(t, judge(path, got, err, g, g))
			}
			name, err := r.handshake()
			assert.Empty(t, judgeCertificate(name, err, g, g))
		}
		envoys := t // they live longer than the kinds
		for kind, change := range spoil {
			t.Run(kind, func(t *testing.T) {
				before := contents(t, r.dir)
				next := generation{rule: g.rule + 1, endpoint: g.endpoint + 1, destination: g.destination + 1, certificate: g.certificate + 1}
				bad := r.files(t, next)
				change(t, bad)
				d := &files.Dir{Path: r.dir, Watcher: &files.Admin{Ask: r.envoy.Admin}}
				err := d.Apply(context.Background(), bad)
				var refused *files.RefusedError
				require.True(t, errors.As(err, &refused), "%v", err)
				assert.Equal(t, before, contents(t, r.dir), "what was in force stands on disk")
				serves(g)

				require.NoError(t, syscall.Kill(r.envoy.PID(), syscall.SIGKILL)) // ours, by its id
				<-r.envoy.Done()
				r.start(envoys)
				serves(g)
				r.apply(t, next)
				serves(next)
				g = next
			})
		}
	})
}

// contents are the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	}))
	return out
}
