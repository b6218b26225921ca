package cluster

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// lister asks the API server for the objects of one kind.
type lister interface {
	list(context.Context, meta.ListOptions) (runtime.Object, error)
	watch(context.Context, meta.ListOptions) (watch.Interface, error)
}

// ownLister asks for a kind of Kubernetes itself.
type ownLister struct {
	client              rest.Interface
	kind                *kind
	namespace, selector string
}

func (l *ownLister) request(o meta.ListOptions) *rest.Request {
	o.FieldSelector = l.selector
	return l.client.Get().Namespace(l.namespace).Resource(l.kind.resource).VersionedParams(&o, meta.ParameterCodec)
}

func (l *ownLister) list(ctx context.Context, o meta.ListOptions) (runtime.Object, error) {
	return l.request(o).Do(ctx).Get()
}

func (l *ownLister) watch(ctx context.Context, o meta.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return l.request(o).Watch(ctx)
}

// istioLister asks for a kind of Istio, in the newest version that the API server has. Which one that is may change while the
// cluster runs: the CustomResourceDefinitions may be installed or replaced later.
type istioLister struct {
	client    dynamic.Interface
	kind      *kind
	namespace string

	mu      sync.Mutex
	version int // index into istioVersions
}

func (l *istioLister) list(ctx context.Context, o meta.ListOptions) (out runtime.Object, err error) {
	err = l.each(func(client dynamic.ResourceInterface) error {
		list, err := client.List(ctx, o)
		out = list
		return err
	})
	return out, err
}

func (l *istioLister) watch(ctx context.Context, o meta.ListOptions) (out watch.Interface, err error) {
	err = l.each(func(client dynamic.ResourceInterface) error {
		out, err = client.Watch(ctx, o)
		return err
	})
	return out, err
}

// each calls do for the version that was found last, and then for the others, until the server has one.
func (l *istioLister) each(do func(dynamic.ResourceInterface) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for range istioVersions {
		version := istioVersions[l.version]
		err = do(l.client.Resource(schema.GroupVersionResource{Group: istioGroup, Version: version, Resource: l.kind.resource}).Namespace(l.namespace))
		if !errors.IsNotFound(err) {
			return err
		}
		l.version = (l.version + 1) % len(istioVersions)
	}
	return fmt.Errorf("the API server does not have the kind %s of %s; install Istio's CustomResourceDefinitions: %w", l.kind.name, istioGroup, err)
}
