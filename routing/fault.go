package routing

// million is the denominator of all percentages: Istio's percentage.value has four decimals (VS-FAULT-02).
const million = 1_000_000

// fault is the compiled form of [Fault]. The zero value injects nothing.
type fault struct {
	delay           uint32 // milliseconds
	delayPerMillion uint32
	abortStatus     uint32
	abortGRPC       bool // abortStatus is a gRPC status
	abortPerMillion uint32
}

// strike decides by the dice whether the request is delayed and whether it is aborted, independently of each other
// (VS-FAULT-06).
func (f *fault) strike(d *Decision, dice Dice) {
	if scale(dice.Delay, million) < f.delayPerMillion {
		d.Delay = f.delay
	}
	if scale(dice.Abort, million) < f.abortPerMillion {
		if f.abortGRPC {
			d.AbortGRPC, d.HasAbortGRPC = f.abortStatus, true
		} else {
			d.AbortHTTP = f.abortStatus
		}
	}
}
