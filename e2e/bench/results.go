package main

import (
	"math"

	"waymark.dev/waymark/e2e/internal/tables"
	"waymark.dev/waymark/envoy"
)

// results are the tables of docs/performance.json, from which 'make plots' makes those of docs/performance.md and the
// pictures. Each is of one run.
type results struct {
	Requests     *requestTable     `json:"requests,omitempty"`
	Starts       *startTable       `json:"starts,omitempty"`
	Translations *translationTable `json:"translations,omitempty"`
}

// requestTable is what requests cost.
type requestTable struct {
	Envoy  string        `json:"envoy"`
	Rounds int           `json:"rounds"`
	Round  string        `json:"round"`
	Rows   []*requestRow `json:"rows"`
	// Missed are the goals that are not reached.
	Missed []string `json:"missed"`
}

// requestRow is a line: of one shape and one number of rules.
type requestRow struct {
	Shape string               `json:"shape"`
	Rules int                  `json:"rules"`
	Auto  envoy.Strategy       `json:"auto"`  // what --matching auto takes
	None  float64              `json:"none"`  // µs of a request without filter
	Added map[string]quartiles `json:"added"` // µs that a way adds
	// Quotients are by name; see quotients. Those without a meaning are left out.
	Quotients map[string]float64 `json:"quotients"`

	hasTree   bool
	aboveBest float64 // µs that auto costs more than the best way
}

// quartiles are the lower one, the median, and the upper one.
type quartiles [3]float64

func (q quartiles) median() float64 { return q[1] }

// startTable is what starts cost.
type startTable struct {
	Envoy  string      `json:"envoy"`
	Shape  string      `json:"shape"`
	Rounds int         `json:"rounds"`
	Rows   []*startRow `json:"rows"`
}

type startRow struct {
	Rules int              `json:"rules"`
	Ways  map[string]start `json:"ways"`
}

// start is one start, or the medians of several.
type start struct {
	Bytes  int     `json:"bytes"`  // of the bootstrap
	Live   float64 `json:"live"`   // ms until it is live
	CPU    float64 `json:"cpu"`    // ms of processor time until then
	Memory float64 `json:"memory"` // MiB of resident memory then
	Loaded float64 `json:"loaded"` // MiB after requests
}

// translationTable is what translating takes.
type translationTable struct {
	Rounds int               `json:"rounds"`
	Rows   []*translationRow `json:"rows"`
}

type translationRow struct {
	Shape  string  `json:"shape"`
	Rules  int     `json:"rules"`
	CPU    float64 `json:"cpu"`    // ms of processor time
	Memory float64 `json:"memory"` // MiB at the peak
}

// tenths and thousandths round numbers that are written.
func tenths(x float64) float64      { return math.Round(10*x) / 10 }
func thousandths(x float64) float64 { return math.Round(1000*x) / 1000 }

// write writes the tables that were measured to a file. The others stay as they are there.
func (r *results) write(file string) error {
	return tables.Update(file, func(all *results) {
		if r.Requests != nil {
			all.Requests = r.Requests
		}
		if r.Starts != nil {
			all.Starts = r.Starts
		}
		if r.Translations != nil {
			all.Translations = r.Translations
		}
	}, "shape", "rules")
}
