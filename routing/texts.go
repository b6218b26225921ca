package routing

// texts holds all texts of a Table: the configuration itself, and beside it what had to be changed, such as a string with
// escapes.
type texts struct {
	config  string
	changed string
}

// span is a piece of texts. Places from the end of config on are of changed.
type span struct{ at, size uint32 }

func (t *texts) of(s span) string {
	if int(s.at) < len(t.config) {
		return t.config[s.at : s.at+s.size]
	}
	at := int(s.at) - len(t.config)
	return t.changed[at : at+int(s.size)]
}
