package proxy

import (
	"context"
	"net"
	"net/http"
)

// clients send requests to the endpoints of clusters, and keep the connections. All clusters without TLS share one; a
// cluster with TLS has its own, whose connections end with the plan.
type clients struct {
	http1, http2 *http.Transport
	encryptor    *encryptor // nil for plain text
}

func newPlainClients() *clients {
	dial := (&net.Dialer{Timeout: connectTimeout}).DialContext
	return &clients{newTransport(false, dial), newTransport(true, dial), nil}
}

func newEncryptedClients(e *encryptor) *clients {
	return &clients{e.transport(false), e.transport(true), e}
}

// newTransport makes what sends requests over connections that dial makes, by HTTP/1.1 or by HTTP/2. net/http treats the
// connections as plain text.
func newTransport(http2 bool, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	return &http.Transport{
		Protocols:           protocols,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		DialContext:         dial,
	}
}

// target returns the host of the URL for a request with an authority to an endpoint. Requests with the same host may
// share connections.
func (c *clients) target(endpoint, authority string) string {
	if c.encryptor == nil {
		return endpoint
	}
	return c.encryptor.target(endpoint, authority)
}

func (c *clients) closeIdle() {
	c.http1.CloseIdleConnections()
	c.http2.CloseIdleConnections()
}
