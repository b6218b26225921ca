package envoytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"waymark.dev/waymark/envoy/process"
)

// Question is a piece of configuration that an Envoy takes or refuses, in the JSON form of its API.
type Question struct {
	// Route is laid over one that answers 200.
	Route map[string]any
	// TransportSocket of the listener; nil is none.
	TransportSocket any
}

// Refusals asks an Envoy many questions at once: each stands in a listener of its own, which Envoy takes or refuses by
// itself. The answer has a text for each, "" where it was taken. The listeners bind nothing that others could reach.
func Refusals(ctx context.Context, b Binary, dir string, questions []Question) ([]string, error) {
	listeners := make([]any, len(questions))
	for i, q := range questions {
		listeners[i] = q.listener(i)
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
	return verdicts(ctx, p, len(questions))
}

func (q Question) listener(i int) any {
	route := map[string]any{"match": map[string]any{"prefix": "/"}, "direct_response": map[string]any{"status": 200}}
	maps.Copy(route, q.Route)
	if route["route"] != nil {
		delete(route, "direct_response")
	}
	chain := map[string]any{"filters": []any{map[string]any{"name": "http", "typed_config": map[string]any{
		"@type":        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":  "asked",
		"route_config": map[string]any{"validate_clusters": false, "virtual_hosts": []any{map[string]any{"name": "all", "domains": []any{"*"}, "routes": []any{route}}}},
		"http_filters": []any{map[string]any{"name": "router", "typed_config": map[string]any{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}},
	}}}}
	if q.TransportSocket != nil {
		chain["transport_socket"] = q.TransportSocket
	}
	return map[string]any{
		"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": fmt.Sprint(i),
		"address":       map[string]any{"pipe": map[string]any{"path": fmt.Sprintf("@waymark-%d-%d", os.Getpid(), i)}},
		"filter_chains": []any{chain},
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
