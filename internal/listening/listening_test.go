package listening_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/listening"
)

// A deaf socket has the connections that were made before, and makes no more; data and ends of those that are open pass.
func TestDeafen(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := listening.Listen(t.Context(), address, false)
		if err != nil && address == "[::1]:0" {
			l, err = listening.Listen(t.Context(), "127.0.0.2:0", false) // a system without IPv6
		}
		require.NoError(t, err)
		before, err := net.Dial("tcp", l.Addr().String()) // nobody has accepted it yet
		require.NoError(t, err)
		raw, err := l.(*net.TCPListener).SyscallConn()
		require.NoError(t, err)
		var deaf error
		require.NoError(t, raw.Control(func(fd uintptr) { deaf = listening.Deafen(int(fd)) }))
		require.NoError(t, deaf)
		_, err = net.DialTimeout("tcp", l.Addr().String(), 300*time.Millisecond)
		require.ErrorContains(t, err, "timeout", "it is not heard")

		c, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = before.Write([]byte("hello"))
		require.NoError(t, err)
		text := make([]byte, 5)
		_, err = c.Read(text)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(text))
		require.NoError(t, before.Close())
		require.NoError(t, c.Close())
	}
}

// A port is had twice only by somebody who says so, on two addresses.
func TestSharedPorts(t *testing.T) {
	one, err := listening.Listen(t.Context(), "127.0.0.1:0", false)
	require.NoError(t, err)
	defer func() { _ = one.Close() }()
	_, port, err := net.SplitHostPort(one.Addr().String())
	require.NoError(t, err)
	_, err = listening.Listen(t.Context(), "0.0.0.0:"+port, false)
	require.ErrorContains(t, err, "address already in use")
	all, err := listening.Listen(t.Context(), "0.0.0.0:"+port, true)
	require.NoError(t, err)
	require.NoError(t, all.Close())
}
