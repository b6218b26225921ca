package names

// Selects reports whether labels include all labels of a selector, with the same values. An empty selector selects all.
func Selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
