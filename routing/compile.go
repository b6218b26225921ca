package routing

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Compile reads a plugin configuration (the JSON of [Config]) into a Table. It is strict: unknown fields, duplicate
// keys, wrong types, values out of range, trailing bytes, another version and nesting deeper than needed are refused,
// every problem at once, in a [*ConfigError]. It never panics, and the same bytes always give the same Table.
//
// Decoding and compiling are one walk: a listener's configuration is read on a worker's thread, where a second form of
// 10,000 rules would cost memory that linear memory never gives back.
func Compile(config []byte) (*Table, error) {
	if tooDeep(config) {
		return nil, refused("nested deeper than " + itoa(maxDepth) + " levels")
	}
	if !gjson.ValidBytes(config) {
		return nil, refused("not a JSON document")
	}
	doc := gjson.ParseBytes(config)
	if v := doc.Get("version"); v.Type == gjson.Number && v.Num != Version {
		return nil, refused("version: this filter reads version " + itoa(Version) + ", got " + clip(v.Raw))
	}
	c := compiler{table: &Table{hosts: hostIndex{exact: map[string]int32{}, any: -1}}}
	c.config(doc)
	if len(c.problems) > 0 {
		return nil, &ConfigError{c.problems}
	}
	slices.SortFunc(c.table.hosts.suffixes, func(a, b suffixDomains) int { return b.length - a.length })
	return c.table, nil
}

func refused(message string) error { return &ConfigError{[]Problem{{Message: message}}} }

// compiler builds a table while it reads.
type compiler struct {
	decoder
	table   *Table
	regexes []*Program
}

func (c *compiler) config(v gjson.Result) {
	hasVersion, hasHosts := false, false
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "version":
			hasVersion = true
			c.number(v, Version, Version)
		case "name":
			c.table.name = c.text(v)
		case "repeatedHeaders":
			switch s := c.text(v); s {
			case RepeatedHeadersEach:
			case RepeatedHeadersJoined:
				c.table.joined = true
			default:
				c.problem("want each or joined, got " + strconv.Quote(clip(s)))
			}
		case "regexes":
			if hasHosts {
				c.problem("want the regexes before the virtualHosts")
			}
			c.array(v, c.regex)
		case "virtualHosts":
			hasHosts = true
			c.array(v, c.virtualHost)
		default:
			return false
		}
		return true
	})
	if !hasVersion {
		c.problem("version is missing")
	}
	if !hasHosts {
		c.problem("virtualHosts is missing")
	}
}

func (c *compiler) virtualHost(v gjson.Result) {
	var h virtualHost
	index := int32(len(c.table.virtualHosts))
	hasDomain := false
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "name":
			h.name = c.text(v)
		case "domains":
			c.array(v, func(v gjson.Result) {
				hasDomain = true
				c.domain(c.text(v), index)
			})
		case "rules":
			c.array(v, func(v gjson.Result) { h.rules = append(h.rules, c.rule(v)) })
		default:
			return false
		}
		return true
	})
	if !hasDomain {
		c.problem("domains is missing or empty")
	}
	c.table.virtualHosts = append(c.table.virtualHosts, h)
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
	hosts := x.exact
	if suffix, ok := strings.CutPrefix(domain, "*"); ok {
		hosts = x.suffixesOf(len(suffix))
		domain = suffix
	}
	if _, twice := hosts[domain]; twice {
		c.problem("domain " + strconv.Quote(domain) + " occurs twice")
	}
	hosts[domain] = host
}

// suffixesOf returns the map for the suffixes of a length.
func (x *hostIndex) suffixesOf(length int) map[string]int32 {
	for _, s := range x.suffixes {
		if s.length == length {
			return s.hosts
		}
	}
	hosts := map[string]int32{}
	x.suffixes = append(x.suffixes, suffixDomains{length, hosts})
	return hosts
}

func (c *compiler) rule(v gjson.Result) rule {
	var u rule
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "rule":
			u.name = c.text(v)
		case "path":
			u.path = c.path(v)
		case "headers":
			c.array(v, func(v gjson.Result) { u.headers = append(u.headers, c.header(v)) })
		case "query":
			c.array(v, func(v gjson.Result) { u.query = append(u.query, c.query(v)) })
		case "outcome":
			u.outcomes.ids = append(u.outcomes.ids, c.outcome(v))
		case "split":
			c.split(v, &u.outcomes)
		case "fault":
			u.fault = c.fault(v)
		case "never":
			u.never = c.boolean(v)
		default:
			return false
		}
		return true
	})
	if len(u.outcomes.ids) == 0 {
		c.problem("want an outcome or a split")
	} else if len(u.outcomes.ends) > 0 && len(u.outcomes.ids) != len(u.outcomes.ends) {
		c.problem("want either an outcome or a split, got both")
	}
	return u
}

