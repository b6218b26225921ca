package diag

import (
	"fmt"
	"strings"
)

// KeyField appends a map key to a field: headers.x. A key that is empty, or has dots, brackets or quotes, is quoted:
// headers["x.y"].
func KeyField(field, key string) string {
	switch {
	case strings.ContainsAny(key, ".[]\"") || key == "":
		return fmt.Sprintf("%s[%q]", field, key)
	case field == "":
		return key
	default:
		return field + "." + key
	}
}
