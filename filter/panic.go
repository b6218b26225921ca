package filter

// PanicText returns the message of a recovered panic. It does without fmt, which is not linked into the module.
func PanicText(r any) string {
	switch v := r.(type) {
	case error:
		return v.Error()
	case string:
		return v
	default:
		return "a value of an unknown type"
	}
}
