package main

import (
	"fmt"
	"slices"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// Certificates that a user names as files are a part of the set of files that run watches: Envoy notices only what is
// renamed into the folder of one, and reads certificate and key at moments of its own. So run reads them with the rules,
// when they have settled, and gives Envoy what it read.

// certificateFiles are the files that a plan names, in order.
func certificateFiles(p *plan.Plan) []string {
	var out []string
	for _, c := range envoy.Credentials(p) {
		for _, file := range []string{c.CertFile, c.KeyFile, c.CAFile, c.CRLFile} {
			if file != "" {
				out = append(out, file)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readCertificates puts what the files hold into the plan.
func readCertificates(p *plan.Plan) error {
	for _, c := range envoy.Credentials(p) {
		for _, f := range []struct {
			file *string
			text *[]byte
		}{{&c.CertFile, &c.Cert}, {&c.KeyFile, &c.Key}, {&c.CAFile, &c.CA}, {&c.CRLFile, &c.CRL}} {
			if *f.file == "" {
				continue
			}
			text, err := resource.ReadFile(*f.file)
			if err != nil {
				return &exitError{exitBadInput, fmt.Errorf("certificate %s: %s cannot be read: %w", c.Name, *f.file, err)}
			}
			*f.text, *f.file = text, ""
		}
	}
	return nil
}
