package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/proxy/vm"
)

// state is a plan together with the root contexts and balancers that were made for it. Only the count of its requests
// and the positions of the balancers change.
type state struct {
	plan     *plan.Plan
	sites    map[string][]*site     // by listener name, in the order of its chains
	tls      map[string]*terminator // by the name of a listener that terminates TLS
	clusters map[string]*balancer
	requests sync.WaitGroup
}

// site is what one listener serves.
type site struct {
	routes *plan.RouteConfig
	roots  map[*vm.VM]uint32 // the root context in each worker
	hosts  map[*plan.VirtualHost]map[string]choice
}

// choice is the rule and the outcome of an outcome's id.
type choice struct {
	rule    *effect.Rule
	outcome plan.Outcome
}

// newState makes a state of what [servable] returns, and configures every worker. After an error, no worker has a root context of it.
func (p *Proxy) newState(ctx context.Context, next *plan.Plan, encryptors map[string]*encryptor) (*state, error) {
	if err := next.CheckIDs(); err != nil {
		return nil, err
	}
	s := &state{plan: next, sites: map[string][]*site{}, tls: map[string]*terminator{}, clusters: map[string]*balancer{}}
	for _, c := range next.Clusters {
		b := newBalancer(c)
		b.clients = p.plain
		if e := encryptors[c.Name]; e != nil {
			b.clients = newEncryptedClients(e)
		}
		s.clusters[c.Name] = b
	}
	for _, l := range next.Listeners {
		for _, c := range l.Chains {
			if err := p.addSite(ctx, s, l.Name, c.Routes); err != nil {
				return nil, errors.Join(err, p.release(s))
			}
		}
		if l.Chains[0].TLS == nil {
			continue
		}
		var err error
		if s.tls[l.Name], err = newTerminator(l); err != nil {
			return nil, errors.Join(err, p.release(s))
		}
	}
	return s, nil
}

// addSite configures every worker for the next chain of a listener.
func (p *Proxy) addSite(ctx context.Context, s *state, listener string, routes *plan.RouteConfig) error {
	config, err := pluginconfig.Write(routes, p.options.Intake.Behaviour())
	if err != nil {
		return err
	}
	site := &site{routes: routes, roots: map[*vm.VM]uint32{}, hosts: choices(routes)}
	s.sites[listener] = append(s.sites[listener], site)
	return p.eachWorker(func(v *vm.VM) error {
		root, err := v.Configure(ctx, config)
		site.roots[v] = root
		return err
	})
}

// site is the one for a request to a listener; nil where there is none.
func (s *state) site(listener string, r *http.Request) *site {
	sites := s.sites[listener]
	if len(sites) == 0 {
		return nil
	}
	connection, t := encryption(r), s.tls[listener]
	switch {
	case (connection != nil) != (t != nil):
		return nil // the listener has changed since the connection was opened
	case t == nil:
		return sites[0]
	}
	if i := effect.ChainFor(t.listener, connection.ServerName); i >= 0 {
		return sites[i]
	}
	return nil
}

// serverURIs are the URIs of the certificate that a listener shows on a connection; of the first one, if it has several.
func (s *state) serverURIs(listener string, connection *tls.ConnectionState) []*url.URL {
	t := s.tls[listener]
	if t == nil {
		return nil // the listener has changed since the connection was opened
	}
	i := effect.ChainFor(t.listener, connection.ServerName)
	if i < 0 || t.configs[i] == nil || len(t.configs[i].Certificates) == 0 {
		return nil
	}
	return t.configs[i].Certificates[0].Leaf.URIs
}

// encryption is the TLS state of a request's connection; nil for plain text.
func encryption(r *http.Request) *tls.ConnectionState {
	watched, ok := r.Context().Value(connKey{}).(*watchedConn)
	if !ok {
		return nil
	}
	c, ok := watched.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	state := c.ConnectionState()
	return &state
}

// choices returns the outcomes of each virtual host by their ids. In Envoy, a map of routes has them.
func choices(rc *plan.RouteConfig) map[*plan.VirtualHost]map[string]choice {
	all := map[*plan.VirtualHost]map[string]choice{}
	for _, h := range rc.VirtualHosts {
		all[h] = map[string]choice{}
		for _, r := range h.Rules {
			compiled := effect.Of(r)
			for _, o := range r.Outcomes {
				all[h][o.ID] = choice{compiled, o}
			}
		}
	}
	return all
}

// eachWorker takes all VMs out of the free ones, waiting for those in use, and calls f with each until f fails.
func (p *Proxy) eachWorker(f func(*vm.VM) error) error {
	var err error
	taken := make([]*vm.VM, 0, len(p.all))
	for range p.all {
		v := <-p.workers
		taken = append(taken, v)
		if err == nil {
			err = f(v)
		}
	}
	for _, v := range taken {
		p.workers <- v
	}
	return err
}

// release deletes a state's root contexts.
func (p *Proxy) release(s *state) error {
	return p.eachWorker(func(v *vm.VM) error {
		for _, sites := range s.sites {
			for _, site := range sites {
				if root := site.roots[v]; root != 0 {
					if err := v.Delete(context.Background(), root); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// retire waits for a state's last request, closes the connections that only it uses and deletes its root contexts.
func (p *Proxy) retire(s *state) {
	s.requests.Wait()
	s.closeIdle()
	if err := p.release(s); err != nil && p.options.Log != nil {
		p.options.Log("deleting an old configuration: " + err.Error())
	}
}

// closeIdle closes the idle connections to the clusters with TLS.
func (s *state) closeIdle() {
	for _, b := range s.clusters {
		if b.clients.encryptor != nil {
			b.clients.closeIdle()
		}
	}
}

// acquire returns the current state and counts a request of it. The caller must call requests.Done of the state.
func (p *Proxy) acquire() *state {
	p.stateMu.RLock()
	defer p.stateMu.RUnlock()
	p.state.requests.Add(1)
	return p.state
}
