//go:build !linux

package listening

import "errors"

// Deafen returns [errors.ErrUnsupported], since this system has no such filters: connections that are not accepted yet
// are reset when the socket is closed.
func Deafen(int) error { return errors.ErrUnsupported }
