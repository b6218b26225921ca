package xds

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseSizes(t *testing.T) {
	sizes, err := ParseSizes("1, 10%,100%")
	require.NoError(t, err)
	assert.Equal(t, []Size{{Number: 1}, {Percent: 10}, {Percent: 100}}, sizes)
	for text, message := range map[string]string{
		"1,10%": "is not 100%", "0,100%": `"0" is neither`, "x": `"x" is neither`, "101%": "is not a percentage", "-1%,100%": "is not a percentage", "": "is neither",
	} {
		_, err := ParseSizes(text)
		assert.ErrorContains(t, err, message, text)
	}
	assert.Equal(t, 1, Size{Percent: 10}.of(3), "at least one")
	assert.Equal(t, 2, Size{Percent: 10}.of(11), "rounded up")
	assert.Equal(t, 2, Size{Number: 5}.of(2))
}

// waved is a fleet of ten proxies in a rollout, which take what they may have at once.
type waved struct {
	rollout
	now     time.Time
	proxies []Status
	loads   map[string]load
}

func newWaved(t *testing.T, maxErrors float64) *waved {
	sizes, err := ParseSizes("1,30%,100%")
	require.NoError(t, err)
	w := &waved{rollout: rollout{waves: Waves{Sizes: sizes, Interval: time.Minute, MaxErrors: maxErrors}}, now: start, loads: map[string]load{}}
	for i := range 10 {
		w.proxies = append(w.proxies, Status{ID: fmt.Sprint("p", i), InSync: true, Number: 1})
	}
	w.begin(2, w.now)
	return w
}

// step lets time go by; proxies take what they may have first.
func (w *waved) step(d time.Duration) bool {
	w.now = w.now.Add(d)
	return w.rollout.step(w.now, w.proxies, func(id string) load { return w.loads[id] })
}

func (w *waved) take() (taken int) {
	for i := range w.proxies {
		if w.admits(w.proxies[i].ID) {
			w.proxies[i].Number = 2
			taken++
		}
	}
	return taken
}

func TestWavesGoOn(t *testing.T) {
	w := newWaved(t, 0)
	assert.Zero(t, w.take(), "nobody yet")
	assert.True(t, w.step(0))
	first := w.take()
	assert.Equal(t, 1, first)
	assert.False(t, w.step(30*time.Second), "the interval is not over")
	assert.True(t, w.step(30*time.Second))
	assert.Equal(t, 3, w.take())
	for i := range w.proxies {
		if w.proxies[i].Number == 2 {
			w.proxies[i].InSync = false
			assert.False(t, w.step(time.Minute), "one of the wave has not taken it")
			w.proxies[i].InSync = true
		}
	}
	assert.True(t, w.step(time.Minute))
	assert.Equal(t, 10, w.take())
	assert.True(t, w.step(0))
	assert.Equal(t, Done, w.status().State)
	assert.True(t, w.admits("a new one"))
}

func TestWavesStopAtARefusal(t *testing.T) {
	w := newWaved(t, 0)
	w.step(0)
	w.take()
	for i := range w.proxies {
		if w.proxies[i].Number == 2 {
			w.proxies[i].Refusals, w.proxies[i].InSync = []Refusal{{Message: "bad"}}, false
		}
	}
	assert.False(t, w.step(time.Hour))
	assert.Equal(t, Paused, w.status().State)
	assert.Contains(t, w.status().Reason, "refuses it: bad")
	assert.Equal(t, 1, w.take(), "nobody else")
}

// Errors of the proxies in the wave count against those that they had before.
func TestWavesStopAtErrors(t *testing.T) {
	for what, c := range map[string]struct {
		before, after load
		stops         bool
	}{
		"none":                     {load{100, 0}, load{200, 0}, false},
		"as many as before":        {load{100, 10}, load{200, 20}, false},
		"a few more":               {load{100, 0}, load{200, 4}, false},
		"many more":                {load{100, 0}, load{200, 40}, true},
		"of too few requests":      {load{100, 0}, load{110, 10}, false},
		"of a proxy without any":   {load{}, load{100, 50}, true},
		"nothing is reported":      {load{}, load{}, false},
		"fewer than there were":    {load{100, 50}, load{200, 60}, false},
		"more, but as a share not": {load{100, 10}, load{1100, 110}, false},
	} {
		w := newWaved(t, 0.05)
		for _, p := range w.proxies {
			w.loads[p.ID] = c.before
		}
		w.step(0)
		w.take()
		for _, p := range w.proxies {
			if p.Number == 2 {
				w.loads[p.ID] = c.after
			}
		}
		w.step(time.Second)
		if c.stops {
			assert.Equal(t, Paused, w.status().State, what)
			assert.Contains(t, w.status().Reason, "failed", what)
		} else {
			assert.Equal(t, Rolling, w.status().State, what)
		}
	}
}

// A change that interrupts another goes to the proxies first that had the one before.
func TestWavesBeginAgain(t *testing.T) {
	w := newWaved(t, 0)
	w.step(0)
	w.take()
	w.step(time.Minute)
	had := w.take()
	require.Equal(t, 3, had)
	w.begin(3, w.now)
	assert.Equal(t, 3, len(w.admitted))
	assert.Equal(t, 1, w.status().Wave)
}
