package hostcalls

// Status is what a host function answers.
type Status uint32

// The statuses of the ABI that matter here.
const (
	OK                  Status = 0
	NotFound            Status = 1
	BadArgument         Status = 2
	InvalidMemoryAccess Status = 6
	InternalFailure     Status = 10
)

// Level of a log line.
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

// Map says which headers a call means.
type Map uint32

// Buffer says which bytes a call means.
type Buffer uint32

// The map and the buffer that the filter uses.
const (
	RequestHeaders      Map    = 0
	PluginConfiguration Buffer = 7
)

// ReadHeaders returns all headers in one call, in the ABI's pairs encoding; [ParsePairs] reads it. The bytes are valid
// until the next call of [Reset].
func ReadHeaders(m Map) ([]byte, Status) { return getHeaderMapPairs(m) }

// SetHeader replaces all values of a header, or adds it.
func SetHeader(m Map, name, value string) Status { return replaceHeaderMapValue(m, name, value) }

// RemoveHeader removes all values of a header; that there are none is no error.
func RemoveHeader(m Map, name string) Status { return removeHeaderMapValue(m, name) }

// ReadBuffer returns up to size bytes from the start of a buffer. They are the caller's: nothing writes them again.
func ReadBuffer(b Buffer, size uint32) ([]byte, Status) {
	shared.apart = true
	data, status := getBufferBytes(b, 0, size)
	shared.apart = false
	return data, status
}

// Log writes one line to the host's log. The host drops lines below its level; ask [LogLevel] before building one.
func Log(level Level, message string) { log(level, message) }

// LogLevel is the lowest level that the host prints; Info when it does not say.
func LogLevel() Level {
	if level, status := getLogLevel(); status == OK {
		return level
	}
	return Info
}
