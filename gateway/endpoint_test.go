package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// slice is the YAML of an EndpointSlice of the Service web in default. Its endpoints are YAML, as are more labels.
func slice(name, labels, ports, endpoints string) string {
	return fmt.Sprintf("---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: web%s}}\naddressType: IPv4\nports: [%s]\nendpoints: [%s]\n",
		name, labels, ports, endpoints)
}

// ofPod is an endpoint that refers to a Pod.
func ofPod(address, pod string) string {
	return fmt.Sprintf("{addresses: ['%s'], conditions: {ready: true}, targetRef: {kind: Pod, name: %s, namespace: default}}", address, pod)
}

// pod is the YAML of a Pod in default with labels and a status.
func pod(name, labels, status string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: default, labels: {%s}}\n"+
		"spec: {containers: [{name: c, image: i, ports: [{name: web, containerPort: 8080}, {name: dns, containerPort: 5353, protocol: UDP}]}]}\nstatus: {%s}\n", name, labels, status)
}

// running is the status of a Pod that is ready.
func running(ip string) string {
	return "phase: Running, podIP: '" + ip + "', podIPs: [{ip: '" + ip + "'}], conditions: [{type: Ready, status: 'True'}]"
}

// endpointsOf are the addresses and ports of a cluster; ok is false where there is no cluster.
func endpointsOf(p *plan.Plan, name string) (out []string, ok bool) {
	for _, c := range p.Clusters {
		if c.Name != name {
			continue
		}
		ok = true
		for _, l := range c.Localities {
			for _, e := range l.Endpoints {
				out = append(out, fmt.Sprintf("%s:%d", e.Address, e.Port))
			}
		}
	}
	return out, ok
}

const (
	subsets = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
`
	toSubset = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: default}
spec: {gateways: [gw], hosts: ['*'], http: [{match: [{uri: {exact: /v1}}], route: [{destination: {host: web, port: {number: 80}, subset: v1}}]}, {route: [{destination: {host: web, port: {number: 80}}}]}]}
`
)

// web is a Service of that name with one port; more is the rest of its spec.
func web(more string) string {
	return object("Service", "web", "ports: [{name: http, port: 80, targetPort: web}]\n"+more)
}

