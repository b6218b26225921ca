package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Waves are the parts of a fleet that take a change one after the other. The zero value is all at once.
type Waves struct {
	// Sizes are how much of the fleet has the change after each wave. The last one is everything.
	Sizes []Size
	// Interval is how long a wave must have gone well before the next one begins.
	Interval time.Duration
	// MaxErrors is by how much the share of requests that end with 5xx, or with no answer, may grow in the proxies that have
	// a change: 0.05 is from 1 % to 6 %. It is known of proxies that report their load; 0 does not look.
	MaxErrors float64
}

// Size is a number of proxies, or a share of them.
type Size struct {
	Number  int
	Percent float64 // 0: Number counts
}

// of is how many of n proxies they are, at least one.
func (s Size) of(n int) int {
	if s.Percent > 0 {
		return max(1, int(math.Ceil(s.Percent*float64(n)/100)))
	}
	return min(s.Number, n)
}

func (s Size) String() string {
	if s.Percent > 0 {
		return strconv.FormatFloat(s.Percent, 'g', -1, 64) + "%"
	}
	return strconv.Itoa(s.Number)
}

// ParseSizes reads sizes such as 1,10%,100%.
func ParseSizes(text string) ([]Size, error) {
	var out []Size
	for _, part := range strings.Split(text, ",") {
		number, isPercent := strings.CutSuffix(strings.TrimSpace(part), "%")
		if isPercent {
			p, err := strconv.ParseFloat(number, 64)
			if err != nil || p <= 0 || p > 100 {
				return nil, fmt.Errorf("%q is not a percentage above 0 and up to 100", part)
			}
			out = append(out, Size{Percent: p})
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is neither a number of proxies nor a percentage", part)
		}
		out = append(out, Size{Number: n})
	}
	if out[len(out)-1].Percent != 100 {
		return nil, fmt.Errorf("the last of %q is not 100%%: the rest of the fleet would never get a change", text)
	}
	return out, nil
}

// RolloutState is what becomes of a change.
type RolloutState string

// The states of a rollout.
const (
	// Rolling: proxies take the change, wave by wave.
	Rolling RolloutState = "rolling"
	// Paused: no further wave begins until it is resumed, by hand or because something went wrong.
	Paused RolloutState = "paused"
	// Aborted: everything is as it was before. The next change begins anew.
	Aborted RolloutState = "aborted"
	// Done: every proxy may have it.
	Done RolloutState = "done"
)

// Rollout is how far a change has come.
type Rollout struct {
	Number   uint64       `json:"number"`
	State    RolloutState `json:"state"`
	Reason   string       `json:"reason,omitempty"`
	Wave     int          `json:"wave"` // counted from 1
	Waves    []string     `json:"waves,omitempty"`
	Admitted int          `json:"admitted"`
	Since    time.Time    `json:"since"` // of the wave
}

// rollout is the state of the change that is rolled out.
type rollout struct {
	mu       sync.Mutex
	waves    Waves
	number   uint64
	state    RolloutState
	reason   string
	wave     int
	since    time.Time
	admitted map[string]bool // by id of the node
	before   map[string]load // of the proxies that were admitted, when they were
}

// begin begins a rollout. Proxies that have a change that was not rolled out to the end get the next one with the first
// wave: they must not go back in between.
func (r *rollout) begin(number uint64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == Done || r.state == Aborted || r.admitted == nil {
		r.admitted = map[string]bool{}
	}
	r.number, r.state, r.reason, r.wave, r.since, r.before = number, Rolling, "", 0, now, map[string]load{}
}

// isActive: there are proxies that may not have the change.
func (r *rollout) isActive() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == Rolling || r.state == Paused
}

func (r *rollout) admits(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == Done || r.state == Aborted || r.state == "" || r.admitted[id]
}

// admit lets the proxies of the wave have the change: the first ones in an order that is always the same, so that every
// change begins with the same ones, which may be watched more closely.
func (r *rollout) admit(ids []string, loads func(id string) load) {
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	ids = slices.Compact(ids)
	n := r.waves.Sizes[r.wave].of(len(ids))
	for _, id := range ids[:n] {
		if !r.admitted[id] {
			r.admitted[id] = true
			r.before[id] = loads(id)
		}
	}
}

