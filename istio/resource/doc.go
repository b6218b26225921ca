// Package resource has the resources of Istio and Kubernetes as typed objects, a [Set] of them, and reads them from files,
// folders and streams of YAML and JSON.
//
// It decodes and never validates: what it reports is that a file cannot be read, that a document is no YAML, that a field
// is unknown or that a value does not fit its field. Whether an object makes sense is for package validate. A caller that
// has typed objects already, of a Kubernetes API server or of a test, fills a Set and reads nothing.
//
// The hard case is the place of a finding. Fields are texts with a user's keys in them, such as headers["x.y"], so they are
// never split into keys; [Object.Place] compares them with the keys that are there.
package resource
