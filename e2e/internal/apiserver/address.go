package apiserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Address is an IPv4 address of this machine that an EndpointSlice may have: an API server refuses those of the loopback
// interface. A package whose tests need one runs them with [Main].
func Address(t testing.TB) string {
	t.Helper()
	address, err := ownAddress()
	require.NoError(t, err)
	require.NotEmpty(t, address, "this machine has no address but the loopback one: run the tests with apiserver.Main")
	return address
}

// ownAddress is the first IPv4 address of an interface that is up, other than loopback and link-local ones; "" for none.
func ownAddress() (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			return "", err
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
				return n.IP.String(), nil
			}
		}
	}
	return "", nil
}

// isolated marks the process that has a network of its own.
const isolated = "WAYMARK_TEST_NETWORK"

// ownNetwork is the address in it, from the range that is for documentation.
const ownNetwork = "192.0.2.1"

// Main runs the tests of a package. On a machine without an address that [Address] could give, it runs them in a network
// namespace of their own, where the loopback interface has one more address. No rights are needed for that, unless the
// system forbids user namespaces. It returns the status with which the process is to exit.
func Main(m *testing.M) int {
	if os.Getenv(isolated) != "" {
		if err := addAddress(); err != nil {
			fmt.Fprintln(os.Stderr, "the network namespace has no address:", err)
			return 1
		}
		return m.Run()
	}
	if address, err := ownAddress(); err == nil && address != "" {
		return m.Run()
	}
	return Isolated(os.Args[1:]...)
}

// Isolated runs this test's program again, in a network namespace of its own, and returns its status.
func Isolated(args ...string) int {
	self := exec.Command(os.Args[0], args...)
	self.Env = append(os.Environ(), isolated+"=1")
	self.Stdin, self.Stdout, self.Stderr = os.Stdin, os.Stdout, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	err := self.Run()
	if self.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "this machine has no address but the loopback one, and a network namespace cannot be made:", err)
		return 1
	}
	return self.ProcessState.ExitCode()
}

// addAddress brings the loopback interface of the namespace up, and gives it a second address.
func addAddress() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return err
	}
	second, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	if err := second.SetInet4Addr(net.ParseIP(ownNetwork).To4()); err != nil {
		return err
	}
	return unix.IoctlIfreq(socket, unix.SIOCSIFADDR, second)
}
