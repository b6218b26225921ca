// Package resource has the resources of Istio and Kubernetes as typed objects, a [Set] of them, and reads them from
// files, folders and streams of YAML and JSON.
//
// It decodes and does not validate: it reports a file that cannot be read, a document that is not YAML, an unknown
// field, and a value of the wrong type for its field. Whether an object is valid is decided by package validate. A
// caller that has typed objects already, from a Kubernetes API server or in a test, fills a Set and calls [Of].
//
// The hard case is the place of a finding. The field of a finding contains keys that a user wrote, such as
// headers["x.y"], so it cannot be split into keys; [Object.Place] compares it with the keys that the document has.
package resource
