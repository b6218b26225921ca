package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

func newBootstrap() *cobra.Command {
	var f envoyFlags
	var server, id, cluster, proxy, namespace, locality, cert, key, ca, serverName, secrets string
	var labels []string
	var sotw, plaintext bool
	c := &cobra.Command{
		Use:   "bootstrap --xds ADDRESS",
		Short: "Print what an Envoy starts with that 'waymark serve' gives the rules",
		Long: `Bootstrap prints the configuration of an Envoy that gets everything else from 'waymark serve'. It says who the Envoy is;
flags of serve say how rules are matched and what clients may do.

  waymark bootstrap --xds 127.0.0.1:15010 --node edge-1 > bootstrap.json
  waymark bootstrap --xds control.example.com:15012 --node edge-2 --cluster edge --xds-ca ca.crt --xds-cert tls.crt --xds-key tls.key > bootstrap.json
  waymark bootstrap --xds unix:/run/waymark/xds.sock --node web-1 --proxy sidecar --namespace shop --labels app=web > bootstrap.json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			control := &envoy.Control{SotW: sotw, LoadReports: true, Node: envoy.Node{ID: id, Cluster: cluster}}
			if path, ok := strings.CutPrefix(server, "unix:"); ok {
				control.Socket = path
			} else {
				host, port, err := net.SplitHostPort(server)
				number, numberErr := strconv.ParseUint(port, 10, 16)
				if err != nil || numberErr != nil || host == "" || number == 0 {
					return usageError("--xds %q is neither HOST:PORT nor unix:PATH", server)
				}
				control.Host, control.Port = host, uint32(number)
			}
			if id == "" {
				return usageError("--node is missing: the name of this Envoy, different for each")
			}
			if (cert == "") != (key == "") || cert != "" && ca == "" {
				return usageError("--xds-cert and --xds-key belong together, and need --xds-ca")
			}
			if ca == "" && !plaintext && !isLocal(server) {
				return usageError("--xds %s: that is another machine, so the connection needs --xds-ca, --xds-cert and --xds-key, or --xds-plaintext", server)
			}
			if ca != "" {
				control.TLS = &envoy.ControlTLS{Cert: cert, Key: key, CA: ca, Name: serverName, Secrets: secrets}
				if err := writeControlSecrets(control.TLS, func(text string) { fmt.Fprintln(c.ErrOrStderr(), "notice: "+text) }); err != nil {
					return err
				}
			}
			if parts := strings.SplitN(locality, "/", 3); locality != "" {
				parts = append(parts, "", "")
				control.Node.Locality = &corev3.Locality{Region: parts[0], Zone: parts[1], SubZone: parts[2]}
			}
			in := input{proxy: proxy, namespace: namespace, labels: labels, outbound: string(translate.AllowAny), flags: c.Flags()}
			f.module = "unused"
			o, err := f.options(&in)
			if err != nil {
				return err
			}
			o.Control, o.Proxy = control, proxy
			b, err := envoy.ControlledBootstrap(o)
			if err != nil {
				return err
			}
			text, err := envoy.JSON(b)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), string(text))
			return err
		},
	}
	f.addBootstrap(c)
	flags := c.Flags()
	flags.StringVar(&server, "xds", "", "address of 'waymark serve', HOST:PORT or unix:PATH")
	flags.StringVar(&id, "node", "", "name of this Envoy, different for each")
	flags.StringVar(&cluster, "cluster", "waymark", "name of the Envoys that are the same, such as a Deployment's")
	flags.StringVar(&proxy, "proxy", string(translate.GatewayProxy), "gateway or sidecar")
	flags.StringVar(&namespace, "namespace", "", "namespace of the proxy (default istio-system; default of a sidecar)")
	flags.StringSliceVar(&labels, "labels", nil, "labels of the proxy (default istio=ingressgateway,app=istio-ingressgateway; none of a sidecar)")
	flags.StringVar(&locality, "locality", "", "where the proxy is, REGION/ZONE/SUBZONE")
	flags.StringVar(&cert, "xds-cert", "", "file with the Envoy's certificate, as Envoy sees it")
	flags.StringVar(&key, "xds-key", "", "file with its key")
	flags.StringVar(&ca, "xds-ca", "", "file with the authorities that the server's certificate is verified with; without, the connection has no TLS")
	flags.StringVar(&secrets, "secrets", "", "folder in which two files are written that Envoy watches, so that it reads renewed certificates; it is the same folder for Envoy (default: certificates are read once)")
	flags.StringVar(&serverName, "xds-name", "", "name that the server's certificate must have (default: the host of --xds)")
	flags.BoolVar(&plaintext, "xds-plaintext", false, "connect to another machine without TLS")
	flags.BoolVar(&sotw, "sotw", false, "state of the world instead of delta")
	return c
}

// writeControlSecrets writes the files by which Envoy finds its certificates.
func writeControlSecrets(t *envoy.ControlTLS, notice func(string)) error {
	if t.Secrets == "" {
		if t.Cert != "" {
			notice("Envoy reads the certificates of the connection once, at its start; with --secrets FOLDER, it reads renewed ones, too")
		}
		return nil
	}
	files, err := envoy.ControlSecrets(t)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := writeFile(filepath.Join(t.Secrets, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
