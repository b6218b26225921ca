package suite

import (
	"waymark.dev/waymark/verdict"
)

// Format is the format of a file of tests.
type Format string

// The formats that are read.
const (
	Waymark         Format = "waymark"
	ConfigValidator Format = "istio-config-validator"
	RouterCheck     Format = "router_check_tool"
)

// File is a file of tests.
type File struct {
	Name   string
	Format Format
	Tests  []*Test
}

// Test is a named list of requests, and what is checked of the answer to each.
type Test struct {
	Name string
	Line int // in its file
	// Skipped are the reasons why parts of the test are not judged. A test without checks is not run.
	Skipped  []string
	Requests []Request
	Checks   []Check

	validator *validatorCase // what istio-config-validator would compare; nil in other formats
}

// Request is a request of a test.
type Request struct {
	verdict.Request
	// Secure means that the client speaks https: the request comes by TLS where a listener with its host terminates TLS.
	// Where none does, such as with a Gateway that is assumed, TLS ends before the proxy, and only the scheme is https.
	Secure bool
}

// Check is one statement about the answer to a request.
type Check struct {
	// Field is what is checked, as the format of the file spells it: expect.destination, route, validate.cluster_name.
	Field string
	// Want is the expected value, in a form for JSON.
	Want any
	// Not reverses the check: the answer must not have the value.
	Not bool

	// look returns the value that the answer has, in a form for JSON, and whether it is the expected one.
	look func(*answer) (got any, is bool)
	// reaches returns the destinations that the check names, by their index in the rule; nil for a check of anything else.
	reaches func(*answer) []int
}

// failure is the result of a check that does not hold; nil if it holds.
func (c *Check) failure(a *answer) *Failure {
	got, is := c.look(a)
	if is != c.Not {
		return nil
	}
	want := c.Want
	if c.Not {
		want = map[string]any{"not": want}
	}
	return &Failure{c.Field, want, got}
}