func (c *compiler) outcome(v gjson.Result) string {
	id := c.text(v)
	if id == "" && v.Type == gjson.String {
		c.problem("an outcome has a non-empty id")
	}
	return id
}

func (c *compiler) split(v gjson.Result, s *split) {
	var sum uint64
	c.array(v, func(v gjson.Result) {
		var id string
		var weight uint32
		c.object(v, func(key string, v gjson.Result) bool {
			switch key {
			case "outcome":
				id = c.outcome(v)
			case "weight":
				weight = c.number(v, 1, 1<<31-1)
			default:
				return false
			}
			return true
		})
		if id == "" || weight == 0 {
			c.problem("a share has an outcome and a weight")
			return
		}
		sum += uint64(weight)
		s.ids = append(s.ids, id)
		s.ends = append(s.ends, uint32(min(sum, 1<<32-1)))
	})
	if sum >= 1<<32 {
		c.problem("the weights add up to " + strconv.FormatUint(sum, 10) + ", more than 4294967295")
	}
}

func (c *compiler) path(v gjson.Result) pathCondition {
	var p pathCondition
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "separated":
			c.kind(&p.stringCondition, matchSeparated)
			p.value = c.text(v)
		case "ignoreCase":
			p.ignoreCase = c.boolean(v)
		default:
			return c.stringMatch(&p.stringCondition, key, v)
		}
		return true
	})
	if p.kind == matchAny {
		c.problem("want one of exact, prefix, separated and regex")
	}
	return p
}

func (c *compiler) header(v gjson.Result) headerCondition {
	var h headerCondition
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "name":
			h.name = strings.ToLower(c.text(v))
		case "invert":
			h.invert = c.boolean(v)
		case "missingAsEmpty":
			h.missingAsEmpty = c.boolean(v)
		default:
			return c.stringMatch(&h.stringCondition, key, v)
		}
		return true
	})
	if h.name == "" {
		c.problem("name is missing")
	}
	if h.missingAsEmpty && h.kind == matchAny {
		c.problem("missingAsEmpty needs exact, prefix or regex")
	}
	h.pseudo = pseudoOf(h.name)
	return h
}

func (c *compiler) query(v gjson.Result) queryCondition {
	var q queryCondition
	c.object(v, func(key string, v gjson.Result) bool {
		if key == "name" {
			q.name = c.text(v)
			return true
		}
		return c.stringMatch(&q.stringCondition, key, v)
	})
	if q.name == "" {
		c.problem("name is missing")
	}
	return q
}

// stringMatch reads one of the keys of [StringMatch]; false says that key is none of them.
func (c *compiler) stringMatch(s *stringCondition, key string, v gjson.Result) bool {
	switch key {
	case "exact":
		c.kind(s, matchExact)
	case "prefix":
		c.kind(s, matchPrefix)
	case "regex":
		c.kind(s, matchRegex)
	default:
		return false
	}
	if s.kind != matchRegex {
		s.value = c.text(v)
	} else if len(c.regexes) == 0 {
		c.problem("there are no regexes")
	} else {
		s.regex = c.regexes[c.number(v, 0, uint32(len(c.regexes)-1))]
	}
	return true
}

func (c *compiler) kind(s *stringCondition, k matchKind) {
	if s.kind != matchAny {
		c.problem("want only one of exact, prefix, separated and regex")
	}
	s.kind = k
}

func (c *compiler) regex(v gjson.Result) {
	var p *Program
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "pattern":
			c.text(v)
		case "program":
			b, ok := decodeBase64(c.text(v))
			if ok {
				p, ok = unmarshalProgram(b)
			}
			if !ok {
				c.problem("is not a compiled regular expression")
			}
		default:
			return false
		}
		return true
	})
	if p == nil {
		c.problem("program is missing")
	}
	c.regexes = append(c.regexes, p)
}

func (c *compiler) fault(v gjson.Result) fault {
	var f fault
	c.object(v, func(key string, v gjson.Result) bool {
		switch key {
		case "delay":
			c.object(v, func(key string, v gjson.Result) bool {
				switch key {
				case "ms":
					f.delay = c.number(v, 1, 1<<32-1)
				case "perMillion":
					f.delayPerMillion = c.number(v, 0, million)
				default:
					return false
				}
				return true
			})
			if f.delay == 0 {
				c.problem("delay: ms is missing")
			}
		case "abort":
			kinds := 0
			c.object(v, func(key string, v gjson.Result) bool {
				switch key {
				case "httpStatus":
					kinds++
					f.abortStatus = c.number(v, 200, 600)
				case "grpcStatus":
					kinds++
					f.abortStatus, f.abortGRPC = c.number(v, 0, 16), true
				case "perMillion":
					f.abortPerMillion = c.number(v, 0, million)
				default:
					return false
				}
				return true
			})
			if kinds != 1 {
				c.problem("abort: want one of httpStatus and grpcStatus")
			}
		default:
			return false
		}
		return true
	})
	return f
}
