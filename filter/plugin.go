package filter

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"unsafe"

	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/routing"
)

// Plugin is the filter in one VM, which has one thread. The zero value is not ready; see [New].
type Plugin struct {
	// stream is the stream context that was made last, or 0, and root its root context. waiting has the root contexts
	// of earlier streams whose headers have not arrived yet; it is nil until it is needed.
	stream, root uint32
	waiting      map[uint32]uint32

	roots   []root
	few     [2]root // the memory of roots, as long as there are at most two
	level   hostcalls.Level
	dropped bool // a root context was deleted since the last configuration
	dice    *rand.PCG
	// decision, request and digits are of the current request.
	decision routing.Decision
	request  routing.Request
	digits   [10]byte
}

// root is a root context. There is one, or two during a change of configuration, so a list is enough.
type root struct {
	id    uint32
	table *routing.Table // nil before the first valid configuration
}

// table returns the Table of a root context, or nil.
func (p *Plugin) table(id uint32) *routing.Table {
	for i := range p.roots {
		if p.roots[i].id == id {
			return p.roots[i].table
		}
	}
	return nil
}

// setTable sets the Table of a root context, nil for none, and adds the context if it is new.
func (p *Plugin) setTable(id uint32, table *routing.Table) {
	for i := range p.roots {
		if p.roots[i].id == id {
			p.roots[i].table = table
			return
		}
	}
	p.roots = append(p.roots, root{id, table})
}

// New makes a plugin whose dice are seeded with seed. Each worker needs a seed of its own, or all would throw the same
// numbers.
func New(seed [2]uint64) *Plugin {
	p := &Plugin{dice: rand.NewPCG(seed[0], seed[1]), level: hostcalls.Info}
	p.roots = p.few[:0]
	return p
}

// maxWaiting bounds the streams in Plugin.waiting. A stream beyond is not remembered, and its request gets no route.
const maxWaiting = 1 << 16

// CreateContext remembers a new root context (parent 0), or a new stream of the root context parent.
//
// In range: waiting is made before its first entry.
func (p *Plugin) CreateContext(id, parent uint32) {
	if parent == 0 {
		p.setTable(id, nil)
		return
	}
	if p.StreamBegins(id, parent) {
		return
	}
	if p.waiting == nil {
		p.waiting = map[uint32]uint32{}
	}
	if len(p.waiting) < maxWaiting {
		p.waiting[p.stream] = p.root
	}
	p.stream, p.root = id, parent
}

// StreamBegins is the fast form of [Plugin.CreateContext], which suffices for nearly every stream and cannot panic.
// false means that nothing was done and CreateContext must be called.
func (p *Plugin) StreamBegins(id, parent uint32) bool {
	if parent == 0 || p.stream != 0 {
		return false
	}
	p.stream, p.root = id, parent
	return true
}

// StreamEnded is the fast form of [Plugin.DeleteContext], and cannot panic. true means that nothing is remembered of a
// context, as for nearly every stream; false means that DeleteContext must be called.
func (p *Plugin) StreamEnded(id uint32) bool {
	if id == p.stream || len(p.waiting) > 0 {
		return false
	}
	for i := range p.roots {
		if p.roots[i].id == id {
			return false
		}
	}
	return true
}

// DeleteContext forgets a context and, if it is a root context, its Table.
//
// In range: the function ends where roots changes.
func (p *Plugin) DeleteContext(id uint32) {
	if id == p.stream {
		p.stream = 0
		return
	}
	if len(p.waiting) > 0 {
		delete(p.waiting, id)
	}
	for i := range p.roots {
		if p.roots[i].id == id {
			p.dropped = true
			p.roots = slices.Delete(p.roots, i, i+1)
			p.request = routing.Request{} // it may have a reference to the Table
			return
		}
	}
}

// Configure reads the configuration of a root context, which has size bytes. false refuses it, and Envoy keeps the
// configuration in force.
func (p *Plugin) Configure(root uint32, size uint32) bool {
	hostcalls.Reset()
	if p.dropped {
		runtime.GC() // the new Table can use the memory of the dropped one
		p.dropped = false
	}
	p.level = hostcalls.LogLevel()
	config, status := hostcalls.ReadBuffer(hostcalls.PluginConfiguration, size)
	if status != hostcalls.OK {
		hostcalls.Log(hostcalls.Error, "waymark: the plugin configuration cannot be read: status "+strconv.Itoa(int(status)))
		return false
	}
	table, err := routing.Compile(config)
	if err != nil {
		hostcalls.Log(hostcalls.Error, "waymark: "+err.Error())
		return false
	}
	p.setTable(root, table)
	if p.level <= hostcalls.Info {
		hostcalls.Log(hostcalls.Info, "waymark: configured "+table.Name()+" with "+strconv.Itoa(table.Rules())+" rules")
	}
	// The garbage collector's background work never finishes in a module in which no goroutine ever waits. Without this
	// call, linear memory would grow with every configuration, and it never shrinks.
	hostcalls.Reset()
	runtime.GC()
	return true
}

