// Package suite runs tests of routes: files that say what becomes of requests. Package verdict answers what does.
//
// Three formats are read, and a file's format is found from its content: Waymark's own, that of istio-config-validator
// (testCases: with wantMatch), and that of Envoy's router_check_tool (tests: with input and validate). Each reader makes
// [Test] values: requests, and checks of the answer. The runner, the coverage and the reports know checks alone.
//
// The hard case is a test that was written for another tool. Here Istio's rules decide, so it may fail although that tool
// passes it: istio-config-validator does not look at query parameters, say, so of two rules that differ by them it takes
// the first. [Run] therefore asks a model of that tool as well, and a result that differs has a note with the reason.
//
// A test passes if all of its requests do, and a request passes if all checks hold. A test that checks nothing would
// pass whatever happens, so it is skipped with a reason.
package suite
