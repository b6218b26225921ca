// Package resource has the resources of Istio and Kubernetes as typed objects, a [Set] of them, and reads them from
// files, folders and streams of YAML and JSON.
//
// A document means what it means in a cluster: YAML is converted by the library of Kubernetes, and a spec is held against
// the schema that the API server has. Reading reports a file that cannot be read, a document that is not YAML, an unknown
// field, and a value that the schema refuses. Whether an object is valid is decided by package validate. What is not
// Istio's is left aside, with a line for each kind. A caller that has typed objects already, from a Kubernetes API
// server or in a test, fills a Set and calls [Of].
//
// A file is cut into documents, and a List in block style into its items, before anything is parsed, so that a broken
// document harms itself alone, and only one at a time takes memory.
//
// The hard case is the place of a finding. The library gives none, so a second parser is asked, for the few documents
// that have a finding. The field of a finding contains keys that a user wrote, such as
// headers["x.y"], so it cannot be split into keys; [Object.Place] compares it with the keys that the document has.
package resource
