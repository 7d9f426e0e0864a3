// Package proxyproto reads the header with which a proxy tells a server whom it connects for: versions 1 and 2 of the PROXY protocol
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). It takes no octet of what follows, so the connection can be used as if there had been no header.
//
//	h, err := proxyproto.Read(conn, time.Now().Add(10*time.Second))
//
// The header is taken on trust: whether the peer may send one is for the caller to know.
package proxyproto

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Header is what a proxy says of a connection.
type Header struct {
	// Source is the client and Destination what it connected to. They are not
	// valid when the proxy speaks for itself (LOCAL) or does not know (UNKNOWN).
	Source, Destination netip.AddrPort
	// TLS is set when the proxy ended the client's TLS. It has Version and
	// CipherSuite, so far as the proxy told them, and ServerName.
	TLS *tls.ConnectionState
}

// ErrSyntax says that what came is no header, or a broken one.
var ErrSyntax = errors.New("proxyproto: malformed PROXY header")

// MaxV2 is the largest header of version 2 that is taken, in octets. Proxies
// send some 500 at most.
const MaxV2 = 4096

const (
	maxV1   = 107 // s2.1
	fixedV2 = 16
)

var signature = []byte("\r\n\r\n\x00\r\nQUIT\n") // s2.2

// Wait is how long Accept lets a proxy take: it has the header at hand when it connects.
const Wait = 10 * time.Second

// Accept reads the header of a connection that comes from one of the proxies,
// and gives nil for one that does not. When c is a *tls.Conn before its
// handshake, the header is taken from below it.
func Accept(c net.Conn, proxies []netip.Prefix) (*Header, error) {
	if len(proxies) == 0 {
		return nil, nil
	}
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return nil, nil
	}
	from := a.AddrPort().Addr().Unmap().WithZone("")
	if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return nil, nil
	}
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	h, err := Read(c, time.Now().Add(Wait))
	return &h, err
}

// Read takes the header off a connection. It has until deadline to arrive;
// read deadlines are cleared afterwards. An error means that the connection
// is of no further use.
func Read(c net.Conn, deadline time.Time) (Header, error) {
	c.SetReadDeadline(deadline)
	var space [256]byte
	b := space[:0]
	for {
		h, more, err := Parse(b)
		if err != nil {
			return Header{}, err
		}
		if more == 0 {
			c.SetReadDeadline(time.Time{})
			return h, nil
		}
		if b, err = fill(c, b, more); err != nil {
			return Header{}, err
		}
	}
}

// fill reads n more octets.
func fill(c net.Conn, b []byte, n int) ([]byte, error) {
	for end := len(b) + n; len(b) < end; {
		if cap(b) < end {
			b = append(make([]byte, 0, end), b...)
		}
		k, err := c.Read(b[len(b):end])
		if b = b[:len(b)+k]; err != nil && len(b) < end {
			return nil, err
		}
	}
	return b, nil
}

// Parse reads a header at the start of b. When it is not complete more is a
// number of octets that are sure to belong to it still; a caller who reads
// no more than that never takes what follows the header.
func Parse(b []byte) (h Header, more int, err error) {
	switch n := min(len(b), len(signature)); {
	case bytes.Equal(b[:n], signature[:n]):
		if n < len(signature) {
			return Header{}, len(signature) - n, nil
		}
		return parseV2(b)
	case bytes.Equal(b[:min(n, 6)], []byte("PROXY ")[:min(n, 6)]):
		return parseV1(b)
	}
	return Header{}, 0, ErrSyntax
}

// parseV1: "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25" CRLF (s2.1).
func parseV1(b []byte) (h Header, more int, err error) {
	end := bytes.Index(b, []byte("\r\n"))
	switch {
	case end < 0 && len(b) >= maxV1, end > maxV1-2:
		return h, 0, ErrSyntax
	case end < 0 && bytes.HasSuffix(b, []byte("\r")):
		return h, 1, nil
	case end < 0 && len(b) < len("PROXY UNKNOWN\r\n"):
		return h, len("PROXY UNKNOWN\r\n") - len(b), nil
	case end < 0 && bytes.HasPrefix(b, []byte("PROXY UNKNOWN")):
		return h, 2, nil
	case end < 0: // each field that is missing has a space and a character
		return h, 2 + 2*max(0, 5-bytes.Count(b, []byte(" "))), nil
	}
	fields := strings.Split(string(b[:end]), " ")
	if fields[1] == "UNKNOWN" {
		return h, 0, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return h, 0, ErrSyntax
	}
	is4 := fields[1] == "TCP4"
	source, ok1 := addrPort(fields[2], fields[4], is4)
	destination, ok2 := addrPort(fields[3], fields[5], is4)
	if !ok1 || !ok2 {
		return h, 0, ErrSyntax
	}
	return Header{Source: source, Destination: destination}, 0, nil
}

func addrPort(addr, port string, is4 bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is4() != is4 || a.Zone() != "" || port == "" || len(port) > 5 || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, false
	}
	n := 0
	for _, c := range []byte(port) {
		if c < '0' || c > '9' {
			return netip.AddrPort{}, false
		}
		n = n*10 + int(c-'0')
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), n <= 65535
}

// parseV2 reads the binary form (s2.2).
func parseV2(b []byte) (h Header, more int, err error) {
	if len(b) < fixedV2 {
		return h, fixedV2 - len(b), nil
	}
	size := fixedV2 + int(binary.BigEndian.Uint16(b[14:]))
	command, family := b[12], b[13]
	if command>>4 != 2 || command&15 > 1 || size > MaxV2 {
		return h, 0, ErrSyntax
	}
	if command&15 == 1 && (family>>4 > 3 || family&15 > 2) { // "must be rejected as invalid"
		return h, 0, ErrSyntax
	}
	if len(b) < size {
		return h, size - len(b), nil
	}
	if command&15 == 0 { // LOCAL: health checks; what else there may be is ignored
		return h, 0, nil
	}
	header, b := b[:size], b[fixedV2:size]
	length := 0 // of one address
	switch family {
	case 0x11:
		length = 4
	case 0x21:
		length = 16
	default: // UNSPEC, datagrams and Unix sockets have no address for us
		return h, 0, nil
	}
	if len(b) < 2*length+4 {
		return h, 0, ErrSyntax
	}
	source, _ := netip.AddrFromSlice(b[:length])
	destination, _ := netip.AddrFromSlice(b[length : 2*length])
	ports := b[2*length:]
	h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	if h.TLS, err = parseFields(header, ports[4:]); err != nil {
		return Header{}, 0, err
	}
	return h, 0, nil
}
