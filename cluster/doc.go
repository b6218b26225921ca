// Package cluster is Waymark's side of a Kubernetes cluster. A [Source] watches the objects that rules need, and makes a
// [waymark.dev/waymark/istio/resource.Input] of them; [Lead] elects one of several replicas; a [StatusWriter] writes what
// became of each object into its status. Objects mean what they mean in files: the same code decodes them. The package does
// not validate or translate.
//
// The hard case is what has not changed. A cluster changes all the time: heartbeats of Pods, owners of fields, statuses,
// those that Waymark writes itself. What counts is the content that rules can see. While it is the same, an object keeps its
// pointer from input to input, and there is no change:
//
//	VirtualService default/shop, resourceVersion 100, generation 3          a pointer
//	resourceVersion 107, generation 3: conditions in its status changed     the same pointer, no change
//	resourceVersion 112, generation 4: a route changed                      another pointer, a change
//
// While the API server cannot be used, the last input stays as it is: an object is gone only once the server has said so.
package cluster
