// Command apiserver is a Kubernetes API server with its etcd in one process, for tests. It is the real kube-apiserver, built
// from its Go modules: what it accepts, refuses, watches and authorises is what a cluster does. There is no kubelet and no
// controller, so a Pod never runs and an EndpointSlice is written by the test.
//
//	apiserver -data DIR -- FLAGS OF kube-apiserver
//
// All data is below DIR, so a process that was killed continues where it was if it is started again with the same folder. It
// ends when its standard input does, so that it does not outlive the test.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	data := flag.String("data", "", "the folder of etcd's data")
	flag.Parse()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an end is an end, whatever the reason
		os.Exit(0)
	}()
	endpoint, err := startEtcd(*data)
	if err != nil {
		fmt.Fprintln(os.Stderr, "apiserver: etcd:", err)
		os.Exit(1)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append([]string{"--etcd-servers=" + endpoint}, flag.Args()...))
	os.Exit(cli.Run(command))
}

// startEtcd starts an etcd of one member, and returns the address at which it can be used. It listens on free ports of the
// loopback interface. It does not wait for the disk, since a test ends a process and never the machine.
func startEtcd(data string) (string, error) {
	if data == "" {
		return "", fmt.Errorf("-data is missing")
	}
	client, err := freeURL()
	if err != nil {
		return "", err
	}
	peer, err := freeURL()
	if err != nil {
		return "", err
	}
	c := embed.NewConfig()
	c.Dir = filepath.Join(data, "etcd")
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.UnsafeNoFsync = true
	c.LogLevel = "error"
	e, err := embed.StartEtcd(c)
	if err != nil {
		return "", err
	}
	select {
	case <-e.Server.ReadyNotify():
		return client.String(), nil
	case err := <-e.Err():
		return "", err
	case <-time.After(time.Minute):
		return "", fmt.Errorf("not ready after a minute")
	}
}

// freeURL is an address on the loopback interface at which nothing listens.
func freeURL() (url.URL, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return url.URL{}, err
	}
	return url.URL{Scheme: "http", Host: l.Addr().String()}, l.Close()
}
