package files

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
)

// named are resources of all types that have a name.
func named(name string) *envoy.Resources {
	r := &envoy.Resources{Bootstrap: &bootstrapv3.Bootstrap{}}
	r.Set(&listenerv3.Listener{Name: name}, &clusterv3.Cluster{Name: name}, &routev3.RouteConfiguration{Name: name},
		&endpointv3.ClusterLoadAssignment{ClusterName: name}, &corev3.TypedExtensionConfig{Name: name}, &tlsv3.Secret{Name: name})
	return r
}

// Each file beside the names that Waymark could have given to it: what is removed, and what stays.
func TestWhatIsRemoved(t *testing.T) {
	path := func(t envoy.Type, name string) string { return envoy.Path(envoy.Key{Type: t, Name: name}) }
	routes, secret := path(envoy.RouteType, "a"), path(envoy.SecretType, "a")
	beside := func(path string) string { return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new") }
	const typed = `{"resources":[{"@type":"type.googleapis.com/envoy.config.route.v3.RouteConfiguration","name":"a"}]}`
	for sentence, c := range map[string]struct {
		path, text string
		removed    bool
	}{
		"a file of routes that is named after them":        {routes, typed, true},
		"one that was to be renamed":                       {beside(routes), "half", true},
		"a bootstrap that was to be renamed":               {beside(envoy.BootstrapFile), "half", true},
		"listeners that were to be renamed":                {beside(envoy.ListenersFile), "half", true},
		"clusters that were to be renamed":                 {beside(envoy.ClustersFile), "half", true},
		"the name of a file without what belongs in it":    {routes, `{}`, false},
		"the name of a file that is not JSON":              {routes, "a: 1", false},
		"the name of a file with two resources":            {routes, `{"resources":[` + typed[len(`{"resources":[`):len(typed)-len(`]}`)] + `,{}]}`, false},
		"routes under the name of other routes":            {path(envoy.RouteType, "b"), typed, false},
		"routes in the folder of secrets":                  {secret, typed, false},
		"a type that is not a resource, at the top":        {filepath.Base(secret), `{"resources":[{"@type":"x","name":"a"}]}`, false},
		"routes at the top":                                {filepath.Base(routes), typed, false},
		"routes in a folder of a folder":                   {"routes/" + routes, typed, false},
		"a name without a hash":                            {"routes/a.json", typed, false},
		"somebody's file":                                  {"notes.txt", "hello", false},
		"somebody's file that was to be renamed":           {".notes.txt.new", "hello", false},
		"somebody's file in our folder, to be renamed":     {"routes/.notes.json.new", "hello", false},
		"a file to be renamed without the dot":             {"routes/" + filepath.Base(routes) + ".new", "half", false},
		"a file with a dot that was not to be renamed":     {"routes/." + filepath.Base(routes), typed, false},
		"a file to be renamed in a folder that is not one": {"other/." + filepath.Base(routes) + ".new", "half", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			var changed []string
			d := &Dir{Path: t.TempDir(), Changed: func(file string) { changed = append(changed, file) }}
			require.NoError(t, d.Apply(t.Context(), named("kept")))
			before := files(t, d.Path)
			full := filepath.Join(d.Path, c.path)
			require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
			require.NoError(t, os.WriteFile(full, []byte(c.text), 0o600))
			changed = nil
			require.NoError(t, d.Apply(t.Context(), named("kept")))
			if c.removed {
				assert.NoFileExists(t, full)
				assert.Equal(t, []string{c.path}, changed)
				assert.Equal(t, before, files(t, d.Path))
			} else {
				text, err := os.ReadFile(full)
				require.NoError(t, err)
				assert.Equal(t, c.text, string(text))
				assert.Empty(t, changed)
			}
		})
	}
}

// files are the paths of all files of a folder, but for what is kept of the last change.
func files(t *testing.T, dir string) []string {
	var out []string
	require.NoError(t, (&Dir{Path: dir}).walk(func(path, _ string) error {
		if path != stateFile && !strings.HasPrefix(path, beforeFolder+"/") {
			out = append(out, path)
		}
		return nil
	}))
	slices.Sort(out)
	return out
}

// Resources of every type leave with their files, also where nobody watches; the files of whole types stay.
func TestFilesOfAllTypesAreRemoved(t *testing.T) {
	d := &Dir{Path: t.TempDir()}
	require.NoError(t, d.Apply(t.Context(), named("old")))
	require.Len(t, files(t, d.Path), 7)
	require.NoError(t, d.Apply(t.Context(), &envoy.Resources{Bootstrap: &bootstrapv3.Bootstrap{}}))
	assert.Equal(t, []string{envoy.BootstrapFile, envoy.ClustersFile, envoy.ListenersFile}, files(t, d.Path))
	for _, path := range []string{envoy.ClustersFile, envoy.ListenersFile} {
		text, err := os.ReadFile(filepath.Join(d.Path, path))
		require.NoError(t, err)
		assert.Regexp(t, `^\{"version_info":"[0-9a-f]{16}","resources":\[\]\}$`, string(text), "Envoy does not start without it")
	}
}

