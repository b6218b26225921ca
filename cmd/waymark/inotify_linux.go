package main

import (
	"errors"
	"fmt"
	"syscall"
)

// enoughWatches makes sure that Envoy gets as many more instances of inotify as it needs: one that gets too few ends at
// once, in the middle of its work. The limit is one of the user, so what others have left of it is found by taking them.
func enoughWatches(n int) error {
	return takeWatches(n, func() (int, error) { return syscall.InotifyInit1(syscall.IN_CLOEXEC) })
}

func takeWatches(n int, take func() (int, error)) error {
	var taken []int
	defer func() {
		for _, fd := range taken {
			_ = syscall.Close(fd) // nothing was written
		}
	}()
	for len(taken) < n {
		fd, err := take()
		if errors.Is(err, syscall.EMFILE) {
			return &exitError{exitBadInput, fmt.Errorf("envoy needs %d more instances of inotify for the files of routes, filters and certificates, "+
				"and fs.inotify.max_user_instances leaves this user %d; raise it with 'sysctl fs.inotify.max_user_instances=NUMBER', end other programs that watch files, or serve over xDS ('waymark serve'), which needs no files", n, len(taken))}
		}
		if err != nil {
			return fmt.Errorf("inotify: %w", err)
		}
		taken = append(taken, fd)
	}
	return nil
}
