package hostcalls

// The arena grows to what requests need, at most arenaLimit, and is used again by each callback. Bigger pieces, such as
// a configuration, get memory of their own, which the garbage collector takes back.
const (
	arenaStart = 16 << 10
	arenaLimit = 1 << 20
)

// shared is all that a host call reads and writes here, side by side: between two requests it leaves the processor's caches.
var shared struct {
	// What the host writes its results into. Never on the stack: see the package comment.
	address, size, level uint32

	// The piece of the arena that was handed out last, and what is used of it: one host call asks for one piece at most.
	at, length, used int
	arena            []byte

	// own is the piece handed out last, where it has memory of its own.
	own []byte
	// apart says that the piece asked for next is to be kept, and so gets memory of its own.
	apart bool
}

func init() { shared.arena = make([]byte, arenaStart) }

// Reset makes the arena's memory free again. To be called when a callback starts; strings from an earlier one are
// invalid from then on.
func Reset() {
	shared.used, shared.length, shared.own = 0, 0, nil
}

// Allocate hands out memory for the host to write into. A size of 0 is allowed, and gets an address all the same.
// The memory is not cleared.
func Allocate(size uint32) []byte {
	n := int(size)
	if n > arenaLimit || shared.apart {
		shared.own = make([]byte, n)
		return shared.own
	}
	if shared.used+n > len(shared.arena) {
		// What was handed out of the old arena stays alive as long as something points to it.
		shared.arena = make([]byte, min(arenaLimit, max(2*len(shared.arena), n)))
		shared.used = 0
	}
	shared.at, shared.length, shared.own = shared.used, n, nil
	shared.used = min(len(shared.arena), shared.used+(n+7)&^7)
	return last()
}

// last is the piece that was handed out last.
func last() []byte {
	if shared.own != nil {
		return shared.own
	}
	return shared.arena[shared.at : shared.at+shared.length : shared.at+shared.length]
}
