package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

func main() {
	xds.Debug = true
	dir := "/tmp/xdsx"
	os.MkdirAll(dir, 0o700)
	o := envoy.Options{Matching: envoy.Matching(os.Args[1]), Minor: 40, Module: os.Args[2], AdminSocket: dir + "/admin.sock", Control: &envoy.Control{Socket: dir + "/xds.sock", Node: envoy.Node{ID: "a", Cluster: "c"}}}
	b, err := envoy.ControlledBootstrap(o)
	if err != nil {
		panic(err)
	}
	text, _ := envoy.JSON(b)
	os.WriteFile(dir+"/bootstrap.json", text, 0o600)
	os.Remove(dir + "/xds.sock")
	l, err := net.Listen("unix", dir+"/xds.sock")
	if err != nil {
		panic(err)
	}
	s := xds.New(xds.Options{Log: slog.Default()})
	go s.GRPC().Serve(l)
	for i, file := range os.Args[3:] {
		if i > 0 {
			time.Sleep(4 * time.Second)
		}
		fmt.Println("====", file)
		in := gateway.Load(strings.Split(file, ","), resource.Options{}, version.Only(40))
		fmt.Println(in.Findings)
		p, findings := translate.Plan(in.Set, translate.Options{})
		_ = findings
		fmt.Println(s.Update(func(g xds.Group) (*envoy.Resources, error) { return envoy.Build(p, o) }))
	}
	time.Sleep(4 * time.Second)
}