// TestEndpointsOfCluster reads what `kubectl get services,endpointslices,pods -o yaml` writes.
func TestEndpointsOfCluster(t *testing.T) {
	const selector = "selector: {app: web}\nclusterIP: 10.0.0.1"
	const http = "{name: http, port: 8080}"
	two := pod("a", "app: web, version: v1", running("10.1.0.1")) + pod("b", "app: web, version: v2", running("10.1.0.2"))
	for what, c := range map[string]struct {
		yaml     string
		all, v1  string // the endpoints of the cluster and of its subset
		findings []string
	}{
		"subsets choose by the labels of Pods": {
			yaml: web(selector) + slice("s", "", http, ofPod("10.1.0.1", "a")+", "+ofPod("10.1.0.2", "b")) + two,
			all:  "10.1.0.1:8080 10.1.0.2:8080", v1: "10.1.0.1:8080",
		},
		"an endpoint without reference has the labels of the Pod with its address": {
			yaml: web(selector) + slice("s", "", http, "{addresses: [10.1.0.1]}, {addresses: [10.1.0.2]}") + two,
			all:  "10.1.0.1:8080 10.1.0.2:8080", v1: "10.1.0.1:8080",
		},
		"or those of its slice": {
			yaml: web(selector) + slice("s1", ", version: v1", http, "{addresses: [10.1.0.1]}") + slice("s2", ", version: v2", http, "{addresses: [10.1.0.2]}"),
			all:  "10.1.0.1:8080 10.1.0.2:8080", v1: "10.1.0.1:8080",
		},
		"without the Pods the labels are not known": {
			yaml: web(selector) + slice("s", ", version: v1", http, ofPod("10.1.0.1", "a")+", "+ofPod("10.1.0.2", "b")),
			all:  "10.1.0.1:8080 10.1.0.2:8080", v1: "",
			findings: []string{`warning: VirtualService default/v: spec.http[0].route[0].destination: the subset "v1" of web.default.svc.cluster.local chooses endpoints by version=v1, and the labels of 2 endpoints are not known; add their Pods (kubectl get pods -o yaml)`},
		},
		"without its Pod the labels of one are not known": {
			yaml: web(selector) + slice("s", ", version: v1", http, ofPod("10.1.0.1", "a")),
			all:  "10.1.0.1:8080", v1: "",
			findings: []string{`warning: VirtualService default/v: spec.http[0].route[0].destination: the subset "v1" of web.default.svc.cluster.local chooses endpoints by version=v1, and the labels of 1 endpoint are not known; add its Pod (kubectl get pods -o yaml)`},
		},
		"a subset without any endpoint": {
			yaml: web(selector) + slice("s", "", http, ofPod("10.1.0.2", "b")) + two, all: "10.1.0.2:8080", v1: "",
			findings: []string{`warning: VirtualService default/v: spec.http[0].route[0].destination: the subset "v1" of web.default.svc.cluster.local chooses endpoints by version=v1, and there are none: the endpoints have app=web,version=v2`},
		},
		"no endpoint is ready": {
			yaml: web(selector) + slice("s", "", http, "{addresses: [10.1.0.1], conditions: {ready: false}}"),
			findings: []string{
				"warning: VirtualService default/v: spec.http[0].route[0].destination: Service default/web has no endpoint for port 80 that is ready, so the cluster outbound|80|v1|web.default.svc.cluster.local is empty",
				"warning: VirtualService default/v: spec.http[1].route[0].destination: Service default/web has no endpoint for port 80 that is ready, so the cluster outbound|80||web.default.svc.cluster.local is empty",
			},
		},
		"conditions: ready unless it is said otherwise, and never while shutting down": {
			yaml: web(selector) + slice("s", ", version: v1", http, "{addresses: [10.1.0.1], conditions: {}}, {addresses: [10.1.0.2]}, {addresses: [10.1.0.3], conditions: {ready: false, serving: true, terminating: true}}, "+
				"{addresses: [10.1.0.4], conditions: {ready: true, serving: true, terminating: true}}"),
			all: "10.1.0.1:8080 10.1.0.2:8080 10.1.0.4:8080", v1: "10.1.0.1:8080 10.1.0.2:8080 10.1.0.4:8080",
		},
		"both families of a Service, each address once": {
			yaml: web(selector+"\nipFamilies: [IPv4, IPv6]") + slice("s4", ", version: v1", http, "{addresses: [10.1.0.1]}") +
				strings.Replace(slice("s6", ", version: v1", http, "{addresses: ['fd00::1']}"), "IPv4", "IPv6", 1) + slice("s7", ", version: v1", http, "{addresses: [10.1.0.1]}"),
			all: "10.1.0.1:8080 fd00::1:8080", v1: "10.1.0.1:8080 fd00::1:8080",
		},
		"one address with two ports, as in slices for a developer's machine": {
			yaml: web(selector) + slice("s1", ", version: v1", "{name: http, port: 8081}", "{addresses: [127.0.0.1]}") + slice("s2", ", version: v2", "{name: http, port: 8082}", "{addresses: [127.0.0.1]}"),
			all:  "127.0.0.1:8081 127.0.0.1:8082", v1: "127.0.0.1:8081",
		},
		"the port of a slice with the name of the Service's port": {
			yaml: web(selector) + slice("s", ", version: v1", "{name: admin, port: 1}, {name: http, port: 8081}", "{addresses: [10.1.0.1]}"),
			all:  "10.1.0.1:8081", v1: "10.1.0.1:8081",
		},
		"a headless Service at a gateway has its endpoints": {
			yaml: web("selector: {app: web}\nclusterIP: None") + slice("s", "", http, ofPod("10.1.0.1", "a")) + two,
			all:  "10.1.0.1:8080", v1: "10.1.0.1:8080",
		},
		"without slices, the ready Pods that the Service selects": {
			yaml: web(selector) + two + pod("c", "app: other, version: v1", running("10.1.0.3")) +
				pod("d", "app: web, version: v1", "phase: Running, podIP: 10.1.0.4, conditions: [{type: Ready, status: 'False'}]") +
				strings.Replace(pod("e", "app: web", running("10.1.0.5")), "name: e,", "deletionTimestamp: 2024-01-01T00:00:00Z, name: e,", 1) +
				pod("f", "app: web", "phase: Succeeded, podIP: 10.1.0.6"),
			all: "10.1.0.1:8080 10.1.0.2:8080", v1: "10.1.0.1:8080",
		},
		"those that are not ready, too, where the Service publishes them": {
			yaml: web(selector+"\npublishNotReadyAddresses: true") + pod("d", "app: web, version: v1", "phase: Running, podIP: 10.1.0.4, conditions: [{type: Ready, status: 'False'}]"),
			all:  "10.1.0.4:8080", v1: "10.1.0.4:8080",
		},
		"at the addresses of the families of the Service": {
			yaml: web(selector+"\nipFamilies: [IPv6]") + pod("a", "app: web, version: v1", "podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]"),
			all:  "fd00::1:8080", v1: "fd00::1:8080",
		},
		"the labels of a WorkloadEntry are those of its metadata, too": {
			yaml: web(selector) + "---\n{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: w, namespace: default, labels: {app: web, version: v1}}, spec: {address: 10.1.0.7, labels: {version: v9}, ports: {http: 7}}}\n",
			all:  "10.1.0.7:7", v1: "10.1.0.7:7",
		},
	} {
		t.Run(what, func(t *testing.T) {
			p, problems := translated(t, everything+subsets+toSubset+c.yaml, translate.Options{})
			var found []string
			for _, f := range problems {
				_, text, _ := strings.Cut(f.String(), " ") // without the place
				found = append(found, text)
			}
			assert.Equal(t, c.findings, found)
			all, _ := endpointsOf(p, "outbound|80||web.default.svc.cluster.local")
			assert.Equal(t, c.all, strings.Join(all, " "))
			v1, _ := endpointsOf(p, "outbound|80|v1|web.default.svc.cluster.local")
			assert.Equal(t, c.v1, strings.Join(v1, " "))
		})
	}
}

