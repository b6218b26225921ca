//go:build !wasm

package hostcalls

// Host is the functions of the host where the package is not compiled to Wasm.
type Host interface {
	GetHeaderMapPairs(m Map) ([]byte, Status)
	ReplaceHeaderMapValue(m Map, name, value string) Status
	RemoveHeaderMapValue(m Map, name string) Status
	GetBufferBytes(b Buffer, start, most uint32) ([]byte, Status)
	Log(level Level, message string) Status
	GetLogLevel() (Level, Status)
}

var host Host

// Use sets the host that all calls go to. It is for tests.
func Use(h Host) { host = h }

func getHeaderMapPairs(m Map) ([]byte, Status) { return copyIn(host.GetHeaderMapPairs(m)) }

func getBufferBytes(b Buffer, start, most uint32) ([]byte, Status) {
	return copyIn(host.GetBufferBytes(b, start, most))
}

// copyIn does what a Wasm host does: it allocates memory of the module and writes the result there.
func copyIn(data []byte, status Status) ([]byte, Status) {
	if status != OK || len(data) == 0 {
		return nil, status
	}
	piece := Allocate(uint32(len(data)))
	return piece[:copy(piece, data)], OK
}

func replaceHeaderMapValue(m Map, name, value string) Status {
	return host.ReplaceHeaderMapValue(m, name, value)
}

func removeHeaderMapValue(m Map, name string) Status { return host.RemoveHeaderMapValue(m, name) }

func log(level Level, message string) { host.Log(level, message) }

func getLogLevel() (Level, Status) { return host.GetLogLevel() }
