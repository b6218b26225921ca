// Package markdown finds the fenced blocks of documents.
package markdown

import "strings"

// Block is one fenced block of a document.
type Block struct {
	Kind  string
	Line  int // of the fence, from 1
	Lines []string
}

// Blocks are the blocks of a text, in its order.
func Blocks(text string) []Block {
	var out []Block
	var open *Block
	for i, line := range strings.Split(text, "\n") {
		kind, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &Block{Kind: kind, Line: i + 1}
		case fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.Lines = append(open.Lines, line)
		}
	}
	return out
}
