package hostcalls

// Status is the result of a host function.
type Status uint32

// The statuses of the ABI that the filter, or a host of ours, uses.
const (
	OK                  Status = 0
	NotFound            Status = 1
	BadArgument         Status = 2
	InvalidMemoryAccess Status = 6
	InternalFailure     Status = 10
)

// Level is the level of a log line.
type Level uint32

// The levels of the ABI.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
	Critical
)

// Map is the set of headers that a call reads or writes.
type Map uint32

// Buffer is the buffer that a call reads.
type Buffer uint32

// The map and the buffer that the filter uses.
const (
	RequestHeaders      Map    = 0
	PluginConfiguration Buffer = 7
)

// ReadHeaders returns all headers in one call, in the ABI's encoding of pairs, which [ParsePairs] reads. The bytes are
// valid until the next call of [Reset].
func ReadHeaders(m Map) ([]byte, Status) { return getHeaderMapPairs(m) }

// SetHeader replaces all values of a header, or adds it.
func SetHeader(m Map, name, value string) Status { return replaceHeaderMapValue(m, name, value) }

// RemoveHeader removes all values of a header. It is not an error if there are none.
func RemoveHeader(m Map, name string) Status { return removeHeaderMapValue(m, name) }

// ReadBuffer returns up to size bytes from the start of a buffer. They have memory of their own, which the caller may
// keep.
func ReadBuffer(b Buffer, size uint32) ([]byte, Status) {
	shared.apart = true
	data, status := getBufferBytes(b, 0, size)
	shared.apart = false
	return data, status
}

// Log writes one line to the host's log. The host drops lines below [LogLevel], so check it before composing a line.
func Log(level Level, message string) { log(level, message) }

// LogLevel returns the lowest level that the host prints, or Info if the host reports an error.
func LogLevel() Level {
	if level, status := getLogLevel(); status == OK {
		return level
	}
	return Info
}
