package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
)

// The types in adsTypes.
const (
	clusterType = iota
	endpointType
	listenerType
	routeType
	pluginType
	hostType
)

// proxies are the simulated Envoys of a process.
type proxies struct {
	address string
	all     []*proxy
	library *library

	bytes, wire atomic.Int64
	messages    [hostType + 1]atomic.Int64

	mu     sync.Mutex
	failed error
	again  map[int]*repeated
}

// repeated is the request with which Envoys that have the same come back.
type repeated struct {
	have []int
	sent *discoveryv3.DeltaDiscoveryRequest
}

// proxy is an Envoy as its control plane sees it. It asks for what a real one asks for, in its order, and acknowledges
// everything at once.
type proxy struct {
	of     *proxies
	id     string
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	ended  chan struct{}

	mu      sync.Mutex
	have    []int // versions, by the number of a name
	asked   [hostType + 1]bool
	missing int
	synced  int64 // when nothing was missing any more, and that was acknowledged
}

// simulate is the process of the Envoys.
func simulate(o *options) error {
	p := &proxies{address: o.address, library: newLibrary(), again: map[int]*repeated{}}
	for i := range o.proxies {
		p.all = append(p.all, &proxy{of: p, id: fmt.Sprintf("edge-%d", i), missing: 1})
	}
	return answer(p.do)
}

func (p *proxies) do(c command) (*reply, error) {
	r := &reply{At: time.Now().UnixNano()}
	switch c.Op {
	case "expect":
		return r, p.expect(c.File)
	case "connect":
		return r, p.each((*proxy).connect)
	case "disconnect":
		return r, p.each((*proxy).disconnect)
	case "await":
		return p.await(c.Seconds)
	case "count": // since it was asked last
		debug.FreeOSMemory() // the server needs it
		r.Bytes, r.Wire, r.Messages = p.bytes.Swap(0), p.wire.Swap(0), map[string]int64{}
		for i, t := range adsTypes {
			r.Messages[t.Short()] = p.messages[i].Swap(0)
		}
		return r, nil
	default:
		return nil, fmt.Errorf("the proxies do not know %q", c.Op)
	}
}

// each does something with all at once.
func (p *proxies) each(do func(*proxy) error) error {
	errs := make([]error, len(p.all))
	var done sync.WaitGroup
	for i, one := range p.all {
		done.Go(func() { errs[i] = do(one) })
	}
	done.Wait()
	return errors.Join(errs...)
}

// expected is a line of the file with what Envoys are to have.
type expected struct {
	Type envoy.Type
	Name string
	Sum  uint32
}

func (p *proxies) expect(file string) error {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return err
	}
	var all []expected
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	s := sums{}
	for _, e := range all {
		s[envoy.Key{Type: e.Type, Name: e.Name}] = e.Sum
	}
	p.library.expect(s)
	for _, one := range p.all {
		one.mu.Lock()
		one.missing = p.library.missing(one.have)
		one.mu.Unlock()
	}
	return nil
}

// await waits until all have what they are to have, and says when the last one acknowledged it.
func (p *proxies) await(seconds float64) (*reply, error) {
	for over := time.Now().Add(time.Duration(seconds * float64(time.Second))); ; time.Sleep(2 * time.Millisecond) {
		r := &reply{}
		lacking := 0
		for _, one := range p.all {
			one.mu.Lock()
			if one.missing == 0 {
				r.Count++
				r.At = max(r.At, one.synced)
			}
			lacking = max(lacking, one.missing)
			one.mu.Unlock()
		}
		p.mu.Lock()
		err := p.failed
		p.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case r.Count == len(p.all):
			return r, nil
		case time.Now().After(over):
			return nil, fmt.Errorf("%d of %d proxies have what they are to have, and one lacks %d resources", r.Count, len(p.all), lacking)
		}
	}
}

// frame is a message as it is sent.
type frame struct{ buffer mem.Buffer }

// rawCodec leaves messages as they are: reading six megabytes of them a thousand times costs more than sending them.
type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	v.(*frame).buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

// countedConn counts what comes.
type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

func (p *proxy) connect() (err error) {
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return &countedConn{conn, &p.of.wire}, nil
	}
	p.conn, err = grpc.NewClient("passthrough:///"+p.of.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2("proto")}), grpc.MaxCallRecvMsgSize(1<<30)),
		grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(1<<20))
	if err != nil {
		return err
	}
	if p.stream, err = p.conn.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked[clusterType] {
		err = p.ask(clusterType, nil)
	} else {
		err = p.askAgain()
	}
	go p.receive(p.stream, p.ended)
	return err
}

// disconnect ends the connection; the Envoy keeps what it has.
func (p *proxy) disconnect() error {
	err := p.conn.Close()
	<-p.ended
	return err
}

// extensions is about how many a real Envoy names in its node.
const extensions = 300

