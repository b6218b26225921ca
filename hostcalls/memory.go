package hostcalls

// The arena grows to the size that requests need, at most arenaLimit bytes, and is used again by each callback. Larger
// pieces get memory of their own, which the garbage collector frees.
const (
	arenaStart = 16 << 10
	arenaLimit = 1 << 20
)

// shared is everything that a host call reads and writes here, side by side in memory, since between two requests it is
// evicted from the processor's caches.
var shared struct {
	// address, size and level are the variables that the host writes its results into. They must not be on the stack:
	// see the package comment.
	address, size, level uint32

	// at and length are the piece of the arena that was allocated last, used is the size of all pieces, in bytes. One
	// host call allocates at most one piece.
	at, length, used int
	arena            []byte

	// own is the piece that was allocated last, if it has memory of its own; else nil.
	own []byte
	// apart is set if the next piece gets memory of its own, because the caller keeps it.
	apart bool
}

func init() { shared.arena = make([]byte, arenaStart) }

// Reset frees the memory of the arena. A callback must call it first; strings from earlier callbacks are invalid then.
func Reset() {
	shared.used, shared.length, shared.own = 0, 0, nil
}

// Allocate returns size bytes of memory that the host can write into. A size of 0 is allowed, and has an address, too.
// The memory is not cleared.
//
// In range: a piece beyond the limit is refused by the runtime where there is no memory for it, and no host has
// headers of that size. The arena has a size between arenaStart and arenaLimit.
func Allocate(size uint32) []byte {
	n := int(size)
	if size > arenaLimit || shared.apart {
		shared.own = make([]byte, n)
		return shared.own
	}
	if shared.used+n > len(shared.arena) {
		// The garbage collector keeps the old arena as long as something points to a piece of it.
		shared.arena = make([]byte, min(arenaLimit, max(2*len(shared.arena), n)))
		shared.used = 0
	}
	shared.at, shared.length, shared.own = shared.used, n, nil
	shared.used = min(len(shared.arena), shared.used+(n+7)&^7)
	return last()
}

// last returns the piece that was allocated last.
//
// In range: the piece is in the arena since it was allocated; a new arena begins with a new piece.
func last() []byte {
	if shared.own != nil {
		return shared.own
	}
	return shared.arena[shared.at : shared.at+shared.length : shared.at+shared.length]
}
