package process

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
)

// admin is the address of an admin interface.
type admin struct {
	name   string // for messages
	port   uint32 // 0 for a Unix socket, and for another process's interface
	url    string
	client *http.Client
}

func newAdmin(o *Options) *admin {
	if o.AdminSocket == "" {
		name := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.AdminPort)))
		return &admin{name, o.AdminPort, "http://" + name, http.DefaultClient}
	}
	return socketAdmin(o.AdminSocket)
}

func socketAdmin(path string) *admin {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &admin{path, 0, "http://admin", &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Admin gets a path of Envoy's admin interface, such as "/stats?filter=lds", and returns the body. A status other than
// 200 is an error.
func (p *Process) Admin(ctx context.Context, path string) (string, error) {
	return p.admin.ask(ctx, http.MethodGet, path)
}

// Ask is for an Envoy that is not a child: what it returns gets a path of the admin interface at an address, HOST:PORT or
// the path of a Unix socket, and returns the body. A status other than 200 is an error.
func Ask(address string) func(ctx context.Context, path string) (string, error) {
	a := &admin{address, 0, "http://" + address, http.DefaultClient}
	if filepath.IsAbs(address) {
		a = socketAdmin(address)
	}
	return func(ctx context.Context, path string) (string, error) { return a.ask(ctx, http.MethodGet, path) }
}

func (a *admin) ask(ctx context.Context, method, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, nil)
	if err != nil {
		return "", err
	}
	response, err := a.client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("admin %s: %s", path, response.Status)
	}
	return string(text), err
}
