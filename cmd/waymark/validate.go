package main

import (
	"context"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/plan"
)

// validateFirst lets the Envoy that is named, or found, look at a plan.
func validateFirst(ctx context.Context, name string, p *plan.Plan, o envoy.Options, given string) error {
	binary, err := findEnvoy(name)
	if err != nil {
		return err
	}
	o.Matching = envoy.MatchingNative // as it is validated: the Envoy need not have Wasm
	if err := fitEnvoy(ctx, binary, &o, given); err != nil {
		return err
	}
	return validatePlan(ctx, binary, p, o, process.Validation{})
}

// validatePlan lets an Envoy look at a plan. What it refuses is bad input.
func validatePlan(ctx context.Context, binary string, p *plan.Plan, o envoy.Options, at process.Validation) error {
	b, err := envoy.Validation(p, o)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	text, err := envoy.JSON(b)
	if err != nil {
		return err
	}
	if err := at.Validate(ctx, binary, text); err != nil {
		return &exitError{exitBadInput, err}
	}
	return nil
}
