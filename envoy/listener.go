package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/plan"
)

// listener serves one address. Its chains are told apart by the server name in a client's TLS hello.
func (b *builder) listener(l *plan.Listener) (*listenerv3.Listener, error) {
	out := &listenerv3.Listener{Name: l.Name, Address: listenAddress(l.Bind, l.Port), PerConnectionBufferLimitBytes: optionalNumber(b.limits().Buffer)}
	for _, c := range l.Chains {
		chain, err := b.filterChain(c)
		if err != nil {
			return nil, err
		}
		chain.Name = chainName(c)
		if len(c.ServerNames) > 0 {
			chain.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: c.ServerNames}
		}
		if c.TLS != nil {
			chain.TransportSocket = b.downstreamTLS(c.TLS)
		}
		out.FilterChains = append(out.FilterChains, chain)
	}
	if slices.ContainsFunc(l.Chains, func(c *plan.FilterChain) bool { return c.TLS != nil || c.Passthrough }) {
		out.ListenerFilters = append(out.ListenerFilters, &listenerv3.ListenerFilter{
			Name:       "envoy.filters.listener.tls_inspector",
			ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: typed(&tlsinspectorv3.TlsInspector{})},
		})
	}
	return out, nil
}

// chainName is what a chain serves, which no other chain of the listener does: its protocol and the server names. Envoy
// keeps the connections of a chain that is the same after a change, name included, so it must not depend on the others.
func chainName(c *plan.FilterChain) string {
	kind := "tcp"
	switch {
	case c.Routes != nil && c.TLS != nil:
		kind = "https"
	case c.Routes != nil:
		kind = "http"
	case c.Passthrough:
		kind = "tls"
	case c.TLS != nil:
		kind = "tcp+tls"
	}
	names := strings.Join(c.ServerNames, ",")
	if names == "" {
		names = "*"
	}
	if len(names) > longestNames {
		sum := sha256.Sum256([]byte(names))
		names = names[:longestNames] + "~" + hex.EncodeToString(sum[:8])
	}
	return kind + ":" + names
}

// longestNames is how much of the server names is written out; what is longer ends in a hash.
const longestNames = 100

func (b *builder) filterChain(c *plan.FilterChain) (*listenerv3.FilterChain, error) {
	if c.TCP != nil {
		return &listenerv3.FilterChain{Filters: []*listenerv3.Filter{networkFilter("envoy.filters.network.tcp_proxy", tcpProxy(c.TCP, &b.Options))}}, nil
	}
	m, err := b.connectionManager(c.Routes)
	if err != nil {
		return nil, err
	}
	return &listenerv3.FilterChain{Filters: []*listenerv3.Filter{networkFilter("envoy.filters.network.http_connection_manager", m)}}, nil
}

func networkFilter(name string, config proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: typed(config)}}
}

// tcpProxy forwards connections to one of its destinations.
func tcpProxy(t *plan.TCPProxy, o *Options) *tcpproxyv3.TcpProxy {
	out := &tcpproxyv3.TcpProxy{StatPrefix: StatName(t.Origin.String()), AccessLog: tcpAccessLog(t, o), IdleTimeout: optionalDuration(t.IdleTimeout)}
	if len(t.Destinations) == 1 {
		out.ClusterSpecifier = &tcpproxyv3.TcpProxy_Cluster{Cluster: t.Destinations[0].Cluster}
		return out
	}
	split := &tcpproxyv3.TcpProxy_WeightedCluster{}
	for _, d := range t.Destinations {
		split.Clusters = append(split.Clusters, &tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight{Name: d.Cluster, Weight: d.Weight})
	}
	out.ClusterSpecifier = &tcpproxyv3.TcpProxy_WeightedClusters{WeightedClusters: split}
	return out
}
