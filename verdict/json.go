package verdict

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/plan"
)

// messageJSON writes a message as JSON of Envoy's API. It removes white space, which protojson varies at random.
func messageJSON(m proto.Message) json.RawMessage {
	text, err := protojson.Marshal(m)
	if err != nil {
		panic("verdict: " + err.Error()) // never: the messages have only plain values
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		panic("verdict: " + err.Error())
	}
	return b.Bytes()
}

func matchJSON(r *plan.Rule) json.RawMessage { return messageJSON(envoy.RouteMatch(&r.Match)) }

func retryJSON(p *plan.RetryPolicy) json.RawMessage {
	if p == nil {
		return nil
	}
	return messageJSON(envoy.RetryPolicy(p))
}

func faultJSON(f *plan.Fault) json.RawMessage {
	if f == nil {
		return nil
	}
	return messageJSON(envoy.HTTPFault(f))
}

func corsJSON(c *plan.CORSPolicy) json.RawMessage {
	if c == nil {
		return nil
	}
	return messageJSON(envoy.CORSPolicy(c))
}

func hashJSON(policies []plan.HashPolicy) []json.RawMessage {
	var out []json.RawMessage
	for _, p := range envoy.HashPolicies(policies) {
		out = append(out, messageJSON(p))
	}
	return out
}
