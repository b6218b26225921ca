package routingtest

import (
	"slices"
	"time"
)

// InTurns measures two functions, each called so many times in every round, and returns the median of each over the
// rounds. What disturbs the machine disturbs both.
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
