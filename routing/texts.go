package routing

// texts is the memory of all texts of a Table: the configuration itself, and decoded copies of what cannot be used as
// it is written there, such as strings with escapes and compact automata.
type texts struct {
	config  string
	changed string
}

// span is a part of texts, in bytes. Offsets beyond the end of config continue in changed.
type span struct{ at, size uint32 }

// of returns the text of a span.
//
// In range: the reader makes spans of texts that it has read or decoded.
func (t *texts) of(s span) string {
	if int(s.at) < len(t.config) {
		return t.config[s.at : s.at+s.size]
	}
	at := int(s.at) - len(t.config)
	return t.changed[at : at+int(s.size)]
}