// SE-10: a ServiceEntry with a workloadSelector has ready Pods as well, and says so where it selects nothing.
func TestEntrySelectsPods(t *testing.T) {
	yaml := everything + ruled("v", "- route: [{destination: {host: api.test}}]") + object("ServiceEntry", "api",
		"hosts: [api.test]\nresolution: STATIC\nworkloadSelector: {labels: {app: web}}\nports: [{name: http, number: 80, protocol: HTTP, targetPort: 8080}]")
	p, problems := translated(t, yaml+pod("a", "app: web", running("10.1.0.1"))+pod("b", "app: other", running("10.1.0.2")), translate.Options{})
	assert.Empty(t, problems)
	all, _ := endpointsOf(p, "outbound|80||api.test")
	assert.Equal(t, []string{"10.1.0.1:8080"}, all)

	_, problems = translated(t, yaml, translate.Options{})
	assert.Contains(t, fmt.Sprint(problems), "ServiceEntry default/api has no endpoint for port 80 that is ready, so the cluster outbound|80||api.test is empty")
}

// GW-PORT-01: the oldest Service that selects the proxy and has the port decides which port is bound.
func TestBoundPort(t *testing.T) {
	ingress := func(name, target string) string {
		return object("Service", "istio-system/"+name, "selector: {istio: ingressgateway}\nports: [{name: http, port: 80, targetPort: "+target+"}]")
	}
	podOf := func(name, labels string) string {
		return strings.Replace(pod(name, labels, running("10.1.0.1")), "namespace: default", "namespace: istio-system", 1)
	}
	sliceOf := strings.NewReplacer("namespace: default", "namespace: istio-system", "service-name: web", "service-name: a").
		Replace(slice("s", "", "{name: other, port: 1}, {name: http, port: 8083}", "{addresses: [10.1.0.1]}"))
	const unknown = `which port a Gateway binds for port 80 is not known: the target port is given by name, and neither a Pod nor an EndpointSlice of the Service has a port "web"; ` +
		"add the Pods (kubectl get pods -o yaml), or give the target port by number"
	for what, c := range map[string]struct {
		yaml    string
		want    uint32
		finding string
	}{
		"the older of two":                         {yaml: ingress("a@2024-02-01", "8081") + ingress("b@2024-01-01", "8082"), want: 8082},
		"of the same age by name":                  {yaml: ingress("b", "8082") + ingress("a", "8081"), want: 8081},
		"one without the port does not count":      {yaml: ingress("b", "8082") + object("Service", "istio-system/a", "selector: {istio: ingressgateway}\nports: [{name: s, port: 443, targetPort: 1}]"), want: 8082},
		"a name is looked up in the Pods":          {yaml: ingress("a", "web") + podOf("x", "app: other") + podOf("z", "istio: ingressgateway"), want: 8080},
		"or in the EndpointSlices":                 {yaml: ingress("a", "web") + sliceOf, want: 8083},
		"a port of UDP is another one":             {yaml: ingress("a", "dns") + podOf("z", "istio: ingressgateway"), want: 80, finding: strings.Replace(unknown, `"web"`, `"dns"`, 1)},
		"a name that is nowhere is an error, once": {yaml: ingress("a", "web") + server("gw2", "80/HTTP", "a.test", ""), want: 80, finding: unknown},
	} {
		t.Run(what, func(t *testing.T) {
			p, problems := translated(t, everything+c.yaml+ruled("v", "- directResponse: {status: 200}"), translate.Options{})
			assert.Equal(t, c.want, p.Listeners[0].Port)
			if c.finding == "" {
				assert.Empty(t, problems)
			} else if assert.Len(t, problems, 1) {
				assert.Equal(t, c.finding, problems[0].Message)
				assert.Equal(t, "Service istio-system/a spec.ports[0].targetPort", problems[0].Object+" "+problems[0].Field)
			}
		})
	}
}

