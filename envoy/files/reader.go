package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"waymark.dev/waymark/envoy"
)

// AdminAddresses are where the Envoy that reads the folder may answer, as HOST:PORT or as the path of a Unix socket: what the
// bootstrap names with which it is started, and then where it answered before the bootstrap named another address.
func (d *Dir) AdminAddresses() ([]string, error) {
	full := filepath.Join(d.Path, envoy.BootstrapFile)
	text, err := os.ReadFile(full)
	if err != nil {
		return nil, err
	}
	var b bootstrapv3.Bootstrap
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s is not a bootstrap of Envoy: %w", full, err)
	}
	s, err := d.readState()
	return slices.DeleteFunc([]string{adminAddress(&b), s.Admin}, func(address string) bool { return address == "" }), err
}

// adminAddress is the address of the admin interface, or "".
func adminAddress(b *bootstrapv3.Bootstrap) string {
	a := b.GetAdmin().GetAddress()
	if socket := a.GetSocketAddress(); socket != nil {
		return net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue())))
	}
	return a.GetPipe().GetPath()
}

// Reads makes sure that what answers is an Envoy that reads its listeners or clusters from the folder. A path that is not
// absolute is one below a folder that only Envoy knows.
func (d *Dir) Reads(ctx context.Context, ask func(ctx context.Context, path string) (string, error)) error {
	text, err := ask(ctx, "/config_dump?mask=bootstrap.dynamic_resources")
	if err != nil {
		return err
	}
	type source struct {
		Path struct {
			Path string `json:"path"`
		} `json:"path_config_source"`
	}
	var dump struct {
		Configs []struct {
			Bootstrap struct {
				Dynamic struct {
					LDS source `json:"lds_config"`
					CDS source `json:"cds_config"`
				} `json:"dynamic_resources"`
			} `json:"bootstrap"`
		} `json:"configs"`
	}
	if err := json.Unmarshal([]byte(text), &dump); err != nil {
		return fmt.Errorf("it is not the admin interface of an Envoy: %w", err)
	}
	others := []string{}
	for _, c := range dump.Configs {
		for file, path := range map[string]string{envoy.ListenersFile: c.Bootstrap.Dynamic.LDS.Path.Path, envoy.ClustersFile: c.Bootstrap.Dynamic.CDS.Path.Path} {
			own := filepath.Join(d.Path, file)
			if path == own || path != "" && !filepath.IsAbs(path) && strings.HasSuffix(own, string(filepath.Separator)+filepath.Clean(path)) {
				return nil
			}
			if path != "" {
				others = append(others, path)
			}
		}
	}
	if len(others) == 0 {
		return errors.New("an Envoy answers there that reads neither listeners nor clusters from files")
	}
	slices.Sort(others)
	return fmt.Errorf("an Envoy answers there that reads %s", strings.Join(others, " and "))
}
