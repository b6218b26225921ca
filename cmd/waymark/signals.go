package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// atOnce is how long what the second signal ends may take.
const atOnce = 3 * time.Second

// untilSignals returns a context that ends with the first signal that asks for an end, and one that ends with the second.
// Whatever hangs then does not keep the process.
//
// A signal that is ignored from the start, as nohup does with SIGHUP, stays ignored. A reader of the output that goes away
// does not end the service.
func untilSignals(ctx context.Context) (first, second context.Context) {
	first, endFirst := context.WithCancel(ctx)
	second, endSecond := context.WithCancel(ctx)
	signal.Ignore(syscall.SIGPIPE)
	got := make(chan os.Signal, 2)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			signal.Notify(got, s)
		}
	}
	go func() {
		<-got
		endFirst()
		<-got
		endSecond()
		time.Sleep(atOnce)
		os.Exit(exitUnexpected) // something hangs; Envoy goes with its parent
	}()
	return first, second
}
