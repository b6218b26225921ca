package proxy

import (
	"context"
	"errors"
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
	sites    map[string]*site // by listener name
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

// newState makes a state and configures every worker. After an error, no worker has a root context of it.
func (p *Proxy) newState(ctx context.Context, next *plan.Plan) (*state, error) {
	if err := errors.Join(next.CheckIDs(), supported(next, p.options.Intake.Behaviour())); err != nil {
		return nil, err
	}
	s := &state{plan: next, sites: map[string]*site{}, clusters: map[string]*balancer{}}
	for _, c := range next.Clusters {
		s.clusters[c.Name] = newBalancer(c)
	}
	for _, l := range next.Listeners {
		routes := l.Chains[0].Routes
		config, err := pluginconfig.Write(routes, p.options.Intake.Behaviour())
		if err != nil {
			return nil, errors.Join(err, p.release(s))
		}
		site := &site{routes: routes, roots: map[*vm.VM]uint32{}, hosts: choices(routes)}
		s.sites[l.Name] = site
		if err := p.eachWorker(func(v *vm.VM) error {
			root, err := v.Configure(ctx, config)
			site.roots[v] = root
			return err
		}); err != nil {
			return nil, errors.Join(err, p.release(s))
		}
	}
	return s, nil
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
		for _, site := range s.sites {
			if root := site.roots[v]; root != 0 {
				if err := v.Delete(context.Background(), root); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// retire waits for a state's last request and deletes its root contexts.
func (p *Proxy) retire(s *state) {
	s.requests.Wait()
	if err := p.release(s); err != nil && p.options.Log != nil {
		p.options.Log("deleting an old configuration: " + err.Error())
	}
}

// acquire returns the current state and counts a request of it. The caller must call requests.Done of the state.
func (p *Proxy) acquire() *state {
	p.stateMu.RLock()
	defer p.stateMu.RUnlock()
	p.state.requests.Add(1)
	return p.state
}
