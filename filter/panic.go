package filter

// PanicText is what a recovered panic says, without fmt.
func PanicText(r any) string {
	switch v := r.(type) {
	case error:
		return v.Error()
	case string:
		return v
	default:
		return "of an unknown kind"
	}
}
