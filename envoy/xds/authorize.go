package xds

import (
	"context"
	"crypto/x509"
	"log/slog"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Authorize decides whether a client may be a node. certificate is the one that the client has shown and that was verified;
// nil where the connection has no TLS.
type Authorize func(certificate *x509.Certificate, node *corev3.Node) error

func (s *Server) authorize(ctx context.Context, node *corev3.Node) error {
	if s.options.Authorize == nil {
		return nil
	}
	var certificate *x509.Certificate
	if p, ok := peer.FromContext(ctx); ok {
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
			certificate = t.State.VerifiedChains[0][0]
		}
	}
	if err := s.options.Authorize(certificate, node); err != nil {
		s.options.Log.Warn("a proxy is refused: "+err.Error(), slog.String("node", node.GetId()))
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return nil
}
