package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// Ref names one object.
type Ref struct{ Kind, Namespace, Name string }

// RefOf is the name of an object.
func RefOf(o *resource.Object) Ref { return Ref{o.Kind, o.Namespace, o.Name} }

// Status is what became of one object of Istio.
type Status struct {
	// Generation is that of the object for which it is true. Nothing is written about an object that has another one.
	Generation int64
	// Conditions are those of Waymark, all of them.
	Conditions []Condition
	// Findings are the errors and warnings about the object.
	Findings diag.Findings
}

// Condition is one condition in a status.
type Condition struct {
	// Type begins with [Prefix]. Conditions of other types are those of others, and stay as they are.
	Type string
	// Status is True, False or Unknown.
	Status string
	// Reason is one word in CamelCase.
	Reason string
	// Message is for people.
	Message string
}

const (
	// Prefix begins the types of Waymark's conditions. Istio has conditions of its own in the same list.
	Prefix = "waymark.dev/"
	// Accepted is the condition that validation accepts the object.
	Accepted = Prefix + "Accepted"
	// Programmed is the condition that proxies have taken the object.
	Programmed = Prefix + "Programmed"
)

// pages is where the documentation of a finding is, without its code.
const pages = "https://waymark.dev/docs/findings#"

// Judge says of each object of Istio in an input that was prepared, and kept, whether validation accepts it.
func Judge(in *resource.Input) map[Ref]Status {
	out := make(map[Ref]Status, len(in.Objects))
	about := map[string]diag.Findings{} // by the name of the object: what is kept of it is another object
	for _, f := range in.Findings {
		if f.Severity != diag.Notice {
			about[f.Object] = append(about[f.Object], f)
		}
	}
	for _, o := range in.Objects {
		findings := about[o.String()]
		c := Condition{Type: Accepted, Status: "True", Reason: "Valid"}
		if findings.HasErrors() {
			c.Status, c.Reason = "False", "Invalid"
		}
		c.Message = inShort(findings)
		out[RefOf(o)] = Status{Generation: o.Generation, Conditions: []Condition{c}, Findings: findings}
	}
	return out
}

// inShort are the first findings as one text, the errors first.
func inShort(findings diag.Findings) string {
	const shown, longest = 3, 1000
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b diag.Finding) int {
		return cmp.Compare(rank(a.Severity), rank(b.Severity))
	})
	var parts []string
	for _, f := range sorted[:min(shown, len(sorted))] {
		parts = append(parts, textOf(f))
	}
	if more := len(sorted) - shown; more > 0 {
		parts = append(parts, "and "+diag.Count(more, "more finding", "more findings"))
	}
	return cut(strings.Join(parts, "; "), longest)
}

func rank(s diag.Severity) int {
	if s == diag.Error {
		return 0
	}
	return 1
}

// textOf is a finding without its object.
func textOf(f diag.Finding) string {
	text := f.Message
	if f.Field != "" {
		text = f.Field + ": " + text
	}
	return diag.Printable(text)
}

// cut is a text, or its beginning.
func cut(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// StatusWriter writes the status of Istio's objects: that of Waymark beside what others write. It writes what differs from
// what the objects have, and only that. Its own writes are no changes of the source.
type StatusWriter struct {
	source *Source
	client dynamic.Interface
	log    *slog.Logger

	mu     sync.Mutex
	wanted map[Ref]Status
	queue  workqueue.TypedRateLimitingInterface[Ref] // while it runs
}

// writesPerSecond bounds the writes: a change of everything in a large cluster is no emergency for its API server.
const writesPerSecond = 50

// NewStatusWriter makes a writer for the objects of a source. It writes while [StatusWriter.Run] runs.
func NewStatusWriter(config *rest.Config, source *Source) (*StatusWriter, error) {
	limited := rest.CopyConfig(config)
	limited.QPS, limited.Burst, limited.RateLimiter = writesPerSecond, 2*writesPerSecond, nil
	client, err := dynamic.NewForConfig(limited)
	if err != nil {
		return nil, err
	}
	return &StatusWriter{source: source, client: client, log: source.log}, nil
}

// Set says what the status of each object is to be. It takes the place of what was said before, and does not wait.
func (w *StatusWriter) Set(wanted map[Ref]Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = wanted
	if w.queue != nil {
		for ref := range wanted {
			w.queue.Add(ref)
		}
	}
}

// Run writes until the context ends. One replica runs it, the one that leads: see [Lead].
func (w *StatusWriter) Run(ctx context.Context) {
	ctx = klog.NewContext(ctx, klogOf(w.log))
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[Ref](100*time.Millisecond, time.Minute))
	w.mu.Lock()
	w.queue = queue
	for ref := range w.wanted {
		queue.Add(ref)
	}
	w.mu.Unlock()
	defer context.AfterFunc(ctx, queue.ShutDown)()
	for fails := false; ; {
		ref, over := queue.Get()
		if over {
			break
		}
		switch err := w.write(ctx, ref); {
		case err == nil:
			queue.Forget(ref)
			fails = false
		case !errors.IsConflict(err) && !fails && ctx.Err() == nil:
			fails = true // the next ones may fail for the same reason
			w.log.Warn("a status cannot be written; it is tried again", "object", ref.Kind+" "+ref.Namespace+"/"+ref.Name, "error", err)
			fallthrough
		default:
			queue.AddRateLimited(ref)
		}
		queue.Done(ref)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = nil
}

// write writes the status of one object if it differs. A conflict means that the object has changed, which the source will
// know soon.
func (w *StatusWriter) write(ctx context.Context, ref Ref) error {
	w.mu.Lock()
	wanted, ok := w.wanted[ref]
	w.mu.Unlock()
	k, has := w.source.item(ref)
	if !ok || has == nil || has.Generation != wanted.Generation {
		return nil // it is gone, or was changed and will be judged again
	}
	status, differs := merge(has.status, wanted, time.Now())
	if !differs {
		return nil
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": has.uid, "resourceVersion": has.resourceVersion},
		"status":   status,
	})
	if err != nil {
		return err
	}
	l := &istioLister{client: w.client, kind: k, namespace: ref.Namespace}
	err = l.each(func(client dynamic.ResourceInterface) error {
		_, err := client.Patch(ctx, ref.Name, types.MergePatchType, body, meta.PatchOptions{FieldManager: "waymark"}, "status")
		return err
	})
	if errors.IsNotFound(err) {
		return nil // it is gone
	}
	return err
}