// The bits of the headers that a decision may write. Bit i of such a set is routing.DecisionHeaders[i].
const (
	routeBit = 1 << iota
	delayBit
	abortBit
	grpcBit
)

// RequestHeaders decides one request. It allocates nothing.
func (p *Plugin) RequestHeaders(stream uint32) {
	hostcalls.Reset()
	table := p.tableOf(stream)
	sent := p.read(table)
	d := &p.decision
	*d = routing.Decision{VirtualHost: -1, Rule: -1}
	if table != nil {
		var dice routing.Dice
		if table.UsesDice() {
			dice = p.throw()
		}
		table.DecideInto(d, &p.request, dice)
	}
	if remove := sent &^ p.write(d); remove != 0 {
		p.remove(remove)
	}
	if p.level <= hostcalls.Debug {
		p.logDecision(table, d)
	}
}

// tableOf returns the Table of a stream's root context, and forgets the stream. It is nil for an unknown stream or root
// context, and for a root context without a valid configuration.
func (p *Plugin) tableOf(stream uint32) *routing.Table {
	root := p.root
	if stream != p.stream {
		root = p.waiting[stream]
		delete(p.waiting, stream)
	} else {
		p.stream = 0
	}
	return p.table(root)
}

// read fills the request with the headers that the table compares, and returns which of routing.DecisionHeaders the
// client sent. A header map that cannot be read counts as empty: it has no authority, so no rule matches.
//
// In range: the bytes of a name are read after its length was compared.
func (p *Plugin) read(table *routing.Table) (sent uint32) {
	var lengths uint64
	if table != nil {
		lengths = table.HeaderLengths()
	}
	p.request.Reset()
	data, _ := hostcalls.ReadHeaders(hostcalls.RequestHeaders)
	pairs, ok := hostcalls.ParsePairs(data)
	if !ok {
		return 0
	}
	for {
		name, value, ok := pairs.Next()
		if !ok {
			return sent
		}
		if len(name) == 0 || name[0] == ':' || name[0] == 'h' {
			p.request.Set(name, value)
			continue
		}
		if name[0] == 'x' && len(name) >= len(routing.RouteHeader) && (name[2] == 'w' || name[2] == 'e') {
			if bit := ownBit(name); bit != 0 {
				sent |= bit
				continue
			}
		}
		if lengths>>(len(name)&63)&1 != 0 {
			p.request.Add(name, value)
		}
	}
}

// ownBit returns the bit of a header in sets of routing.DecisionHeaders, or 0 for any other header.
func ownBit(name string) uint32 {
	for i, own := range routing.DecisionHeaders {
		if name == own {
			return 1 << i // In range: a list has no negative index.
		}
	}
	return 0
}

func (p *Plugin) throw() routing.Dice {
	a, b := p.dice.Uint64(), p.dice.Uint64()
	return routing.Dice{Split: uint32(a >> 32), Delay: uint32(a), Abort: uint32(b >> 32)}
}

// write sets the headers of a decision and returns the set of them.
func (p *Plugin) write(d *routing.Decision) (written uint32) {
	if d.Outcome == "" {
		return 0
	}
	hostcalls.SetHeader(hostcalls.RequestHeaders, routing.RouteHeader, d.Outcome)
	written = routeBit
	if d.Delay > 0 {
		hostcalls.SetHeader(hostcalls.RequestHeaders, routing.DelayHeader, p.decimal(d.Delay))
		written |= delayBit
	}
	if d.HasAbortGRPC {
		hostcalls.SetHeader(hostcalls.RequestHeaders, routing.AbortGRPCHeader, p.decimal(d.AbortGRPC))
		written |= grpcBit
	} else if d.AbortHTTP > 0 {
		hostcalls.SetHeader(hostcalls.RequestHeaders, routing.AbortHeader, p.decimal(d.AbortHTTP))
		written |= abortBit
	}
	return written
}

// remove removes a set of routing.DecisionHeaders: those that the client sent and the decision did not overwrite.
//
// In range: a bit that is set is that of a header; see ownBit.
func (p *Plugin) remove(headers uint32) {
	for i := 0; headers != 0; i, headers = i+1, headers>>1 {
		if headers&1 != 0 {
			hostcalls.RemoveHeader(hostcalls.RequestHeaders, routing.DecisionHeaders[i])
		}
	}
}

// decimal writes a number without allocating. The text is valid until the next call.
//
// In range: a number of 32 bits has at most ten digits.
func (p *Plugin) decimal(n uint32) string {
	i := len(p.digits)
	for {
		i--
		p.digits[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return unsafe.String(&p.digits[i], len(p.digits)-i)
		}
	}
}

func (p *Plugin) logDecision(table *routing.Table, d *routing.Decision) {
	text := "waymark: no route"
	switch {
	case table == nil:
		text = "waymark: no configuration, no route"
	case d.VirtualHost < 0:
		text = "waymark: no virtual host has this host"
	case d.Rule >= 0:
		text = "waymark: " + table.RuleName(*d) + " -> " + d.Outcome
	}
	hostcalls.Log(hostcalls.Debug, text)
}
