package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/plan"
)

// edited is the bootstrap as JSON, without access log, for the naive filter without our restrictions, and for Lua with its
// filter in the place of ours.
func edited(bootstrap proto.Message, p *plan.Plan, s *shape, way string) ([]byte, error) {
	text, err := envoy.JSON(bootstrap)
	if err != nil {
		return nil, err
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	eachObject(doc, func(v map[string]any) {
		delete(v, "access_log")
		if way == wayNaive {
			delete(v, "capability_restriction_config") // it calls the host for each header, and has more of Go's runtime
		}
	})
	if way == wayLua && !withLua(doc, p, s) {
		return nil, errors.New("the bootstrap has no filter to replace")
	}
	return json.Marshal(doc)
}

// eachObject calls each for every object of a document, the outer ones first.
func eachObject(v any, each func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		each(v)
		for _, inner := range v {
			eachObject(inner, each)
		}
	case []any:
		for _, inner := range v {
			eachObject(inner, each)
		}
	}
}

// withLua puts Envoy's Lua filter in the place of ours: it looks the outcome up in a table, which is all that a script can
// do fast.
func withLua(doc any, p *plan.Plan, s *shape) (replaced bool) {
	var script strings.Builder
	script.WriteString("local ids = {\n")
	for i, r := range p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules {
		fmt.Fprintf(&script, "[%q]=%q,\n", strconv.Itoa(i), r.Outcomes[0].ID)
	}
	fmt.Fprintf(&script, `}
function envoy_on_request(handle)
  local headers = handle:headers()
  local path, tenant = headers:get(":path"), headers:get("x-tenant")
  local id = ids[%s]
  if id then headers:replace("x-waymark-route", id) end
end
`, s.lua)
	eachObject(doc, func(v map[string]any) {
		config, _ := v["typed_config"].(map[string]any)
		if kind, _ := config["@type"].(string); strings.HasSuffix(kind, ".wasm.v3.Wasm") {
			v["typed_config"] = map[string]any{
				"@type":               "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
				"default_source_code": map[string]any{"inline_string": script.String()},
			}
			replaced = true
		}
	})
	return replaced
}
