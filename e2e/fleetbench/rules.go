package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"

	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// minor is that of the Envoys that are simulated.
const minor = 39

// rulebook is the rules of a fleet as a control plane has them: each object is decoded once and shared by all inputs, as
// objects of a cluster are. Each host has a VirtualService, a Service and an EndpointSlice of its own.
type rulebook struct {
	perHost   int
	edge      *resource.Decoded
	services  []*resource.Decoded
	rules     []*resource.Decoded
	endpoints []*resource.Decoded
	moved     []int // how often the endpoints of a host have changed
}

func newRulebook(rules, hosts int) (*rulebook, error) {
	b := &rulebook{perHost: rules / hosts, moved: make([]int, hosts)}
	var err error
	b.edge, err = decode("networking.istio.io/v1", "Gateway", "edge", nil, map[string]any{"spec": map[string]any{
		"selector": map[string]any{"istio": "ingressgateway"},
		"servers":  []any{map[string]any{"port": map[string]any{"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": []any{"*"}}},
	}})
	if err != nil {
		return nil, err
	}
	for h := range hosts {
		service, err := decode("v1", "Service", name(h), nil, map[string]any{"spec": map[string]any{
			"clusterIP": fmt.Sprintf("10.96.%d.%d", h/250, h%250+1), "selector": map[string]any{"app": name(h)},
			"ports": []any{map[string]any{"name": "http", "port": 80, "targetPort": 8080}},
		}})
		if err != nil {
			return nil, err
		}
		b.services, b.rules, b.endpoints = append(b.services, service), append(b.rules, nil), append(b.endpoints, nil)
		if err := b.change(h, 0); err != nil {
			return nil, err
		}
		if err := b.move(h); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func name(host int) string { return fmt.Sprintf("shop-%d", host) }

// change gives the first rule of a host another timeout, which makes it another outcome.
func (b *rulebook) change(host, generation int) (err error) {
	var rules []any
	for i := range b.perHost {
		rule := map[string]any{
			"match": []any{map[string]any{"uri": map[string]any{"prefix": fmt.Sprintf("/team-%d/", i)}}},
			"route": []any{map[string]any{"destination": map[string]any{"host": name(host), "port": map[string]any{"number": 80}}}},
		}
		if i%2 == 1 {
			rule["match"] = []any{map[string]any{"uri": map[string]any{"exact": fmt.Sprintf("/page-%d", i)}, "method": map[string]any{"exact": "GET"}}}
		}
		if i == 0 {
			rule["timeout"] = fmt.Sprintf("%dms", 1000+generation)
		}
		rules = append(rules, rule)
	}
	b.rules[host], err = decode("networking.istio.io/v1", "VirtualService", name(host), nil, map[string]any{
		"spec": map[string]any{"hosts": []any{name(host) + ".test"}, "gateways": []any{"edge"}, "http": rules},
	})
	return err
}

// move gives a host other endpoints.
func (b *rulebook) move(host int) (err error) {
	n := b.moved[host]
	b.moved[host]++
	b.endpoints[host], err = decode("discovery.k8s.io/v1", "EndpointSlice", name(host), map[string]any{"kubernetes.io/service-name": name(host)}, map[string]any{
		"addressType": "IPv4", "ports": []any{map[string]any{"name": "http", "port": 8080, "protocol": "TCP"}},
		"endpoints": []any{
			map[string]any{"addresses": []any{fmt.Sprintf("10.%d.%d.%d", n%200, host/250, host%250+1)}, "conditions": map[string]any{"ready": true}},
			map[string]any{"addresses": []any{fmt.Sprintf("10.%d.%d.%d", 200+n%50, host/250, host%250+1)}, "conditions": map[string]any{"ready": true}},
		},
	})
	return err
}

func decode(version, kind, name string, labels map[string]any, more map[string]any) (*resource.Decoded, error) {
	object := map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"namespace": "default", "name": name, "labels": labels}}
	maps.Copy(object, more)
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	d, err := resource.Decode(text)
	if err == nil && len(d.Findings) > 0 {
		err = &diag.FindingsError{Findings: d.Findings}
	}
	return d, err
}

// input is all objects as they are now.
func (b *rulebook) input() *resource.Input {
	all := []*resource.Decoded{b.edge}
	for h := range b.services {
		all = append(all, b.services[h], b.endpoints[h], b.rules[h])
	}
	return resource.Join(all)
}

// building are the options of what the simulated Envoys get, and translation those of its plan.
func building(matching envoy.Matching) envoy.Options {
	return envoy.Options{Matching: matching, Minor: envoyversion.Nearest(minor), Module: "/waymark.wasm", Control: &envoy.Control{}}
}

var translation = translate.Options{Proxy: translate.GatewayProxy}.WithDefaults()

// build makes what every server gives: as package fleet does, from objects to resources.
func build(in *resource.Input, matching envoy.Matching) (*plan.Plan, *envoy.Resources, error) {
	kept := gateway.Keep(gateway.Prepare(in, envoyversion.All), nil)
	p, findings := translate.Plan(kept.Set, translation)
	if all := diag.Merge(kept.Findings, findings); p == nil || all.HasErrors() {
		return nil, nil, &diag.FindingsError{Findings: all}
	}
	r, err := envoy.Build(p, building(matching))
	return p, r, err
}

// sums are checksums of resources: what an Envoy must have.
type sums map[envoy.Key]uint32

// adsTypes are the types that are given over ADS, in the order in which an Envoy asks for them.
var adsTypes = []envoy.Type{envoy.ClusterType, envoy.EndpointType, envoy.ListenerType, envoy.RouteType, envoy.ExtensionType, envoy.HostType}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s sums) set(all []envoy.Resource) error {
	for _, r := range all {
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
		if err != nil {
			return err
		}
		s[r.Key] = crc32.Checksum(value, castagnoli)
	}
	return nil
}

// sumsOf are those of all resources.
func sumsOf(r *envoy.Resources) (sums, error) {
	out := sums{}
	for _, t := range adsTypes {
		if err := out.set(r.OfType(t)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keptBy are those of what an Envoy has after a change that a server gives step by step: what no request comes to any more
// goes with the next change.
func keptBy(old, next *envoy.Resources) (sums, error) {
	out, err := sumsOf(old)
	if err != nil {
		return nil, err
	}
	for _, step := range envoy.Sequence(old, next) {
		if step.Unreachable {
			continue
		}
		if err := out.set(step.Set); err != nil {
			return nil, err
		}
		for _, key := range step.Remove {
			delete(out, key)
		}
	}
	return out, nil
}
