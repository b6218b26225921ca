package main

import (
	"fmt"
	"math"

	"waymark.dev/waymark/e2e/internal/tables"
)

// results are the tables of docs/fleet.json, from which 'make plots' makes those of docs/performance.md.
type results struct {
	Fleets    *fleetTable    `json:"fleets,omitempty"`
	Endpoints *endpointTable `json:"endpoints,omitempty"`
	Memory    *memoryTable   `json:"memory,omitempty"`
}

// machine is what a table was measured on.
type machine struct {
	Cores int `json:"cores"`
	// Load is how many processes wanted to run in the minute before the part began: more than the bench itself, where others
	// used the machine.
	Load float64 `json:"load"`
}

// fleetTable is what fleets of the same proxies take of several servers.
type fleetTable struct {
	machine
	Proxies int         `json:"proxies"`
	Rules   int         `json:"rules"`
	Hosts   int         `json:"hosts"`
	Rounds  int         `json:"rounds"`
	Rows    []*fleetRow `json:"rows"`
	Missed  []string    `json:"missed"`
}

type fleetRow struct {
	Server   string `json:"server"`
	Matching string `json:"matching"`
	// First is from the first connection until all proxies have all, Change from a changed rule until then, both with
	// translation, and Return when all come back and there is nothing new.
	First  phase `json:"first"`
	Change phase `json:"change"`
	Return phase `json:"return"`
	// Translation is the processor time, in seconds, that making the resources takes: it is a part of a change.
	Translation float64 `json:"translation"`
	Memory      float64 `json:"memory"` // MiB at the end
	Heap        float64 `json:"heap"`   // MiB that are alive then
}

// phase is what a server took for something.
type phase struct {
	Seconds float64 `json:"seconds"` // until all proxies have acknowledged everything
	CPU     float64 `json:"cpu"`     // seconds of processor time of the server
	Bytes   float64 `json:"bytes"`   // of responses, for each proxy
	Wire    float64 `json:"wire"`    // with what HTTP/2 adds
	Peak    float64 `json:"peak"`    // MiB of resident memory
}

// endpointTable is what changes of endpoints take.
type endpointTable struct {
	machine
	Proxies  int            `json:"proxies"`
	Changes  int            `json:"changes"`
	Duration float64        `json:"duration"` // seconds in which they come
	Rows     []*endpointRow `json:"rows"`
}

type endpointRow struct {
	Server string  `json:"server"`
	Lag    float64 `json:"lag"`   // seconds from the last change until all proxies have it
	CPU    float64 `json:"cpu"`   // seconds of processor time
	Bytes  float64 `json:"bytes"` // for each proxy
	Peak   float64 `json:"peak"`  // MiB of resident memory
	// Messages are how many responses of each type each proxy got.
	Messages map[string]float64 `json:"messages"`
}

// memoryTable is the memory of a server as changes and reconnections go on.
type memoryTable struct {
	machine
	Proxies int          `json:"proxies"`
	Rules   int          `json:"rules"`
	Rows    []*memoryRow `json:"rows"`
}

type memoryRow struct {
	Changes int     `json:"changes"`
	Returns int     `json:"returns"`
	Memory  float64 `json:"memory"` // MiB of resident memory
	Heap    float64 `json:"heap"`   // MiB that are alive
}

// rounded has so many decimals that a difference is seen, and no more.
func rounded(x float64) float64 {
	if math.Abs(x) >= 100 {
		return math.Round(x)
	}
	return math.Round(100*x) / 100
}

// goals are those of Waymark; each that is missed is a line of the document.
func (t *fleetTable) goals() {
	t.Missed = []string{}
	miss := func(r *fleetRow, what string, is, goal float64, unit string) {
		if is > goal {
			t.Missed = append(t.Missed, fmt.Sprintf("%s: %s takes %.4g %s, and not %.4g", r.Matching, what, is, unit, goal))
		}
	}
	for _, r := range t.Rows {
		if r.Server != waymark {
			continue
		}
		miss(r, "the first state", r.First.Seconds, 8, "s")
		miss(r, "a change", r.Change.Seconds, 2, "s")
		miss(r, "a change", r.Change.Peak, 250, "MiB")
		miss(r, "coming back", r.Return.Bytes, 200, "bytes for each proxy")
	}
}

// write writes the parts that were measured to a file. The others stay as they are there.
func (r *results) write(file string) error {
	return tables.Update(file, func(all *results) {
		if r.Fleets != nil {
			all.Fleets = r.Fleets
		}
		if r.Endpoints != nil {
			all.Endpoints = r.Endpoints
		}
		if r.Memory != nil {
			all.Memory = r.Memory
		}
	}, "server", "changes")
}
