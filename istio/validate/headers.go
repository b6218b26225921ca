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

func (v *validator) headers(nameCode, valueCode, field string, h *istio.Headers) {
	request, response := h.GetRequest(), h.GetResponse()
	v.operations(nameCode, valueCode, field+".request.set", request.GetSet(), true)
	v.operations(nameCode, valueCode, field+".request.add", request.GetAdd(), true)
	v.removals(nameCode, field+".request.remove", request.GetRemove())
	v.operations(nameCode, valueCode, field+".response.set", response.GetSet(), false)
	v.operations(nameCode, valueCode, field+".response.add", response.GetAdd(), false)
	v.removals(nameCode, field+".response.remove", response.GetRemove())
}

// operations may set the authority of a request, and no other name that is not a header's.
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

// connectionHeaders belong to one connection. Envoy passes them on as they were set.
var connectionHeaders = []string{"connection", "keep-alive", "proxy-connection", "upgrade"}

// writable covers VAL-X-01.
func (v *validator) writable(field, text string, place effect.Place) {
	if err := effect.CheckWritable(text, place); err != nil {
		v.refuse("VAL-X-01", field, "%q: %s", text, err)
	}
}

// writableIf is writable for a text that need not be there.
func (v *validator) writableIf(field, text string, place effect.Place) {
	if text != "" {
		v.writable(field, text, place)
	}
}

// format covers VAL-X-02.
func (v *validator) format(field, value string) {
	switch err, everywhere := effect.CheckFormats(value); {
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

// authorities finds the second way to set the authority (VAL-H-14). An empty value counts only as a second way.
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

// checkHeaderValue refuses control characters, and percent signs that neither stand for themselves nor enclose an
// operator.
func checkHeaderValue(value string) error {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return errors.New("a value holds no control characters")
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
			return errors.New("a percent sign is written %%, or encloses an operator such as %REQ(name)%")
		}
		rest = after[end:]
	}
}

// operatorEnd is where the operator ends that begins a text, behind its second percent sign; -1 where it does not end as
// Istio wants it to. Istio reads the arguments with an old grammar of Envoy's: in parentheses stands either one argument
// or a JSON list of strings, and behind them nothing but blanks.
//
//	START_TIME%          yes
//	REQ(x-a?:path)%      yes
//	PER_REQUEST(["a"])%  yes
//	REQ(a                no: neither parenthesis nor percent sign follow
//	REQ(a):10%           no: something stands between the parenthesis and the percent sign
//	REQ()%               no: the parenthesis is taken for the argument
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
	i++ // the first byte of the argument stands for itself, or is the quote
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

// afterQuote goes on behind the end of a string: into the next string of the list, or to the parenthesis behind the
// list.
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
