package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waymark.dev/waymark/proxy/vm"
)

// together is how many requests are sent at once, as streams of one HTTP/2 connection. Envoy decides them one after the
// other, but wakes up, reads and writes once for all: what is the same for every way is less, and the difference between
// them is seen better.
const together = 32

// load sends requests over one connection for a time, and counts them. Each must get a 200.
func load(address string, asked []vm.Headers, d time.Duration) (count int, err error) {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	c := newClient(connection)
	if err := c.start(); err != nil {
		return 0, err
	}
	for end := time.Now().Add(d); time.Now().Before(end); count += together {
		for i := range together {
			if err := c.ask(asked[(count+i)%len(asked)]); err != nil {
				return count, err
			}
		}
		if err := c.answers(together); err != nil {
			return count, err
		}
	}
	return count, nil
}

// client is one HTTP/2 connection without encryption.
type client struct {
	out     *bufio.Writer
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32 // the next one's number, less one
	credit  uint32 // bytes of bodies that were read and not given back to the connection's window
}

func newClient(c net.Conn) *client {
	k := &client{out: bufio.NewWriterSize(c, 64<<10)}
	k.framer = http2.NewFramer(k.out, bufio.NewReaderSize(c, 64<<10))
	k.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	k.encoder = hpack.NewEncoder(&k.block)
	return k
}

func (c *client) start() error {
	if _, err := c.out.WriteString(http2.ClientPreface); err != nil {
		return err
	}
	return errors.Join(c.framer.WriteSettings(), c.out.Flush())
}

func (c *client) ask(headers vm.Headers) error {
	c.block.Reset()
	for _, h := range headers {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	c.stream += 2
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream - 1, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
}

// answers reads so many responses to their end.
func (c *client) answers(n int) error {
	if c.credit > 0 {
		if err := c.framer.WriteWindowUpdate(0, c.credit); err != nil {
			return err
		}
		c.credit = 0
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	for n > 0 {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := c.framer.WriteSettingsAck(); err != nil {
					return err
				}
			}
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "200" {
				return fmt.Errorf("stream %d: status %s", f.StreamID, status)
			}
		case *http2.DataFrame:
			c.credit += f.Length
		case *http2.RSTStreamFrame:
			return fmt.Errorf("stream %d: reset, %s", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			return fmt.Errorf("the connection ends: %s", f.ErrCode)
		}
		if h := frame.Header(); h.Flags.Has(http2.FlagDataEndStream) && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			n--
		}
	}
	return nil
}
