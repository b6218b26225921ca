// Package waymark is a guide to the packages of Waymark, which brings Istio's traffic rules to any Envoy. It has no code of
// its own; the command line is cmd/waymark.
//
// The packages stand in the order in which they work on rules:
//
//   - gateway.Load reads files and folders with Istio's resources, validates them and takes out what Istio would refuse.
//     Who has typed objects fills a resource.Set and calls gateway.Prepare; package cluster has those of a Kubernetes API server.
//   - translate.Plan works out the plan of one proxy: which rules it has, in which order they are tried, and what was dropped.
//   - pluginconfig.Write writes the filter's configuration from a plan, routing.Compile reads it, and a routing.Table decides
//     which rule a request matches. The same code runs in the filter.
//   - envoy.Build makes Envoy's resources from a plan, and envoy.Sequence the steps of a change, make-before-break; package
//     envoy/files writes them into files that an Envoy watches.
//   - verdict.Judge reports what happens to a request, without a proxy; package proxy serves requests without an Envoy, with the
//     filter's module under wazero.
//
// Everything that is wrong with an input is a diag.Finding. The examples of these packages show each step.
package waymark
