//go:build !linux

package listening

import "errors"

// Deafen has no filter to attach: connections that nobody has accepted yet are reset when the socket is closed.
func Deafen(int) error { return errors.ErrUnsupported }
