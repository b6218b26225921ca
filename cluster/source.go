package cluster

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"waymark.dev/waymark/istio/resource"
)

// Options say what a [Source] watches.
type Options struct {
	// Namespaces are those whose objects are watched. Default: all.
	Namespaces []string
	// Kinds are the names of the kinds that are watched, of [Kinds]. Default: all.
	Kinds []string
	// Quiet is how long nothing may have changed before [Source.Next] returns. Default: 100 ms.
	Quiet time.Duration
	// Most bounds how long it waits for that. Default: 1 s.
	Most time.Duration
	// Log is told when the API server cannot be used, and when it can be again. Default: nobody.
	Log *slog.Logger
}

// Source watches the objects of a cluster.
type Source struct {
	options Options
	log     *slog.Logger
	stores  []*store
	outages outages

	mu       sync.Mutex // guards what follows, and the items of the stores
	pending  map[*kind]bool
	first    time.Time // of the changes that are pending
	last     time.Time
	wake     chan struct{} // has an element after a change
	sorted   map[*kind][]*resource.Decoded
	current  *resource.Input
	delivers bool // Next has returned an input
}

// State is what a cluster has at one moment.
type State struct {
	// Input has the objects. It does not change, and objects without a change have the same pointers as in the one before.
	// Each list is in the order of creation, and of names where that is the same, so equal clusters make equal inputs.
	Input *resource.Input
	// Changed are the kinds of which an object is new, changed or gone since the state before, sorted; all at first.
	Changed []string
	// OnlyEndpoints means that nothing changed but where endpoints are: EndpointSlices and Pods.
	OnlyEndpoints bool
}

// Watch begins to watch a cluster, until the context ends.
func Watch(ctx context.Context, config *rest.Config, o Options) (*Source, error) {
	o.Quiet, o.Most = cmp.Or(o.Quiet, 100*time.Millisecond), cmp.Or(o.Most, time.Second)
	watched := make([]*kind, 0, len(kinds))
	for _, k := range kinds {
		if len(o.Kinds) == 0 || slices.Contains(o.Kinds, k.name) {
			watched = append(watched, k)
		}
	}
	for _, name := range o.Kinds {
		if !slices.Contains(Kinds(), name) {
			return nil, fmt.Errorf("%q is not a kind that can be watched; these can be: %v", name, Kinds())
		}
	}
	istio, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	binary := rest.CopyConfig(config) // smaller and faster than JSON
	binary.AcceptContentTypes, binary.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
	own, err := kubernetes.NewForConfig(binary)
	if err != nil {
		return nil, err
	}
	namespaces := slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	s := newSource(o)
	for _, k := range watched {
		for _, namespace := range orAll(namespaces) {
			for _, selector := range orAll(k.selectors) {
				s.reflect(ctx, k, namespace, selector, istio, own)
			}
		}
	}
	return s, nil
}

func newSource(o Options) *Source {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Source{options: o, log: log, outages: outages{log: log}, pending: map[*kind]bool{}, wake: make(chan struct{}, 1), sorted: map[*kind][]*resource.Decoded{}}
}

// orAll is a list, or one "", which means everything.
func orAll(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

// reflect starts to watch a kind in a namespace, or in all.
func (s *Source) reflect(ctx context.Context, k *kind, namespace, selector string, istio dynamic.Interface, own *kubernetes.Clientset) {
	if k.clusterScoped && namespace != "" {
		selector, namespace = "metadata.name="+namespace, ""
	}
	var from lister = &istioLister{client: istio, kind: k, namespace: namespace}
	if !k.isIstio {
		from = &ownLister{client: k.client(own), kind: k, namespace: namespace, selector: selector}
	}
	name := k.name + " " + namespace + " " + selector
	told := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o meta.ListOptions) (runtime.Object, error) {
			list, err := from.list(ctx, o)
			s.outages.tell(ctx, name, k.name, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o meta.ListOptions) (watch.Interface, error) {
			w, err := from.watch(ctx, o)
			s.outages.tell(ctx, name, k.name, err)
			return w, err
		},
	}
	st := &store{source: s, kind: k, items: map[string]*item{}}
	s.stores = append(s.stores, st)
	log := klogOf(s.log)
	// The library's own waits, up to a minute, are for clients that thousands of nodes run.
	backoff := &wait.Backoff{Duration: 500 * time.Millisecond, Cap: 10 * time.Second, Steps: 20, Factor: 1.5, Jitter: 0.5}
	r := cache.NewReflectorWithOptions(told, k.empty, st, cache.ReflectorOptions{Logger: &log, Name: "waymark", TypeDescription: k.name, Backoff: backoff})
	go r.RunWithContext(klog.NewContext(ctx, log))
}

// changed records a change of a kind. The caller has the lock.
func (s *Source) changed(k *kind) {
	s.last = time.Now()
	if len(s.pending) == 0 {
		s.first = s.last
	}
	s.pending[k] = true
	delete(s.sorted, k)
	select {
	case s.wake <- struct{}{}:
	default: // it is there already
	}
}

// Next waits until all objects are known, and then, from the second call on, for a change. It returns once nothing has changed
// for a moment (see [Options]), or with the error of the context. One goroutine calls it.
func (s *Source) Next(ctx context.Context) (*State, error) {
	for {
		state, after := s.take(time.Now())
		if state != nil {
			return state, nil
		}
		var quiet <-chan time.Time // nil: only a change can be waited for
		if after > 0 {
			quiet = time.After(after)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.wake:
		case <-quiet:
		}
	}
}

// take returns the state if there is a new one, or in how long to look again; 0 is after the next change.
func (s *Source) take(now time.Time) (*State, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 || slices.ContainsFunc(s.stores, func(st *store) bool { return !st.synced }) {
		return nil, 0
	}
	if due := min(s.last.Add(s.options.Quiet).Sub(now), s.first.Add(s.options.Most).Sub(now)); due > 0 && s.delivers {
		return nil, due
	}
	out := &State{OnlyEndpoints: s.delivers}
	for k := range s.pending {
		out.Changed = append(out.Changed, k.name)
		out.OnlyEndpoints = out.OnlyEndpoints && k.ofEndpoints
	}
	slices.Sort(out.Changed)
	clear(s.pending)
	s.current, s.delivers = resource.Join(s.all()), true
	out.Input = s.current
	return out, 0
}

// all are the objects in the order of inputs. The caller has the lock.
func (s *Source) all() []*resource.Decoded {
	var out []*resource.Decoded
	for _, k := range kinds {
		list, known := s.sorted[k]
		if !known {
			for _, st := range s.stores {
				if st.kind == k {
					for _, i := range st.items {
						list = append(list, i.Decoded)
					}
				}
			}
			slices.SortFunc(list, func(a, b *resource.Decoded) int {
				return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
			})
			s.sorted[k] = list
		}
		out = append(out, list...)
	}
	return out
}

// Current is the input of the last state that [Source.Next] returned; nil before.
func (s *Source) Current() *resource.Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}
