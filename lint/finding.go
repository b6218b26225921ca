package lint

import (
	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Codes of the findings.
const (
	Covered       = "WM0101" // earlier rules take all that a rule matches
	Contradictory = "WM0102" // no request meets the conditions of a rule
	BehindAll     = "WM0103" // a rule behind a catch-all of its VirtualService
	Nowhere       = "WM0104" // a rule that is for no listener
	Conflicting   = "WM0105" // a rule of a delegate that contradicts the rule that delegates
	DeadSomewhere = "WM0106" // a rule that is dead on some hosts or ports
	AlwaysMet     = "WM0110" // a condition that is always met
	Implied       = "WM0111" // a condition that others imply
	OrderDecides  = "WM0120" // VirtualServices whose order decides
)

// Report is what was found.
type Report struct {
	// Rules are all rules of VirtualServices with hosts, in the order in which they are written.
	Rules    []Rule
	Findings []Finding
}

// Rule is whether some request reaches a rule.
type Rule struct {
	Rule string
	Live bool
	// Witness is a request that the rule takes, if it is live.
	Witness *verdict.Request
	// Why says why the rule is not live, or why it is not known whether it is. Unknown is set in that case.
	Why     string
	Unknown bool
	Source  diag.Place
	// Origin is where the rule is written; Root is the rule that delegates to it, or the zero value.
	Origin, Root plan.Origin
}

// Where is a domain on a port.
type Where struct {
	Port   uint32 `json:"port"`
	Domain string `json:"domain"`
}

// Cover is a rule that takes requests that another one matches.
type Cover struct {
	Rule    string           `json:"rule"`
	File    string           `json:"file"`
	Line    int              `json:"line"`
	Witness *verdict.Request `json:"witness,omitempty"` // that both match, and that this rule takes
}

// Finding is one finding. About is the resource and the field that it is about.
type Finding struct {
	Code     string
	Severity diag.Severity
	Message  string
	About    plan.Origin
	Source   diag.Place
	Details
}

// Details are the fields that findings of some codes have in JSON, beside those of every finding.
type Details struct {
	Rule            string           `json:"rule,omitempty"`
	CoveredBy       []Cover          `json:"coveredBy,omitempty"`
	Differs         *bool            `json:"differs,omitempty"`
	Conflict        []string         `json:"conflict,omitempty"`
	Where           []Where          `json:"where,omitempty"`
	Condition       string           `json:"condition,omitempty"`
	ImpliedBy       []string         `json:"impliedBy,omitempty"`
	VirtualServices []string         `json:"virtualServices,omitempty"`
	Rules           []string         `json:"rules,omitempty"`
	Witness         *verdict.Request `json:"witness,omitempty"`
	DecidedBy       string           `json:"decidedBy,omitempty"`
}
