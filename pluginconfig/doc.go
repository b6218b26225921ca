// Package pluginconfig writes the configuration of the filter for one set of virtual hosts, as the JSON that
// [routing.Compile] reads. Regular expressions become programs and automata here, so that the filter needs no parser.
//
// It decides nothing about rules. The hard case is cost: an expression without a small automaton is run as a program,
// state by state. [TooCostly] finds the virtual hosts for which a single request could make that take too long, so that
// Envoy's own list of routes decides there:
//
//	regex: ".*[a-f].{900}"     too many states; the virtual host is left to Envoy
//	regex: "/api/[a-f]+/.*"    a few states; the filter decides
package pluginconfig
