package cluster

import (
	"encoding/json"
	"maps"
	"slices"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// kind is one kind of objects that a [Source] watches.
type kind struct {
	name     string
	resource string // in the API's paths
	isIstio  bool
	// ofEndpoints means that only endpoints follow from its objects.
	ofEndpoints   bool
	clusterScoped bool
	// selectors are field selectors; each is a watch of its own. Default: one watch of all objects.
	selectors []string
	// For a kind of Kubernetes itself: a client of its group, an empty object of its type, and what is kept of one.
	client func(*kubernetes.Clientset) rest.Interface
	empty  runtime.Object
	keep   func(runtime.Object) any
}

const istioGroup = "networking.istio.io"

// istioVersions are the versions in which an API server may have Istio's kinds. They have the same content.
var istioVersions = []string{"v1", "v1beta1", "v1alpha3"}

func coreClient(c *kubernetes.Clientset) rest.Interface      { return c.CoreV1().RESTClient() }
func discoveryClient(c *kubernetes.Clientset) rest.Interface { return c.DiscoveryV1().RESTClient() }

// kinds are all kinds, in the order in which their objects are in an input.
var kinds = []*kind{
	{name: "Gateway", resource: "gateways", isIstio: true},
	{name: "VirtualService", resource: "virtualservices", isIstio: true},
	{name: "DestinationRule", resource: "destinationrules", isIstio: true},
	{name: "ServiceEntry", resource: "serviceentries", isIstio: true},
	{name: "WorkloadEntry", resource: "workloadentries", isIstio: true},
	{name: "Service", resource: "services", client: coreClient, empty: &core.Service{}, keep: keepService},
	{name: "EndpointSlice", resource: "endpointslices", ofEndpoints: true, client: discoveryClient, empty: &discovery.EndpointSlice{}, keep: keepEndpointSlice},
	{name: "Pod", resource: "pods", ofEndpoints: true, client: coreClient, empty: &core.Pod{}, keep: keepPod},
	{name: "Namespace", resource: "namespaces", clusterScoped: true, client: coreClient, empty: &core.Namespace{}, keep: keepNamespace},
	// Of the types of Secrets, these are the ones that kubectl create secret tls and generic make. No other is asked for.
	{name: "Secret", resource: "secrets", selectors: []string{"type=kubernetes.io/tls", "type=Opaque"}, client: coreClient, empty: &core.Secret{}, keep: keepSecret},
}

// Kinds are the names of all kinds that a [Source] can watch.
func Kinds() []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.name)
	}
	return out
}

// lastApplied is the annotation of kubectl apply with the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// keepMeta is what an object of Kubernetes itself keeps of its metadata.
func keepMeta(o *meta.ObjectMeta) meta.ObjectMeta {
	return meta.ObjectMeta{Name: o.Name, Namespace: o.Namespace, Labels: o.Labels, CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp}
}

func typeMeta(version, kind string) meta.TypeMeta {
	return meta.TypeMeta{APIVersion: version, Kind: kind}
}

func keepService(object runtime.Object) any {
	s := object.(*core.Service)
	out := core.Service{TypeMeta: typeMeta("v1", "Service"), ObjectMeta: keepMeta(&s.ObjectMeta), Spec: s.Spec}
	out.Annotations = maps.Clone(s.Annotations)
	delete(out.Annotations, lastApplied)
	return &out
}

func keepEndpointSlice(object runtime.Object) any {
	s := object.(*discovery.EndpointSlice)
	return &discovery.EndpointSlice{TypeMeta: typeMeta("discovery.k8s.io/v1", "EndpointSlice"), ObjectMeta: keepMeta(&s.ObjectMeta),
		AddressType: s.AddressType, Endpoints: s.Endpoints, Ports: s.Ports}
}

func keepNamespace(object runtime.Object) any {
	n := object.(*core.Namespace)
	return &core.Namespace{TypeMeta: typeMeta("v1", "Namespace"), ObjectMeta: keepMeta(&n.ObjectMeta)}
}

// keepPod keeps what a Service needs to know of a Pod: the ports of its containers by name, its addresses, and whether it is
// ready. Conditions have times that change with every heartbeat; without any condition, a Pod would count as ready.
func keepPod(object runtime.Object) any {
	p := object.(*core.Pod)
	out := &core.Pod{TypeMeta: typeMeta("v1", "Pod"), ObjectMeta: keepMeta(&p.ObjectMeta)}
	containers := func(all []core.Container) (kept []core.Container) {
		for _, c := range all {
			if slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name != "" }) {
				kept = append(kept, core.Container{Name: c.Name, Ports: c.Ports, RestartPolicy: c.RestartPolicy})
			}
		}
		return kept
	}
	out.Spec.Containers, out.Spec.InitContainers = containers(p.Spec.Containers), containers(p.Spec.InitContainers)
	out.Status = core.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP, PodIPs: p.Status.PodIPs}
	ready := core.ConditionFalse
	for _, c := range p.Status.Conditions {
		if c.Type == core.PodReady {
			ready = c.Status
		}
	}
	out.Status.Conditions = []core.PodCondition{{Type: core.PodReady, Status: ready}}
	return out
}

// certificateKeys are the entries of a Secret that a credentialName can mean. Every other entry is forgotten at once.
var certificateKeys = []string{"tls.crt", "cert", "tls.key", "key", "ca.crt", "cacert", "ca.crl", "crl"}

func keepSecret(object runtime.Object) any {
	s := object.(*core.Secret)
	out := &core.Secret{TypeMeta: typeMeta("v1", "Secret"), ObjectMeta: keepMeta(&s.ObjectMeta)}
	for _, key := range certificateKeys {
		if value, ok := s.Data[key]; ok {
			if out.Data == nil {
				out.Data = map[string][]byte{}
			}
			out.Data[key] = value
		}
	}
	return out
}

// keepIstio keeps everything but the status and what only the API server needs.
func keepIstio(object *unstructured.Unstructured) any {
	out := maps.Clone(object.Object)
	delete(out, "status")
	metadata := map[string]any{}
	all, _ := object.Object["metadata"].(map[string]any) // every object has it
	for _, key := range []string{"name", "namespace", "labels", "annotations", "generation", "creationTimestamp", "deletionTimestamp"} {
		if value, ok := all[key]; ok {
			metadata[key] = value
		}
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok && annotations[lastApplied] != nil {
		annotations = maps.Clone(annotations)
		delete(annotations, lastApplied)
		metadata["annotations"] = annotations
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	out["metadata"] = metadata
	return out
}

// kept is an object of the API server with what is kept of it, not decoded.
type kept struct {
	meta.ObjectMeta // only what identifies the object
	content         []byte
	status          map[string]any // of Istio's kinds
}

// of keeps an object of this kind.
func (k *kind) of(object any) (*kept, error) {
	var content any
	out := &kept{}
	var from meta.Object
	switch o := object.(type) {
	case *kept:
		return o, nil
	case *unstructured.Unstructured:
		from, content = o, keepIstio(o)
		out.status, _ = o.Object["status"].(map[string]any) // nil where there is none
	case runtime.Object:
		m, err := apimeta.Accessor(o)
		if err != nil {
			return nil, err
		}
		from, content = m, k.keep(o)
	}
	out.Name, out.Namespace, out.UID, out.ResourceVersion = from.GetName(), from.GetNamespace(), from.GetUID(), from.GetResourceVersion()
	var err error
	out.content, err = json.Marshal(content)
	return out, err
}
