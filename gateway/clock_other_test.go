//go:build !linux

package gateway_test

import "time"

var begin = time.Now()

// threadTime is wall-clock time where a system has no clock of a thread that Go knows.
func threadTime() time.Duration { return time.Since(begin) }
