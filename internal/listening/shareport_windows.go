package listening

// sharePort does nothing: on Windows, sockets on different addresses can have the same port.
func sharePort(uintptr) error { return nil }