// The order of documents does not decide over endpoints and ports.
func TestOrderOfEndpoints(t *testing.T) {
	text := everything + subsets + toSubset + web("selector: {app: web}\nclusterIP: 10.0.0.1") +
		slice("s1", "", "{name: http, port: 8080}", ofPod("10.1.0.1", "a")) + slice("s2", "", "{name: http, port: 8080}", ofPod("10.1.0.2", "b")) +
		pod("a", "app: web, version: v1", running("10.1.0.1")) + pod("b", "app: web, version: v1", running("10.1.0.2")) + pod("c", "app: web, version: v2", running("10.1.0.2")) +
		object("Service", "istio-system/a@2024-02-01", "selector: {istio: ingressgateway}\nports: [{name: http, port: 80, targetPort: 8081}]") +
		object("Service", "istio-system/b@2024-01-01", "selector: {istio: ingressgateway}\nports: [{name: http, port: 80, targetPort: 8082}]")
	docs := strings.Split(strings.TrimPrefix(text, "---\n"), "---\n")
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		random.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		p, problems := translated(t, strings.Join(docs, "---\n"), translate.Options{})
		assert.Empty(t, problems)
		assert.Equal(t, uint32(8082), p.Listeners[0].Port)
		all, _ := endpointsOf(p, "outbound|80|v1|web.default.svc.cluster.local")
		assert.Equal(t, []string{"10.1.0.1:8080", "10.1.0.2:8080"}, all)
	}
}
