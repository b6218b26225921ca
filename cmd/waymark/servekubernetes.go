package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/cluster"
	"waymark.dev/waymark/fleet"
)

// kubernetesFlags say which cluster has the resources.
type kubernetesFlags struct {
	watched                     bool
	kubeconfig, context         string
	namespaces                  []string
	lease, identity             string
	withoutSecrets, writeStatus bool
}

func (f *kubernetesFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&f.watched, "kubernetes", false, "the resources are those of a Kubernetes cluster, instead of -f")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "file that says how to reach the cluster (default: as kubectl finds it; in a Pod, its own cluster)")
	flags.StringVar(&f.context, "context", "", "context in that file (default: the current one)")
	flags.StringSliceVar(&f.namespaces, "watch-namespaces", nil, "namespaces whose resources count (default: all)")
	flags.BoolVar(&f.withoutSecrets, "without-secrets", false, "do not read Secrets; certificates are those of --secret")
	flags.StringVar(&f.lease, "lease", "", "NAMESPACE/NAME of the Lease by which one of several replicas is elected that writes the status of resources (default: the namespace of the kubeconfig or Pod, and waymark)")
	flags.StringVar(&f.identity, "identity", "", "name of this replica in the Lease (default: the name of the host)")
	flags.BoolVar(&f.writeStatus, "write-status", true, "write into the status of resources what was refused, and how many proxies have taken them")
}

// statusInterval is how often the number of proxies that have taken a change is written while it grows.
const statusInterval = 2 * time.Second

// feed gives the plane what the cluster has, until the context ends.
func (f *kubernetesFlags) feed(ctx context.Context, plane *fleet.Plane, log *slog.Logger) error {
	config, namespace, err := cluster.Config(f.kubeconfig, f.context)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	lease := cluster.Lease{Namespace: namespace, Name: "waymark", Identity: f.identity, Log: log}
	if f.lease != "" {
		var ok bool
		if lease.Namespace, lease.Name, ok = strings.Cut(f.lease, "/"); !ok {
			return usageError("--lease %q is not NAMESPACE/NAME", f.lease)
		}
	}
	if lease.Identity == "" {
		if lease.Identity, err = os.Hostname(); err != nil {
			return err
		}
	}
	options := cluster.Options{Namespaces: f.namespaces, Log: log}
	for _, kind := range cluster.Kinds() {
		if kind != "Secret" || !f.withoutSecrets {
			options.Kinds = append(options.Kinds, kind)
		}
	}
	source, err := cluster.Watch(ctx, config, options)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	var writes sync.WaitGroup
	defer writes.Wait()
	var judged *judge
	if f.writeStatus {
		writer, err := cluster.NewStatusWriter(config, source)
		if err != nil {
			return err
		}
		judged = &judge{plane: plane, writer: writer}
		writes.Go(func() { judged.run(ctx) })
		writes.Go(func() {
			if err := cluster.Lead(ctx, config, lease, writer.Run); err != nil && ctx.Err() == nil {
				log.Error("the status of resources is not written: " + err.Error())
			}
		})
	}
	for {
		state, err := source.Next(ctx)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		if state.OnlyEndpoints {
			done, err := plane.ApplyEndpoints(state.Input)
			if err != nil {
				log.Error("some proxies keep the endpoints that they have: " + err.Error())
			}
			if done {
				continue
			}
		}
		change, err := give(plane, state.Input, log)
		if err != nil {
			log.Error("some proxies keep what they have: " + err.Error())
		}
		judged.set(change)
	}
}

// judge says in the status of each object of Istio whether it is used, and by how many proxies.
type judge struct {
	plane  *fleet.Plane
	writer *cluster.StatusWriter

	mu     sync.Mutex
	change *fleet.Change
}

func (j *judge) set(c *fleet.Change) {
	if j == nil {
		return
	}
	j.mu.Lock()
	j.change = c
	j.mu.Unlock()
	j.write()
}

// run writes whenever proxies have taken more.
func (j *judge) run(ctx context.Context) {
	for {
		changed := j.plane.Server().Changed()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if errors.Is(sleep(ctx, statusInterval), context.Canceled) {
			return
		}
		j.write()
	}
}

func (j *judge) write() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.change == nil {
		return
	}
	wanted := cluster.Judge(j.change.Input)
	uptake := j.plane.Uptake()
	for _, o := range j.change.Input.Objects {
		ref := cluster.RefOf(o)
		status := wanted[ref]
		status.Conditions = append(status.Conditions, programmed(uptake(o), status))
		wanted[ref] = status
	}
	j.writer.Set(wanted)
}

// programmed is the condition that proxies have taken an object.
func programmed(u fleet.Uptake, s cluster.Status) cluster.Condition {
	c := cluster.Condition{Type: cluster.Programmed, Status: "True", Reason: "Programmed", Message: "taken by every proxy"}
	switch {
	case s.Findings.HasErrors():
		c.Status, c.Reason, c.Message = "False", "Invalid", "not given to proxies, which keep the last valid version if there was one"
	case len(u.Refused) > 0:
		c.Status, c.Reason = "False", "RefusedByProxies"
		c.Message = fmt.Sprintf("taken by %d of %d proxies; refused: %s", u.Taken, u.Connected, u.Refused[0])
	case u.Connected == 0:
		c.Status, c.Reason, c.Message = "Unknown", "NoProxies", "no proxy is connected"
	case u.Taken < u.Connected:
		c.Status, c.Reason = "Unknown", "Progressing"
		c.Message = fmt.Sprintf("taken by %d of %d proxies", u.Taken, u.Connected)
	}
	return c
}
