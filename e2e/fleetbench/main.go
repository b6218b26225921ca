// Command fleetbench measures what a control plane takes to serve a fleet: Waymark's beside the caches of go-control-plane,
// with the same rules, in one run. Each server is a process of its own, and so are the Envoys of each, which are
// simulated: they ask as real ones do, and acknowledge everything at once. What is not in sync at the end of a step is an
// error, so nothing is measured that did not happen.
//
//	make bench-fleet                                              1,000 proxies, 10,000 rules
//	make bench-fleet FLEETFLAGS="-proxies 100 -rounds 9"
//	.cache/bench/fleetbench -parts fleets -servers waymark -matching filter -profile DIR
//
// Times are of this machine and this hour; compare the lines of a run, not two runs.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// options are the flags.
type options struct {
	role, kind, matching, address string

	proxies, rules, hosts, rounds int
	servers, matchings, parts     []string
	results, profile              string
}

// The parts of a run.
const (
	fleetsPart    = "fleets"
	endpointsPart = "endpoints"
	memoryPart    = "memory"
)

func main() {
	var o options
	flag.StringVar(&o.role, "role", "", "server or proxies: a process that this program starts")
	flag.StringVar(&o.kind, "kind", waymark, "of a server")
	flag.StringVar(&o.address, "address", "", "of the server, for proxies")
	flag.IntVar(&o.proxies, "proxies", 1000, "number of simulated Envoys")
	flag.IntVar(&o.rules, "rules", 10000, "number of rules")
	flag.IntVar(&o.hosts, "hosts", 1000, "number of hosts that have the rules, each with a service")
	flag.IntVar(&o.rounds, "rounds", 5, "changes of a rule")
	servers := flag.String("servers", strings.Join([]string{waymark, linear, snapshot}, ","), "what is measured; each is compared with the first")
	matchings := flag.String("matching", "filter,native,auto", "as --matching of the command line")
	parts := flag.String("parts", strings.Join([]string{fleetsPart, endpointsPart, memoryPart}, ","), "what is measured")
	flag.StringVar(&o.results, "o", "", "file for the results, as JSON; parts that are not measured stay in it")
	flag.StringVar(&o.profile, "profile", "", "folder for profiles of the first server")
	flag.Parse()
	o.matching = *matchings
	o.servers, o.matchings, o.parts = strings.Split(*servers, ","), strings.Split(*matchings, ","), strings.Split(*parts, ",")
	var err error
	switch o.role {
	case "server":
		err = serve(&o)
	case "proxies":
		err = simulate(&o)
	default:
		err = measure(&o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleetbench: "+err.Error())
		os.Exit(1)
	}
}