// item is an object that the source has; nil for none.
func (s *Source) item(ref Ref) (*kind, *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.stores {
		if st.kind.isIstio && st.kind.name == ref.Kind {
			if i := st.items[ref.Namespace+"/"+ref.Name]; i != nil {
				return st.kind, i
			}
		}
	}
	return nil, nil
}

// merge is a patch of the status that an object has, and whether it changes anything. What others wrote stays.
func merge(has map[string]any, wanted Status, now time.Time) (patch map[string]any, differs bool) {
	var conditions []any
	written := map[string]bool{}
	for _, c := range list(has["conditions"]) {
		before, _ := c.(map[string]any) // nil for what is not a condition, which stays
		name, _ := before["type"].(string)
		if !strings.HasPrefix(name, Prefix) {
			conditions = append(conditions, c)
			continue
		}
		if i := slices.IndexFunc(wanted.Conditions, func(c Condition) bool { return c.Type == name }); i >= 0 && !written[name] {
			conditions = append(conditions, wanted.Conditions[i].after(before, wanted.Generation, now))
			written[name] = true
		}
	}
	for _, c := range wanted.Conditions {
		if !written[c.Type] {
			conditions = append(conditions, c.after(nil, wanted.Generation, now))
		}
	}
	patch = map[string]any{"conditions": orNil(conditions), "observedGeneration": wanted.Generation}

	var others, ours, messages []any
	for _, m := range list(has["validationMessages"]) {
		message, _ := m.(map[string]any) // as above
		if page, _ := message["documentationUrl"].(string); strings.HasPrefix(page, pages) {
			ours = append(ours, m)
		} else {
			others = append(others, m)
		}
	}
	for _, f := range wanted.Findings[:min(maxMessages, len(wanted.Findings))] {
		messages = append(messages, validationMessage(f))
	}
	if !reflect.DeepEqual(ours, messages) {
		patch["validationMessages"] = orNil(append(others, messages...))
	}
	for key, value := range patch {
		differs = differs || !reflect.DeepEqual(has[key], value)
	}
	return patch, differs
}

// after is the condition as it follows the one before, if there was one.
func (c Condition) after(before map[string]any, generation int64, now time.Time) map[string]any {
	out := map[string]any{"type": c.Type, "status": c.Status, "lastTransitionTime": now.UTC().Format(time.RFC3339), "observedGeneration": generation}
	if since := before["lastTransitionTime"]; since != nil && before["status"] == c.Status {
		out["lastTransitionTime"] = since
	}
	if c.Reason != "" {
		out["reason"] = c.Reason
	}
	if c.Message != "" {
		out["message"] = c.Message
	}
	return out
}

// maxMessages bounds the messages about one object.
const maxMessages = 50

// validationMessage is a finding in the form that Istio's analysis has in a status. The form has no place for a text but the
// name.
func validationMessage(f diag.Finding) map[string]any {
	level := "WARNING"
	if f.Severity == diag.Error {
		level = "ERROR"
	}
	kind := map[string]any{"name": cut(textOf(f), 300)}
	if f.Code != "" {
		kind["code"] = f.Code
	}
	return map[string]any{"type": kind, "level": level, "documentationUrl": pages + strings.ToLower(f.Code)}
}

func list(value any) []any {
	all, _ := value.([]any) // nil for what is not a list
	return all
}

// orNil is a list, or nil, which removes it from the status, if it is empty.
func orNil(all []any) any {
	if len(all) == 0 {
		return nil
	}
	return all
}
