package process

import "os"

// terminate kills a process: Windows has no signal to end.
func terminate(p *os.Process) error { return p.Kill() }
