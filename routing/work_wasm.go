package routing

// work is nothing in the filter: calls of empty functions are not compiled. See work.go.
type work struct{}

func (*work) key()          {}
func (*work) probe()        {}
func (*work) bucket()       {}
func (*work) rule()         {}
func (*work) condition()    {}
func (*work) readBytes(int) {}
func (*work) reset()        {}
