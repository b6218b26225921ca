package translate

// SetBounds changes how many rules and endpoints a set may come to, until restore is called.
func SetBounds(n int) (restore func()) {
	rules, endpoints := maxRules, maxEndpoints
	maxRules, maxEndpoints = n, n
	return func() { maxRules, maxEndpoints = rules, endpoints }
}

// Bounds are how many rules and endpoints a set may come to.
func Bounds() (rules, endpoints int) { return maxRules, maxEndpoints }
