package validate

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
)

// reach covers VAL-W: rules and matches that no request reaches, as far as Istio's analysis finds them. A rule without
// match takes every request, a second equal match is not reached, and a prefix covers longer prefixes. Three mistakes
// of Istio's analysis are reproduced:
//
//	prefix: /      then   prefix: /a, method: POST     not reported: a match without a method counts as GET
//	prefix: /      then   prefix: /a, headers: ...     not reported: both must have conditions on the same headers
//	prefix: / for one gateway, prefix: /a for another  reported, though it is reached: gateways are not compared
func (v *validator) reach(s *istio.VirtualService) {
	earlier := map[string][]*prefixMatch{} // by prefix
	var lengths []int                      // of these prefixes, sorted
	compared := 0
	v.repeated("spec.http", matchKeys(s.Http, matchKey), func(rule, match int) {
		later := newPrefixMatch(s.Http[rule].Match[match])
		if later == nil {
			return
		}
		later.rule, later.match = rule, match
		for _, n := range lengths {
			if n >= len(later.prefix) {
				break // only a shorter prefix can cover it
			}
			for _, p := range earlier[later.prefix[:n]] {
				if compared++; compared > maxCompared {
					break
				}
				if p.covers(later) {
					v.warn("VAL-W-05", matchField("spec.http", rule, match), "prefix %q is not reached: %s has %q, which covers it",
						later.prefix, matchField("http", p.rule, p.match), p.prefix)
				}
			}
		}
		earlier[later.prefix] = append(earlier[later.prefix], later)
		if at, known := slices.BinarySearch(lengths, len(later.prefix)); !known {
			lengths = slices.Insert(lengths, at, len(later.prefix))
		}
	})
	if compared > maxCompared {
		v.findings.Add(diag.Notice, "", v.object, "spec.http", "there are too many matches to compare all of them: some prefixes that are not reached are not reported")
	}
	v.repeated("spec.tls", matchKeys(s.Tls, asJSON[*istio.TLSMatchAttributes]), nil)
	v.repeated("spec.tcp", matchKeys(s.Tcp, asJSON[*istio.L4MatchAttributes]), nil)
}

// maxCompared bounds the pairs of matches of one VirtualService that are compared, which takes about a second.
// Thousands of rules with one prefix and different conditions reach it.
const maxCompared = 50_000_000

// ruleMatches has a text for each match of a rule; the texts of two matches are equal where the matches are.
type ruleMatches []string

func matchKeys[R interface{ GetMatch() []M }, M any](rules []R, key func(M) string) []ruleMatches {
	out := make([]ruleMatches, len(rules))
	for i, r := range rules {
		for _, m := range r.GetMatch() {
			out[i] = append(out[i], key(m))
		}
	}
	return out
}

func matchField(list string, rule, match int) string {
	return list + "[" + strconv.Itoa(rule) + "].match[" + strconv.Itoa(match) + "]"
}

// repeated covers VAL-W-01 to VAL-W-04 for the list of rules at a field. It calls reached, unless that is nil, for each
// match that is not reported.
func (v *validator) repeated(list string, rules []ruleMatches, reached func(rule, match int)) {
	catchAll := -1
	first := map[string]int{}
	for i, r := range rules {
		at := list + "[" + strconv.Itoa(i) + "]"
		if len(r) == 0 {
			if catchAll >= 0 {
				v.warn("VAL-W-01", at, "is not reached: rule %d has no match either, and takes every request", catchAll)
			}
			catchAll = i
			continue
		}
		repeats := 0
		for j, key := range r {
			if catchAll >= 0 {
				v.warn("VAL-W-02", matchField(list, i, j), "is not reached: rule %d has no match, and takes every request", catchAll)
				continue
			}
			if earlier, ok := first[key]; ok {
				v.warn("VAL-W-03", matchField(list, i, j), "is not reached: rule %d has the same match", earlier)
				repeats++
				continue
			}
			first[key] = i
			if reached != nil {
				reached(i, j)
			}
		}
		if repeats == len(r) {
			v.warn("VAL-W-04", at, "is not reached: earlier rules have all its matches")
		}
	}
}

// matchKey is the text by which http matches are compared: their names do not count.
func matchKey(m *istio.HTTPMatchRequest) string {
	if m.Name == "" {
		return asJSON(m)
	}
	nameless := &istio.HTTPMatchRequest{}
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		nameless.ProtoReflect().Set(f, value)
		return true
	})
	nameless.Name = ""
	return asJSON(nameless)
}

// asJSON is the text by which Istio compares matches: JSON, or the error where a match cannot be written as JSON.
func asJSON[M proto.Message](m M) string {
	text, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// prefixMatch is a match with a path prefix, in the form in which such matches are compared.
type prefixMatch struct {
	rule, match            int
	prefix                 string
	port                   uint32
	method, authority      string
	headers, query, absent map[string]string
}

// newPrefixMatch returns the compared form of a match; nil for a match without a path prefix, or with an empty one.
func newPrefixMatch(m *istio.HTTPMatchRequest) *prefixMatch {
	if m.GetUri().GetPrefix() == "" {
		return nil
	}
	p := &prefixMatch{
		prefix: m.Uri.GetPrefix(), port: m.Port, method: matchText(m.Method), authority: matchText(m.Authority),
		headers: matchTexts(m.Headers), query: matchTexts(m.QueryParams), absent: matchTexts(m.WithoutHeaders),
	}
	if p.method == "" {
		p.method = "exact:GET"
	}
	return p
}

// matchText is the compared form of a condition; "" for a regular expression, and for no condition.
func matchText(s *istio.StringMatch) string {
	if exact := s.GetExact(); exact != "" {
		return "exact:" + exact
	}
	if prefix := s.GetPrefix(); prefix != "" {
		return "prefix:" + prefix
	}
	return ""
}

func matchTexts(conditions map[string]*istio.StringMatch) map[string]string {
	out := make(map[string]string, len(conditions))
	for name, s := range conditions {
		out[name] = matchText(s)
	}
	return out
}

// covers reports whether an earlier match p takes all requests of a later one, by Istio's comparison. Istio compares
// the texts of conditions other than the path the wrong way round: the later text must be a prefix of the earlier one.
func (p *prefixMatch) covers(later *prefixMatch) bool {
	return strings.HasPrefix(later.prefix, p.prefix) && p.port == later.port &&
		strings.HasPrefix(p.method, later.method) && strings.HasPrefix(p.authority, later.authority) &&
		coversAll(p.headers, later.headers) && coversAll(p.query, later.query) && coversAll(p.absent, later.absent)
}

func coversAll(earlier, later map[string]string) bool {
	if len(earlier) != len(later) {
		return false
	}
	for name, text := range earlier {
		if other, ok := later[name]; !ok || !strings.HasPrefix(text, other) {
			return false
		}
	}
	return true
}
