// Command mutants breaks the code on purpose, in one place at a time, and wants that a quick test turns red each time. What
// stays green is a test that is missing.
//
// A mutant is a file with one text in it replaced. It is compiled by an overlay of the go command, so nothing in the tree is
// changed. The mutants of the table are the mistakes that matter: each would send a request to the wrong place, take a
// configuration away that is still used, or give up a bound. With -sample, others are made of any conditions and statements,
// to look for what the table forgot; some of those change nothing that can be seen, so they are for people to judge.
//
//	go run ./build/mutants                          those of the table
//	go run ./build/mutants -only routing/           those whose file or name holds a text
//	go run ./build/mutants -sample 20 plan routing  twenty others in each of some packages
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// scratch is a folder of this process, in which changed files are written.
var scratch string

// mutant is one mistake.
type mutant struct {
	what string // the mistake, as a sentence
	file string
	// from occurs in the file once, and to takes its place.
	from, to string
	// tests are the packages that have to notice; none: the package of the file.
	tests []string
}

// verdict is what tests say about a mutant.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	invalid  verdict = "does not compile"
	stale    verdict = "STALE: the text is not in the file, or more than once"
)

func main() {
	only := flag.String("only", "", "only mutants whose file or sentence holds this text")
	sample := flag.Int("sample", 0, "make so many mutants in each of the packages that are named, in place of the table's")
	seed := flag.Uint64("seed", 1, "what -sample chooses by")
	flag.Parse()
	list := table
	if *sample > 0 {
		var err error
		if list, err = sampled(flag.Args(), *sample, *seed); err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(1)
		}
	}
	counts, err := judge(list, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if counts[survived]+counts[stale] > 0 || *sample == 0 && counts[invalid] > 0 {
		os.Exit(1)
	}
}

// judge prints what becomes of each mutant whose file or sentence holds a text.
func judge(list []mutant, only string) (counts map[verdict]int, err error) {
	if scratch, err = os.MkdirTemp("", "waymark-mutants-"); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // nothing of it is needed
	counts = map[verdict]int{}
	begun := time.Now()
	for i := range list {
		m := &list[i]
		if !strings.Contains(m.file+" "+m.what, only) {
			continue
		}
		v, noticed, err := m.judge()
		if err != nil {
			return nil, err
		}
		counts[v]++
		fmt.Printf("%-9s %s: %s%s\n", v, m.file, m.what, noticed)
	}
	fmt.Printf("%d killed, %d survived, %d stale, %d do not compile, in %s\n", counts[killed], counts[survived], counts[stale], counts[invalid], time.Since(begun).Round(time.Second))
	return counts, nil
}

// judge runs the tests that have to notice a mutant, and says by which it was noticed.
func (m *mutant) judge() (v verdict, noticed string, err error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", "", err
	}
	if strings.Count(string(source), m.from) != 1 {
		return stale, "", nil
	}
	overlay, err := m.write(strings.Replace(string(source), m.from, m.to, 1))
	if err != nil {
		return "", "", err
	}
	packages := m.tests
	if len(packages) == 0 {
		packages = []string{filepath.Dir(m.file)}
	}
	for _, p := range packages {
		out, failed, err := test(overlay, p)
		switch {
		case err != nil:
			return "", "", err
		case failed && strings.Contains(out, "[build failed]"):
			return invalid, "", nil
		case failed:
			return killed, " (" + p + ": " + firstFailure(out) + ")", nil
		}
	}
	return survived, "", nil
}

// write writes the changed file, and the overlay that puts it in place.
func (m *mutant) write(text string) (overlay string, err error) {
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(scratch, "changed.go")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(changed, []byte(text), 0o644); err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, list, 0o644)
}

// testTimeout is what the quick tests of a package may take: a mutant can make a loop endless.
const testTimeout = time.Minute

func test(overlay, pkg string) (out string, failed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*testTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "test", "-count=1", "-short", "-failfast", "-vet=off", "-timeout", testTimeout.String(), "-overlay", overlay, "./"+pkg)
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err = c.Run()
	if errors.As(err, new(*exec.ExitError)) {
		return b.String(), true, nil
	}
	return b.String(), false, err
}

// firstFailure is the name of the test that failed first.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			return name
		}
	}
	return "it ended"
}
