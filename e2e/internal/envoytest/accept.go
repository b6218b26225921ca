package envoytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"waymark.dev/waymark/envoy/process"
)

// Refusals asks an Envoy about many routes at once: each stands in a listener of its own, which Envoy takes or refuses by
// itself. The answer has a text for each route, "" where it was taken. A route is the JSON form of Envoy's, laid over one
// that answers 200; its listener binds nothing that others could reach.
func Refusals(ctx context.Context, b Binary, dir string, routes []map[string]any) ([]string, error) {
	listeners := make([]any, len(routes))
	for i, route := range routes {
		listeners[i] = asking(i, route)
	}
	text, err := json.Marshal(map[string]any{"version_info": "1", "resources": listeners})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "listeners.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	ports, err := process.FreePorts(1)
	if err != nil {
		return nil, err
	}
	bootstrap := fmt.Sprintf(`{"node": {"id": "asked", "cluster": "asked"},
 "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}}},
 "layered_runtime": {"layers": [{"name": "waymark", "static_layer": {"re2.max_program_size.error_level": 32768}}]},
 "dynamic_resources": {"lds_config": {"resource_api_version": "V3", "path_config_source": {"path": %q}}}}`, ports[0], file)
	p, err := process.Start(ctx, process.Options{Binary: b.Path, Bootstrap: []byte(bootstrap), AdminPort: ports[0], Concurrency: 1})
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Stop() }() // nothing depends on it
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		refused, err := p.Stat(ctx, "listener_manager.lds.update_rejected")
		if err != nil {
			return nil, err
		}
		taken, err := p.Stat(ctx, "listener_manager.lds.update_success")
		if err != nil {
			return nil, err
		}
		if refused+taken > 0 {
			break
		}
		if time.Since(begun) > time.Minute {
			return nil, errors.New("envoy does not read the listeners:\n" + p.Log())
		}
	}
	return verdicts(ctx, p, len(routes))
}

func asking(i int, route map[string]any) any {
	r := map[string]any{"match": map[string]any{"prefix": "/"}, "direct_response": map[string]any{"status": 200}}
	for key, value := range route {
		r[key] = value
	}
	if r["route"] != nil {
		delete(r, "direct_response")
	}
	return map[string]any{
		"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": fmt.Sprint(i),
		"address": map[string]any{"pipe": map[string]any{"path": fmt.Sprintf("@waymark-%d-%d", os.Getpid(), i)}},
		"filter_chains": []any{map[string]any{"filters": []any{map[string]any{"name": "http", "typed_config": map[string]any{
			"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"stat_prefix": "asked",
			"route_config": map[string]any{"validate_clusters": false,
				"virtual_hosts": []any{map[string]any{"name": "all", "domains": []any{"*"}, "routes": []any{r}}}},
			"http_filters": []any{map[string]any{"name": "router", "typed_config": map[string]any{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}},
		}}}}},
	}
}

// verdicts reads which listeners Envoy has, and why it has not the others.
func verdicts(ctx context.Context, p *process.Process, n int) ([]string, error) {
	text, err := p.Admin(ctx, "/config_dump")
	if err != nil {
		return nil, err
	}
	var dump struct {
		Configs []struct {
			DynamicListeners []struct {
				Name       string
				ErrorState *struct {
					Details             string
					FailedConfiguration struct{ Name string } `json:"failed_configuration"`
				} `json:"error_state"`
			} `json:"dynamic_listeners"`
		}
	}
	if err := json.Unmarshal([]byte(text), &dump); err != nil {
		return nil, err
	}
	out := make([]string, n)
	for i := range out {
		out[i] = "envoy does not say what became of it"
	}
	for _, c := range dump.Configs {
		for _, l := range c.DynamicListeners {
			name, verdict := l.Name, ""
			if l.ErrorState != nil {
				name, verdict = l.ErrorState.FailedConfiguration.Name, l.ErrorState.Details
			}
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= n {
				return nil, fmt.Errorf("envoy has an unknown listener %q", name)
			}
			out[i] = verdict
		}
	}
	return out, nil
}
