package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"text/tabwriter"

	"waymark.dev/waymark/routing"
)

// expressions measures what a hundred regular expressions on one host cost beside a single one, and beside asking them one
// after the other. routing/worst_test.go holds bounds for the same.
func expressions() error {
	const many = 100
	fmt.Println("\nA decision among regular expressions of one host, of which the last one takes the path, in ns")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(w, "shape\t1\t%d\t%[1]d/1\t%[1]d in turn, regexp\tin turn/%[1]d\t\n", many)
	for _, name := range []string{"regex", "regex inside", "regex of classes"} {
		s, err := shapeNamed(name)
		if err != nil {
			return err
		}
		one, _, err := lastOf(s, 1)
		if err != nil {
			return err
		}
		all, inTurn, err := lastOf(s, many)
		if err != nil {
			return err
		}
		t, err := inTurns([]func() error{one, all, inTurn})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t\n", name, t[0].median(), t[1].median(), t[1].times(t[0]), t[2].median(), t[2].times(t[1]))
	}
	return w.Flush()
}

// lastOf decides a request that the last of n rules takes in two ways: by the engine, and by asking package regexp for one
// expression after the other.
func lastOf(s *shape, n int) (decide, inTurn func() error, err error) {
	text, err := pluginConfig(s, n)
	if err != nil {
		return nil, nil, err
	}
	table, err := routing.Compile(text)
	if err != nil {
		return nil, nil, err
	}
	var config routing.Config
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, nil, err
	}
	var patterns []*regexp.Regexp
	for _, r := range config.VirtualHosts[0].Rules {
		p, err := regexp.Compile(`\A(?:` + config.Regexes[*r.Path.Regex].Pattern + `)\z`)
		if err != nil {
			return nil, nil, err
		}
		patterns = append(patterns, p)
	}
	request := nativeRequest(s.request(n - 1))
	decide = func() error {
		if d := table.Decide(request, routing.Dice{}); d.Rule != n-1 {
			return fmt.Errorf("%s: meets rule %d of %d", request.Path, d.Rule, n)
		}
		return nil
	}
	inTurn = func() error {
		for i, p := range patterns {
			if p.MatchString(request.Path) != (i == n-1) {
				return fmt.Errorf("%s: meets rule %d of %d, in turn", request.Path, i, n)
			}
		}
		return nil
	}
	return decide, inTurn, nil
}
