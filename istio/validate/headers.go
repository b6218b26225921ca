package validate

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/names"
)

// headers checks header operations. nameCode is for names (VAL-H-12, VAL-H-41), valueCode for values (VAL-H-13,
// VAL-H-41).
func (v *validator) headers(nameCode, valueCode, field string, h *istio.Headers) {
	if h == nil {
		return
	}
	request, response := h.GetRequest(), h.GetResponse()
	v.operations(nameCode, valueCode, field+".request.set", request.GetSet(), true)
	v.operations(nameCode, valueCode, field+".request.add", request.GetAdd(), true)
	v.removals(nameCode, field+".request.remove", request.GetRemove())
	v.operations(nameCode, valueCode, field+".response.set", response.GetSet(), false)
	v.operations(nameCode, valueCode, field+".response.add", response.GetAdd(), false)
	v.removals(nameCode, field+".response.remove", response.GetRemove())
}

// operations checks the headers that are set or added. Pseudo-headers and Host are refused, except the authority where
// authority is true: for requests.
func (v *validator) operations(nameCode, valueCode, field string, values map[string]string, authority bool) {
	for name, value := range values {
		at := diag.KeyField(field, name)
		switch {
		case name == "":
			v.refuse(nameCode, at, "the name of a header cannot be empty")
		case names.IsInternalHeader(name) && (!authority || !isAuthority(name)):
			v.refuse(nameCode, at, "%q cannot be changed", name)
		}
		if err := checkHeaderValue(value); err != nil {
			v.refuse(valueCode, at, "%q: %s", value, err)
		} else {
			v.format(at, value)
		}
		if name != "" && !names.IsInternalHeader(name) {
			v.writable(at, name, effect.HeaderName)
		}
		if slices.ContainsFunc(connectionHeaders, func(h string) bool { return strings.EqualFold(h, name) }) {
			v.warn("VAL-X-04", at, "%q belongs to one connection; over HTTP/2 a request with it fails", name)
		}
	}
}

// connectionHeaders apply to a single connection, yet Envoy forwards them if a rule sets them (VAL-X-04).
var connectionHeaders = []string{"connection", "keep-alive", "proxy-connection", "upgrade"}

// writable covers VAL-X-01.
func (v *validator) writable(field, text string, place effect.Place) {
	if err := effect.CheckWritable(text, place); err != nil {
		v.refuse("VAL-X-01", field, "%q: %s", text, err)
	}
}

// writableIf is writable for a text that may be "".
func (v *validator) writableIf(field, text string, place effect.Place) {
	if text != "" {
		v.writable(field, text, place)
	}
}

// format covers VAL-X-02.
func (v *validator) format(field, value string) {
	switch err, everywhere := effect.CheckFormats(value, v.Envoys); {
	case err == nil:
	case everywhere:
		v.refuse("VAL-X-02", field, "%s", err)
	default:
		v.warn("VAL-X-02", field, "%s", err)
	}
}

func (v *validator) removals(code, field string, list []string) {
	for i, name := range list {
		at := field + "[" + strconv.Itoa(i) + "]"
		switch {
		case name == "":
			v.refuse(code, at, "the name of a header cannot be empty")
		case names.IsInternalHeader(name):
			v.refuse(code, at, "%q cannot be removed", name)
		}
	}
}

// authorities covers VAL-H-14: the authority set in more than one place, in the order rewrite, set, add. As in Istio,
// an empty value in an earlier place does not count, in a later one it does.
func (v *validator) authorities(field string, h *istio.HTTPRoute) {
	current := h.GetRewrite().GetAuthority()
	for _, values := range []map[string]string{h.GetHeaders().GetRequest().GetSet(), h.GetHeaders().GetRequest().GetAdd()} {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if !isAuthority(name) {
				continue
			}
			if current != "" {
				v.refuse("VAL-H-14", field, "the authority is set to %q, and again to %q", current, values[name])
				return
			}
			current = values[name]
		}
	}
}

func isAuthority(name string) bool {
	return strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority")
}

// checkHeaderValue refuses control characters, and percent signs that are neither doubled (%%) nor enclose an operator.
func checkHeaderValue(value string) error {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return errors.New("a value cannot have control characters")
		}
	}
	for rest := value; ; {
		_, after, ok := strings.Cut(rest, "%")
		if !ok {
			return nil
		}
		if strings.HasPrefix(after, "%") {
			rest = after[1:]
			continue
		}
		end := operatorEnd(after)
		if end < 0 {
			return errors.New("a percent sign must be written %%, or enclose an operator such as %REQ(name)%")
		}
		rest = after[end:]
	}
}

// operatorEnd returns the index after the operator at the beginning of s, which follows a percent sign and ends with
// one; -1 where Istio does not accept the operator. Istio uses an old grammar of Envoy: parentheses enclose either one
// argument or a JSON list of strings, and only blanks may follow them.
//
//	START_TIME%          accepted
//	REQ(x-a?:path)%      accepted
//	PER_REQUEST(["a"])%  accepted
//	REQ(a                refused: the parenthesis and the percent sign are missing
//	REQ(a):10%           refused: there is a text between the parenthesis and the percent sign
//	REQ()%               refused: the closing parenthesis is read as the argument
func operatorEnd(s string) int {
	i := strings.IndexAny(s, "(%")
	if i < 0 {
		return -1
	}
	if s[i] == '%' {
		return i + 1
	}
	i = skipBlanks(s, i+1)
	if i < len(s) && s[i] == '[' {
		if i = skipBlanks(s, i+1); i == len(s) || s[i] != '"' {
			return -1
		}
	}
	i++ // the first byte of the argument is never special, or it is the quote of a list
	for i < len(s) {
		switch s[i] {
		case '\\':
			i += 2
		case ')':
			if i = skipBlanks(s, i+1); i < len(s) && s[i] == '%' {
				return i + 1
			}
			return -1
		case '"':
			if i = afterQuote(s, skipBlanks(s, i+1)); i < 0 {
				return -1
			}
		default:
			i++
		}
	}
	return -1
}

// afterQuote returns the index at which reading goes on after a string of a list, i being the index after its quote:
// the next string of the list, or the parenthesis after the list; -1 where neither follows.
func afterQuote(s string, i int) int {
	switch {
	case i == len(s):
		return -1
	case s[i] == ',':
		if i = skipBlanks(s, i+1); i < len(s) && s[i] == '"' {
			return i + 1
		}
		return -1
	case s[i] == ']':
		if i = skipBlanks(s, i+1); i < len(s) && s[i] == ')' {
			return i
		}
		return -1
	default:
		return -1
	}
}

func skipBlanks(s string, i int) int {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	return i
}
