package main

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// What is compared is done in short rounds, in turns: what slows the machine down for a while slows all of it, and the
// median forgets it. A round is long enough for what it does to be in the processor's caches most of the time, whatever was
// done before.
const (
	shortRounds = 21
	shortRound  = 2 * time.Millisecond
	fewRounds   = 5 // at least, of what takes longer
	batch       = 8 // what is done in a round is a multiple
)

// measured is something that is done again and again.
type measured struct {
	do    func() error
	calls int             // in a round
	every int             // so many rounds it has one
	nanos map[int]float64 // of each round that it had
}

func (m *measured) median() float64 { return median(slices.Collect(maps.Values(m.nanos))) }

// times is the median of what it takes in proportion to another, round by round: both see the machine as it is then.
func (m *measured) times(other *measured) float64 {
	var all []float64
	for round, x := range m.nanos {
		if y, ok := other.nanos[round]; ok {
			all = append(all, x/y)
		}
	}
	return median(all)
}

// round does it a number of times and returns the nanoseconds of one.
func (m *measured) round(calls int) (float64, error) {
	start := time.Now()
	for range calls {
		if err := m.do(); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(calls), nil
}

// prepare finds how often it can be done in a round. The fastest of several tries counts: after a single one that was
// interrupted, all rounds would be too short.
func (m *measured) prepare() error {
	fastest := math.Inf(1)
	for start := time.Now(); math.IsInf(fastest, 1) || time.Since(start) < 4*shortRound; {
		nanos, err := m.round(batch)
		if err != nil {
			return err
		}
		fastest = min(fastest, batch*nanos)
	}
	batches := float64(shortRound) / fastest
	m.calls = batch * max(1, int(batches))
	m.every = min(max(1, int(1/batches)), shortRounds/fewRounds)
	return nil
}

// inTurns measures several things, in another order in each round: what comes back every few milliseconds must not always
// hit the same one. All have had the first round.
func inTurns(all []func() error) (each []*measured, err error) {
	for _, do := range all {
		m := &measured{do: do, nanos: map[int]float64{}}
		if err := m.prepare(); err != nil {
			return nil, err
		}
		each = append(each, m)
	}
	order := slices.Clone(each)
	for round := range shortRounds {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, m := range order {
			if round%m.every != 0 {
				continue
			}
			nanos, err := m.round(m.calls)
			if err != nil {
				return nil, err
			}
			m.nanos[round] = nanos
		}
	}
	return each, nil
}
