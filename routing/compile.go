package routing

import (
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Compile reads a plugin configuration (the JSON of [Config]) into a Table. It is strict: unknown fields, duplicate
// keys, wrong types, values out of range, trailing bytes, another version and too deep nesting are refused with a
// [*ConfigError], which has all problems at once. It never panics, and the same bytes always give the same Table.
//
// Compile decodes and compiles at the same time: a decoded copy of 10,000 rules would take memory that linear memory
// never gives back. The Table's texts share the memory of config, which must not be changed afterwards.
func Compile(config []byte) (*Table, error) {
	if len(config) > maxConfig {
		return nil, refused("larger than " + itoa(maxConfig) + " bytes")
	}
	text := unsafe.String(unsafe.SliceData(config), len(config))
	c := compiler{reader: reader{text: text}, table: &Table{
		hosts: hostIndex{slots: make([]int32, 16), any: -1},
		names: newNames(),
	}}
	c.table.texts.config = text
	c.config()
	c.table.texts.changed = unsafe.String(unsafe.SliceData(c.changed), len(c.changed)) // nothing changes it any more
	switch c.end(); {
	case c.broken != "":
		return nil, refused(c.broken)
	case c.version != "":
		return nil, refused("version: this filter reads version " + itoa(Version) + ", got " + c.version)
	case len(c.missing) > 0:
		return nil, refused("requires: this filter does not know " + strings.Join(c.missing, ", ") + "; use the module of the Waymark that wrote the configuration")
	case len(c.problems) > 0:
		return nil, &ConfigError{c.problems}
	}
	c.fileRules()
	return c.table, nil
}

// maxConfig bounds a configuration, in bytes, so that the offsets of spans fit into 32 bits.
const maxConfig = 1 << 30

func refused(message string) error { return &ConfigError{[]Problem{{Message: message}}} }

// compiler builds a table while it reads.
type compiler struct {
	reader
	table   *Table
	version string                 // the version of the document, if it is not Version
	missing []string               // required features that this package does not support, quoted
	classes map[string]*[256]uint8 // the classes of automata, by their encoding
	// isState, contains and endsWith are scratch memory for programs and expressions.
	isState            []bool
	contains, endsWith []span
}

func (c *compiler) config() {
	hasVersion, hasHosts := false, false
	var o object
	for c.member(&o) {
		switch o.key {
		case "version":
			hasVersion = true
			c.readVersion()
		case "requires":
			var a array
			for c.element(&a) {
				if name := c.readText(); !slices.Contains(Features, name) {
					c.missing = append(c.missing, strconv.Quote(clip(name)))
				}
			}
		case "name":
			c.table.name = c.readText()
		case "repeatedHeaders":
			switch s := c.readText(); s {
			case RepeatedHeadersEach:
			case RepeatedHeadersJoined:
				c.table.joined = true
			default:
				c.problem("want each or joined, got " + strconv.Quote(clip(s)))
			}
		case "programs":
			var a array
			for c.element(&a) {
				c.program()
			}
		case "regexes":
			c.before(o.key, hasHosts)
			var a array
			for c.element(&a) {
				c.regex()
			}
		case "sets":
			c.before(o.key, hasHosts)
			var a array
			for c.element(&a) {
				c.set()
			}
		case "virtualHosts":
			hasHosts = true
			var a array
			for c.element(&a) {
				c.virtualHost()
			}
		default:
			c.unknown()
		}
	}
	if !hasVersion {
		c.problem("version is missing")
	}
	if !hasHosts {
		c.problem("virtualHosts is missing")
	}
}

// before reports a list that stands after the virtual hosts, whose rules refer to its elements.
func (c *compiler) before(what string, hasHosts bool) {
	if hasHosts {
		c.problem("want the " + what + " before the virtualHosts")
	}
}

// Features are the features that this package supports, see [Config].Requires. There are none yet.
var Features []string

// readVersion reads the version. A number other than [Version] makes Compile fail with that problem alone: the rest of
// the document may be in another format.
func (c *compiler) readVersion() {
	before := len(c.problems)
	start := c.at
	c.readNumber(Version, Version)
	if raw := strings.TrimLeft(c.text[start:c.at], " \t\r\n"); len(c.problems) > before && raw != "" && raw[0] < 'A' && raw[0] != '"' {
		c.version = clip(raw)
	}
}

func (c *compiler) virtualHost() {
	h := virtualHost{first: c.table.rules.count}
	index := c.table.virtualHosts.count
	hasDomain := false
	var o object
	for c.member(&o) {
		switch o.key {
		case "name":
			h.name = c.readSpan()
		case "domains":
			var a array
			for c.element(&a) {
				hasDomain = true
				c.domain(c.readText(), index)
			}
		case "rules":
			var a array
			for c.element(&a) {
				c.rule(&h)
			}
		default:
			c.unknown()
		}
	}
	if !hasDomain {
		c.problem("domains is missing or empty")
	}
	h.count = c.table.rules.count - h.first
	c.table.virtualHosts.add(h)
}

// domain enters a domain into the index of hosts.
func (c *compiler) domain(domain string, host int32) {
	x := &c.table.hosts
	switch {
	case domain == "" || len(domain) > maxDomain:
		c.problem("want a domain of 1 to " + itoa(maxDomain) + " bytes, got " + strconv.Quote(clip(domain)))
		return
	case strings.ContainsFunc(domain, func(r rune) bool { return 'A' <= r && r <= 'Z' }):
		c.problem("want a domain in lower case, got " + strconv.Quote(domain))
		return
	case domain == "*":
		if x.any >= 0 {
			c.problem(`domain "*" occurs twice`)
		}
		x.any = host
		return
	}
	text, isSuffix := strings.CutPrefix(domain, "*")
	if !x.add(text, isSuffix, host) {
		c.problem("domain " + strconv.Quote(domain) + " occurs twice")
	}
}

func (c *compiler) rule(h *virtualHost) {
	u := rule{from: c.table.conditions.count, extra: -1}
	var name span
	never := false
	var x extra
	hasOutcome, hasSplit := false, false
	var o object
	for c.member(&o) {
		switch o.key {
		case "rule":
			name = c.readSpan()
		case "path":
			c.path(&u.path)
		case "headers":
			h.headers = true
			var a array
			for c.element(&a) {
				c.header()
			}
		case "query":
			h.query = true
			var a array
			for c.element(&a) {
				c.query()
			}
		case "outcome":
			hasOutcome = true
			u.outcome = c.outcome()
		case "split":
			hasSplit = true
			c.split(&x.split)
		case "fault":
			c.fault(&x.fault)
		case "never":
			never = c.readBool()
		default:
			c.unknown()
		}
	}
	if u.to = c.table.conditions.count; never {
		u.to = unmet
	}
	switch {
	case !hasOutcome && !hasSplit:
		c.problem("want an outcome or a split")
	case hasOutcome && hasSplit:
		c.problem("want either an outcome or a split, got both")
	case hasSplit || x.fault != fault{}:
		u.extra = c.table.extras.count
		c.table.extras.add(x)
	}
	c.table.rules.add(u)
	c.table.ruleNames.add(name)
}

func (c *compiler) outcome() span {
	before := len(c.problems)
	id := c.readSpan()
	if id.size == 0 && len(c.problems) == before {
		c.problem("an outcome has a non-empty id")
	}
	return id
}

func (c *compiler) split(s *split) {
	var sum uint64
	s.from = c.table.shares.count
	var a array
	for c.element(&a) {
		var id span
		var weight uint32
		var o object
		for c.member(&o) {
			switch o.key {
			case "outcome":
				id = c.outcome()
			case "weight":
				weight = c.readNumber(1, 1<<31-1)
			default:
				c.unknown()
			}
		}
		if id.size == 0 || weight == 0 {
			c.problem("a share has an outcome and a weight")
			continue
		}
		sum += uint64(weight)
		c.table.shares.add(share{id, uint32(min(sum, 1<<32-1))})
	}
	if s.to = c.table.shares.count; s.from == s.to {
		c.problem("a split has shares")
	} else if sum >= 1<<32 {
		c.problem("the weights add up to " + strconv.FormatUint(sum, 10) + ", more than 4294967295")
	}
}

func (c *compiler) path(p *comparison) {
	var o object
	for c.member(&o) {
		switch o.key {
		case "separated":
			c.kind(p, matchSeparated)
			p.value = c.readSpan()
		case "ignoreCase":
			p.ignoreCase = c.readBool()
		default:
			c.comparison(p, o.key)
		}
	}
	if p.kind == matchAny {
		c.problem("want one of exact, prefix, separated and regex")
	}
}

func (c *compiler) header() {
	var h condition
	name := ""
	var o object
	for c.member(&o) {
		switch o.key {
		case "name":
			name = strings.ToLower(c.readText())
		case "invert":
			h.invert = c.readBool()
		case "missingAsEmpty":
			h.missingAsEmpty = c.readBool()
		default:
			c.comparison(&h.comparison, o.key)
		}
	}
	if h.missingAsEmpty && h.kind == matchAny {
		c.problem("missingAsEmpty needs exact, prefix or regex")
	}
	c.condition(h, name, false)
}

func (c *compiler) query() {
	var q condition
	name := ""
	var o object
	for c.member(&o) {
		if o.key == "name" {
			name = c.readText()
		} else {
			c.comparison(&q.comparison, o.key)
		}
	}
	c.condition(q, name, true)
}

func (c *compiler) condition(q condition, name string, isQuery bool) {
	if name == "" {
		c.problem("name is missing")
	}
	q.subject = c.table.names.intern(name, isQuery)
	c.table.conditions.add(q)
}

// comparison reads the value of a key of [StringMatch].
func (c *compiler) comparison(s *comparison, key string) {
	switch key {
	case "exact":
		c.kind(s, matchExact)
	case "prefix":
		c.kind(s, matchPrefix)
	case "regex":
		c.kind(s, matchRegex)
	default:
		c.unknown()
		return
	}
	if s.kind != matchRegex {
		s.value = c.readSpan()
	} else if i := c.below(int(c.table.expressions.count), "regexes"); i >= 0 {
		s.value = span{uint32(i), 0}
	}
}

func (c *compiler) kind(s *comparison, k matchKind) {
	if s.kind != matchAny {
		c.problem("want only one of exact, prefix, separated and regex")
	}
	s.kind = k
}

// below reads an index into a list of count elements. It returns -1 if the value is not a valid index; what is the name
// of the list for the message.
func (c *compiler) below(count int, what string) int {
	if count == 0 {
		c.skip()
		c.problem("there are no " + what)
		return -1
	}
	before := len(c.problems)
	i := c.readNumber(0, uint32(count-1))
	if len(c.problems) > before {
		return -1
	}
	return int(i)
}

func (c *compiler) fault(f *fault) {
	var o object
	for c.member(&o) {
		switch o.key {
		case "delay":
			c.delay(f)
		case "abort":
			c.abort(f)
		default:
			c.unknown()
		}
	}
}

func (c *compiler) delay(f *fault) {
	var o object
	for c.member(&o) {
		switch o.key {
		case "ms":
			f.delay = c.readNumber(1, 1<<32-1)
		case "perMillion":
			f.delayPerMillion = c.readNumber(0, million)
		default:
			c.unknown()
		}
	}
	if f.delay == 0 {
		c.problem("ms is missing")
	}
}

func (c *compiler) abort(f *fault) {
	kinds := 0
	var o object
	for c.member(&o) {
		switch o.key {
		case "httpStatus":
			kinds++
			f.abortStatus = c.readNumber(200, 600)
		case "grpcStatus":
			kinds++
			f.abortStatus, f.abortGRPC = c.readNumber(0, 16), true
		case "perMillion":
			f.abortPerMillion = c.readNumber(0, million)
		default:
			c.unknown()
		}
	}
	if kinds != 1 {
		c.problem("want one of httpStatus and grpcStatus")
	}
}

// fileRules builds the index of every virtual host.
func (c *compiler) fileRules() {
	n := int(c.table.rules.count)
	c.table.index.buckets = make([]bucket, 0, c.table.virtualHosts.count) // one each at least
	c.table.index.entries = make([]entry, 0, c.table.virtualHosts.count)
	bits := uint8(6)
	for 2<<bits < 3*n {
		bits++
	}
	c.table.index.table = newSlots(bits)
	x := indexer{t: c.table}
	var rules []pending
	for i := range c.table.virtualHosts.count {
		h := c.table.virtualHosts.at(i)
		rules = withRoom(rules, int(h.count))
		for n := range h.count {
			if c.table.rules.at(h.first+n).to != unmet {
				rules = append(rules, pending{entry: entry{rule: h.first + n}})
			}
		}
		h.root = x.bucket(rules, 0)
	}
}
