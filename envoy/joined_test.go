package envoy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// Endpoints and certificates have files of their own as long as an Envoy may have so many; then certificates are joined
// first, and endpoints with a warm-up last.
func TestFewFiles(t *testing.T) {
	for sentence, c := range map[string]struct {
		plain, outliers, warming, contents, files, servers int
		control                                            bool
		endpoints, secrets                                 int // resources
	}{
		"endpoints without a state have no file":                            {plain: 200, warming: 1, endpoints: 1},
		"endpoints with a state have one, while those of outliers are few":  {outliers: mostOutlierFiles, warming: 40, endpoints: mostOutlierFiles + 40},
		"where those of outliers are many, only those with a warm-up":       {outliers: mostOutlierFiles + 1, warming: 40, endpoints: 40},
		"certificates have a file":                                          {contents: 50, files: 10, warming: 20, endpoints: 20, secrets: 60},
		"with one too many, certificates are with their listeners":          {contents: 60, files: 10, warming: 20, endpoints: 20, secrets: 10},
		"those that are named by files keep it, whatever else is joined":    {contents: 10, files: 50, warming: 20, outliers: 10, secrets: 50},
		"endpoints of outliers go before those with a warm-up":              {outliers: 30, warming: 60, servers: 10, endpoints: 60},
		"a warm-up is given up at last":                                     {outliers: 30, warming: 110},
		"every route configuration counts":                                  {servers: 50, warming: 45},
		"with a control plane there are no files, and everything is itself": {plain: 20, outliers: 50, warming: 110, contents: 60, control: true, endpoints: 180, secrets: 60},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := &plan.Plan{}
			cluster := func(n int, change func(*plan.Cluster)) {
				for range n {
					c := clusterWith(change)
					c.Name = fmt.Sprint(len(p.Clusters))
					p.Clusters = append(p.Clusters, c)
				}
			}
			cluster(c.plain, func(*plan.Cluster) {})
			cluster(c.outliers, func(c *plan.Cluster) { c.Outlier = &plan.OutlierDetection{} })
			cluster(c.warming, func(c *plan.Cluster) { c.Warmup, c.Outlier = &plan.Warmup{}, &plan.OutlierDetection{} })
			cluster(1, func(c *plan.Cluster) { c.Discovery, c.Outlier = plan.StrictDNS, &plan.OutlierDetection{} })
			secured := func(n int, credential plan.Credential) {
				for range n {
					own := credential
					own.Name = fmt.Sprintf("kubernetes://%d", len(p.Clusters))
					cluster(1, func(c *plan.Cluster) { c.TLS = &plan.UpstreamTLS{Certificate: &own} })
				}
			}
			secured(c.contents, plan.Credential{Cert: []byte("cert"), Key: []byte("key")})
			secured(c.files, plan.Credential{CertFile: "/c", KeyFile: "/k"})
			l := &plan.Listener{Name: "l", Bind: "127.0.0.1", Port: 1}
			for i := range c.servers {
				l.Chains = append(l.Chains, &plan.FilterChain{ServerNames: []string{fmt.Sprint(i)}, Routes: &plan.RouteConfig{Name: fmt.Sprint(i)}})
			}
			p.Listeners = append(p.Listeners, l)
			o := Options{Matching: MatchingNative, Dir: "/d"}
			if c.control {
				o.Dir, o.Control = "", &Control{Socket: "/s", Node: Node{ID: "a", Cluster: "b"}}
				c.endpoints += c.contents
			}
			r, err := Build(p, o)
			require.NoError(t, err)
			assert.Len(t, r.OfType(EndpointType), c.endpoints)
			assert.Len(t, r.OfType(SecretType), c.secrets)
			for _, e := range r.OfType(EndpointType) {
				assert.NotEqual(t, fmt.Sprint(c.plain+c.outliers+c.warming), e.Name, "its endpoints are resolved")
			}
		})
	}
}
