// Package gateway is the front door of the translator. [Load] reads resources, validates them and takes out what Istio
// would refuse; package translate makes a plan of the rest. [Check] reports what reading and validation find, resource
// by resource.
//
// A caller that has typed objects instead of files, of a Kubernetes API server or of a test, enters after reading, with
// [Prepare].
package gateway