// node is who the Envoy is.
func (p *proxy) node() *corev3.Node {
	n := &corev3.Node{Id: p.id, Cluster: "edge", UserAgentName: "envoy", UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{
		UserAgentBuildVersion: &corev3.BuildVersion{Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: minor}},
	}}
	for i := range extensions {
		n.Extensions = append(n.Extensions, &corev3.Extension{
			Name: fmt.Sprintf("envoy.filters.http.extension_%d", i), Category: "envoy.filters.http",
			TypeUrls: []string{fmt.Sprintf("envoy.extensions.filters.http.extension_%d.v3.Extension", i)},
		})
	}
	return n
}

func (p *proxy) ask(kind int, names []string) error {
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(adsTypes[kind]), ResourceNamesSubscribe: names}
	if kind == clusterType && !p.asked[kind] {
		r.Node = p.node()
	}
	p.asked[kind] = true
	return p.stream.SendMsg(r)
}

// askAgain asks as an Envoy does that comes back: for everything, with the versions that it has.
func (p *proxy) askAgain() error {
	for kind, asked := range p.asked {
		if !asked {
			continue
		}
		r := proto.CloneOf(p.of.againFor(kind, p.have))
		if kind == clusterType {
			r.Node = p.node()
		}
		if err := p.stream.SendMsg(r); err != nil {
			return err
		}
	}
	return nil
}

// againFor is the request of one type with which Envoys come back that have some versions.
func (p *proxies) againFor(kind int, have []int) *discoveryv3.DeltaDiscoveryRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.again[kind]; known != nil && slices.Equal(known.have, have) {
		return known.sent
	}
	held := p.library.held(kind, have)
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(adsTypes[kind]), InitialResourceVersions: held}
	if kind == endpointType || kind == routeType || kind == pluginType {
		for name := range held {
			r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, name)
		}
		slices.Sort(r.ResourceNamesSubscribe)
	}
	p.again[kind] = &repeated{slices.Clone(have), r}
	return r
}

// receive takes what comes until the stream ends.
func (p *proxy) receive(stream grpc.ClientStream, ended chan struct{}) {
	defer close(ended)
	for {
		var f frame
		if err := stream.RecvMsg(&f); err != nil {
			if p.conn.GetState().String() != "SHUTDOWN" {
				p.of.fail(fmt.Errorf("%s: %w", p.id, err))
			}
			return
		}
		err := p.take(f.buffer.ReadOnlyData())
		f.buffer.Free()
		if err != nil {
			p.of.fail(fmt.Errorf("%s: %w", p.id, err))
			return
		}
	}
}

func (p *proxies) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

// take takes a response: it notes what came, acknowledges it, and asks for what a real Envoy asks for then.
func (p *proxy) take(b []byte) error {
	p.of.bytes.Add(int64(len(b)))
	var resources, removed [][]byte
	var typ, nonce string
	if err := eachField(b, func(field protowire.Number, value []byte) { // DeltaDiscoveryResponse
		switch field {
		case 2:
			resources = append(resources, value)
		case 4:
			typ = string(value)
		case 5:
			nonce = string(value)
		case 6:
			removed = append(removed, value)
		}
	}); err != nil {
		return err
	}
	kind := slices.Index(adsTypes, envoy.Type(typ))
	if kind < 0 {
		return fmt.Errorf("a response of type %q", typ)
	}
	p.of.messages[kind].Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	var added []string
	for _, r := range resources {
		var text, content, name []byte
		if err := eachField(r, func(field protowire.Number, value []byte) { // Resource
			switch field {
			case 1:
				text = value
			case 2:
				content = value
			case 3:
				name = value
			}
		}); err != nil {
			return err
		}
		id := p.of.library.id(kind, name)
		if p.put(id, p.of.library.version(id, text, content)) {
			added = append(added, string(name))
		}
	}
	for _, name := range removed {
		p.put(p.of.library.id(kind, name), 0)
	}
	if err := p.stream.SendMsg(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typ, ResponseNonce: nonce}); err != nil {
		return err
	}
	if p.missing == 0 {
		p.synced = time.Now().UnixNano()
	}
	return p.next(kind, added)
}

// put notes a version, and reports whether the Envoy had none.
func (p *proxy) put(id, version int) (isNew bool) {
	if id >= len(p.have) {
		p.have = append(p.have, make([]int, id+1-len(p.have))...)
	}
	before := p.have[id]
	p.have[id] = version
	if p.of.library.lacks(id, before) {
		p.missing--
	}
	if p.of.library.lacks(id, version) {
		p.missing++
	}
	return before == 0 && version != 0
}

// next asks for what a response makes an Envoy ask for: a cluster for its endpoints, all endpoints for listeners, a listener
// for its routes and its plugin configuration, routes for their virtual hosts.
func (p *proxy) next(kind int, added []string) error {
	l := p.of.library
	switch {
	case kind == clusterType && len(added) > 0:
		return p.ask(endpointType, added)
	case kind == endpointType && !p.asked[listenerType]:
		return p.ask(listenerType, nil)
	case kind == listenerType && !p.asked[routeType]:
		if err := p.ask(routeType, l.routes); err != nil || len(l.plugins) == 0 {
			return err
		}
		return p.ask(pluginType, l.plugins)
	case kind == routeType && !p.asked[hostType]:
		return p.ask(hostType, nil)
	}
	return nil
}
