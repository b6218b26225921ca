package diag

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Place is a place in a user's file. The zero value is for what is not in a file.
type Place struct {
	File         string
	Line, Column int // from 1; 0 where unknown
}

// String is file:line:column, without the parts that are not known.
func (p Place) String() string {
	switch {
	case p.File == "" || p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Printable returns a text in a form that is safe in a line of a log or a message: if it has characters that are not
// printable, they are escaped as in a Go string literal, and so are backslashes; other texts are returned as they are.
func Printable(s string) string {
	plain := utf8.ValidString(s)
	for _, r := range s {
		plain = plain && unicode.IsPrint(r)
	}
	if plain {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