func rank(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// step looks how the wave goes. It reports whether proxies may have something else now.
func (r *rollout) step(now time.Time, proxies []Status, loads func(id string) load) (moved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != Rolling {
		return false
	}
	var ids []string
	waiting := false
	for _, p := range proxies {
		ids = append(ids, p.ID)
		if !r.admitted[p.ID] {
			continue
		}
		if p.Number == r.number && len(p.Refusals) > 0 {
			r.pause(fmt.Sprintf("%s refuses it: %s", p.ID, p.Refusals[0].Message))
			return false
		}
		waiting = waiting || p.Number < r.number || !p.InSync
	}
	if why := r.tooManyErrors(loads); why != "" {
		r.pause(why)
		return false
	}
	before := len(r.admitted)
	r.admit(ids, loads)
	if len(r.admitted) != before {
		return true
	}
	if waiting || len(ids) == 0 || now.Sub(r.since) < r.waves.Interval && r.wave < len(r.waves.Sizes)-1 {
		return false
	}
	if r.wave == len(r.waves.Sizes)-1 {
		r.state = Done
		return true
	}
	r.wave++
	r.since = now
	r.admit(ids, loads)
	return true
}

func (r *rollout) pause(reason string) { r.state, r.reason = Paused, reason }

// fewestRequests is how many requests must have been reported before their errors count.
const fewestRequests = 20

// tooManyErrors compares the errors of the proxies that have the change with those that they had before.
func (r *rollout) tooManyErrors(loads func(id string) load) string {
	if r.waves.MaxErrors == 0 {
		return ""
	}
	var before, since load
	for id, b := range r.before {
		now := loads(id)
		before.requests, before.errors = before.requests+b.requests, before.errors+b.errors
		since.requests, since.errors = since.requests+now.requests-b.requests, since.errors+now.errors-b.errors
	}
	if since.requests < fewestRequests || since.share() <= before.share()+r.waves.MaxErrors {
		return ""
	}
	return fmt.Sprintf("%.1f %% of %d requests of the proxies that have it failed, and %.1f %% before", 100*since.share(), since.requests, 100*before.share())
}

// status is the public form.
func (r *rollout) status() Rollout {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Rollout{Number: r.number, State: r.state, Reason: r.reason, Wave: r.wave + 1, Admitted: len(r.admitted), Since: r.since}
	for _, s := range r.waves.Sizes {
		out.Waves = append(out.Waves, s.String())
	}
	return out
}

// Rollout is how far the last change has come.
func (s *Server) Rollout() Rollout { return s.rollout.status() }

// Pause begins no further wave.
func (s *Server) Pause(reason string) error {
	return s.move([]RolloutState{Rolling}, func(r *rollout) { r.pause(reason) })
}

// Resume goes on with the waves.
func (s *Server) Resume() error {
	return s.move([]RolloutState{Paused}, func(r *rollout) {
		r.state, r.reason, r.since = Rolling, "", time.Now()
		for id := range maps.Keys(r.before) { // what went wrong before was seen
			r.before[id] = s.loads.of(id)
		}
	})
}

// Abort gives every proxy what it had before the change. It ends with the next change.
func (s *Server) Abort() error {
	return s.move([]RolloutState{Rolling, Paused}, func(r *rollout) { r.state, r.reason = Aborted, "" })
}

func (s *Server) move(from []RolloutState, change func(*rollout)) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	r := &s.rollout
	r.mu.Lock()
	if !slices.Contains(from, r.state) {
		defer r.mu.Unlock()
		if r.state == "" {
			return fmt.Errorf("no change is rolled out in waves")
		}
		return fmt.Errorf("the rollout of change %d is %s", r.number, r.state)
	}
	change(r)
	aborted := r.state == Aborted
	r.mu.Unlock()
	for _, g := range s.all() {
		if aborted {
			g.restore()
		}
		g.wake()
	}
	s.broadcast()
	return nil
}

// restore makes the target what it was before the rollout.
func (g *group) restore() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stable != nil {
		g.target, g.stable = g.stable, nil
	}
}

// rollOut moves a rollout on, whenever something changes, until the server ends.
func (s *Server) rollOut() {
	tick := time.NewTicker(waveLook)
	defer tick.Stop()
	for {
		changed := s.Changed()
		if s.rollout.isActive() && s.rollout.step(time.Now(), s.Status(), s.loads.of) {
			for _, g := range s.all() {
				if !s.rollout.isActive() {
					g.settle()
				}
				g.wake()
			}
			s.broadcast()
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-s.ended:
			return
		}
	}
}

// waveLook is how often a rollout is looked at where nothing changes.
const waveLook = 500 * time.Millisecond

// settle forgets what was before the rollout.
func (g *group) settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stable = nil
}
