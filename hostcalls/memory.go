package hostcalls

// The arena grows to what requests need, at most arenaLimit, and is used again by each callback. Bigger pieces, such as
// a configuration, get memory of their own, which the garbage collector takes back.
const (
	arenaStart = 16 << 10
	arenaLimit = 1 << 20
)

var (
	arena = make([]byte, arenaStart)
	used  int

	// last is the piece that was handed out last: one host call asks for one piece at most.
	last []byte

	// apart says that the piece asked for next is to be kept, and so gets memory of its own.
	apart bool
)

// Reset makes the arena's memory free again. To be called when a callback starts; strings from an earlier one are
// invalid from then on.
func Reset() {
	used = 0
	last = nil
}

// Allocate hands out memory for the host to write into. A size of 0 is allowed, and gets an address all the same.
// The memory is not cleared.
func Allocate(size uint32) []byte {
	n := int(size)
	if n > arenaLimit || apart {
		last = make([]byte, n)
		return last
	}
	if used+n > len(arena) {
		// What was handed out of the old arena stays alive as long as something points to it.
		arena = make([]byte, min(arenaLimit, max(2*len(arena), n)))
		used = 0
	}
	last = arena[used : used+n : used+n]
	used += (n + 7) &^ 7
	if used > len(arena) {
		used = len(arena)
	}
	return last
}
