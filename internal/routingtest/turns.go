package routingtest

import (
	"slices"
	"time"
)

// InTurns measures two functions and returns the median time of one call of each, over the rounds. Each round calls f
// and then g, as often as calls says, so that other load on the machine disturbs both alike.
func InTurns(rounds, calls int, f, g func()) (x, y time.Duration) {
	var all [2][]time.Duration
	for range rounds {
		for i, h := range []func(){f, g} {
			start := time.Now()
			for range calls {
				h()
			}
			all[i] = append(all[i], time.Since(start)/time.Duration(calls))
		}
	}
	slices.Sort(all[0])
	slices.Sort(all[1])
	return all[0][rounds/2], all[1][rounds/2]
}
