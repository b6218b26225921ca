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

// state is a plan together with what was made of it. It is immutable but for the count of its requests and the
// balancers' positions.
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

// choice is what an outcome's id stands for.
type choice struct {
	rule    *effect.Rule
	outcome plan.Outcome
}

// newState configures every worker. With an error, no worker keeps anything of it.
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

// choices are the outcomes of each virtual host, as Envoy's map of routes has them.
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

// eachWorker runs f with every VM, each taken from the free ones first.
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

// acquire returns the state in force and counts a request of it; release it with s.requests.Done.
func (p *Proxy) acquire() *state {
	p.stateMu.RLock()
	defer p.stateMu.RUnlock()
	p.state.requests.Add(1)
	return p.state
}