// A file is replaced as a whole: who has the old one open reads it to its end, and nothing is left beside the new one.
func TestFilesAreReplacedByRenaming(t *testing.T) {
	d := &Dir{Path: t.TempDir()}
	require.NoError(t, d.Apply(t.Context(), named("a")))
	path := filepath.Join(d.Path, envoy.ClustersFile)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	open, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = open.Close() }()
	require.NoError(t, d.Apply(t.Context(), named("b")))
	still, err := io.ReadAll(open)
	require.NoError(t, err)
	assert.Equal(t, before, still)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NotEqual(t, before, after)
	for _, name := range files(t, d.Path) {
		assert.False(t, strings.HasSuffix(name, ".new"), name)
	}
}

// A symbolic link and a folder are not files that Waymark wrote.
func TestLinksAndFoldersStay(t *testing.T) {
	d := &Dir{Path: t.TempDir()}
	require.NoError(t, d.Apply(t.Context(), named("a")))
	at := func(name string) string {
		return filepath.Join(d.Path, envoy.Path(envoy.Key{Type: envoy.RouteType, Name: name}))
	}
	other := &Dir{Path: t.TempDir()} // a link to what Waymark could have written under its name
	require.NoError(t, other.Apply(t.Context(), named("link")))
	require.NoError(t, os.Symlink(filepath.Join(other.Path, envoy.Path(envoy.Key{Type: envoy.RouteType, Name: "link"})), at("link")))
	require.NoError(t, os.Mkdir(at("folder"), 0o700))
	require.NoError(t, d.Apply(t.Context(), named("b")))
	assert.DirExists(t, at("folder"))
	_, err := os.Lstat(at("link"))
	assert.NoError(t, err)
}

// What the folder has is read for the next change; what cannot be read is replaced, unless it would be merged.
func TestReading(t *testing.T) {
	d := &Dir{Path: filepath.Join(t.TempDir(), "none")}
	r, err := d.read(&envoy.Resources{})
	require.NoError(t, err, "a folder that does not exist has nothing")
	assert.Empty(t, r.OfType(envoy.ClusterType))
	require.NoError(t, d.Apply(t.Context(), named("a")))
	r, err = d.read(named("a"))
	require.NoError(t, err)
	types := slices.DeleteFunc(slices.Clone(envoy.Types), func(t envoy.Type) bool { return t == envoy.HostType }) // which only a control plane delivers
	for _, typ := range types {
		assert.NotNil(t, r.Get(envoy.Key{Type: typ, Name: "a"}), typ)
	}
	assert.Empty(t, envoy.Sequence(r, named("a")), "what was written is what is read")

	for _, typ := range types {
		path := filepath.Join(d.Path, envoy.Path(envoy.Key{Type: typ, Name: "a"}))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, text[:len(text)/2], 0o600))
		r, err = d.read(named("a"))
		if typ == envoy.ClusterType || typ == envoy.RouteType {
			assert.ErrorContains(t, err, path+" is not a file of resources", typ)
			require.NoError(t, os.WriteFile(path, text, 0o600))
			continue
		}
		require.NoError(t, err, typ)
		assert.Nil(t, r.Get(envoy.Key{Type: typ, Name: "a"}), typ)
	}
	require.NoError(t, os.WriteFile(filepath.Join(d.Path, envoy.Path(envoy.Key{Type: envoy.RouteType, Name: "gone"})), []byte("half"), 0o600))
	_, err = d.read(named("a"))
	require.NoError(t, err, "routes that nothing is merged with")
	foreign := filepath.Join(d.Path, envoy.Path(envoy.Key{Type: envoy.RouteType, Name: "b"}))
	text, err := os.ReadFile(filepath.Join(d.Path, envoy.Path(envoy.Key{Type: envoy.RouteType, Name: "a"})))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(foreign, text, 0o600))
	require.NoError(t, os.Remove(filepath.Join(d.Path, envoy.Path(envoy.Key{Type: envoy.RouteType, Name: "a"}))))
	r, err = d.read(named("b"))
	require.NoError(t, err)
	assert.Empty(t, r.OfType(envoy.RouteType), "routes under the name of others are somebody else's")
}

func TestWatches(t *testing.T) {
	r := named("a")
	assert.Equal(t, 2+4, Watches(r), "listeners and clusters; routes, endpoints, plugin and secret")
	file := &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: "/a"}}
	text := &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: `"filename"`}}
	r.Set(&tlsv3.Secret{Name: "text", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: text, PrivateKey: text}}})
	assert.Equal(t, 2+5, Watches(r))
	for _, s := range []*tlsv3.Secret{
		{Name: "chain", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: file, PrivateKey: text}}},
		{Name: "key", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: text, PrivateKey: file}}},
		{Name: "authority", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: file}}},
		{Name: "revoked", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: text, Crl: file}}},
	} {
		before := Watches(r)
		r.Set(s)
		assert.Equal(t, before+2, Watches(r), s.Name)
	}
}
