// Package gateway prepares resources for package translate. [Load] reads resources, validates them and removes those
// that Istio would refuse, so that [translate.Plan] can translate the rest. [Check] reports
// what reading and validation find, resource by resource.
//
// A caller that has typed objects instead of files, from a Kubernetes API server or in a test, calls [Prepare].
package gateway
