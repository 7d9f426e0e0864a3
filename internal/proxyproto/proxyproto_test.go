package proxyproto

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/memnet"
)

// v2 makes a header of version 2.
func v2(command, family byte, body string) string {
	b := append([]byte(string(signature)), 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

const (
	ports    = "\x12\x67\x00\x19" // 4711, 25
	address4 = "\xc0\x00\x02\x07\xc0\x00\x02\x01" + ports
)

var (
	address6 = strings.Repeat("\x20", 15) + "\x07" + strings.Repeat("\x20", 15) + "\x01" + ports
	source4  = netip.MustParseAddrPort("192.0.2.7:4711")
	dest4    = netip.MustParseAddrPort("192.0.2.1:25")
	from4    = Header{Source: source4, Destination: dest4}
	from6    = Header{Source: netip.MustParseAddrPort("[2020:2020:2020:2020:2020:2020:2020:2007]:4711"), Destination: netip.MustParseAddrPort("[2020:2020:2020:2020:2020:2020:2020:2001]:25")}
)

func withTLS(state tls.ConnectionState) Header {
	state.HandshakeComplete = true
	return Header{Source: source4, Destination: dest4, TLS: &state}
}

var good = map[string]struct {
	in   string
	want Header
}{
	"v1 tcp4":          {"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n", from4},
	"v1 tcp6":          {"PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n", Header{Source: netip.MustParseAddrPort("[2001:db8::7]:65535"), Destination: netip.MustParseAddrPort("[2001:db8::1]:0")}},
	"v1 mapped":        {"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 4711 25\r\n", from4},
	"v1 shortest":      {"PROXY TCP6 :: :: 1 2\r\n", Header{Source: netip.MustParseAddrPort("[::]:1"), Destination: netip.MustParseAddrPort("[::]:2")}},
	"v1 longest":       {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", Header{Source: netip.MustParseAddrPort("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), Destination: netip.MustParseAddrPort("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")}},
	"v1 unknown":       {"PROXY UNKNOWN\r\n", Header{}},
	"v1 unknown, more": {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", Header{}},
	"v2 local":         {v2(0, 0, ""), Header{}},
	"v2 local, body":   {v2(0, 0x11, "x"), Header{}},
	"v2 unspec":        {v2(1, 0, "whatever"), Header{}},
	"v2 unix":          {v2(1, 0x31, strings.Repeat("\x00", 216)), Header{}},
	"v2 tcp4":          {v2(1, 0x11, address4), from4},
	"v2 tcp6":          {v2(1, 0x21, address6), from6},
	"v2 other fields":  {v2(1, 0x11, address4+tlv(0x04, "")+tlv(0x05, "unique")+tlv(0xee, strings.Repeat("x", 3000))), from4},
	"v2 checksum":      {v2(1, 0x11, address4+tlv(0x03, "\x31\x7b\xfc\xcf")+tlv(0x05, "unique")), from4},
	"v2 local, family": {v2(0, 0xff, ""), Header{}}, // which is ignored
	"v2 udp4":          {v2(1, 0x12, address4), Header{}},
	"v2 no transport":  {v2(1, 0x10, address4), Header{}},
	"v2 no tls":        {v2(1, 0x11, address4+tlv(0x20, "\x00\x00\x00\x00\x01")), from4},
	"v2 tls":           {v2(1, 0x11, address4+tlv(0x20, "\x01\x00\x00\x00\x00")), withTLS(tls.ConnectionState{})},
	"v2 tls 1.3": {v2(1, 0x11, address4+tlv(0x02, "mx.example.org")+tlv(0x20, "\x01\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3")+tlv(0x23, "TLS_AES_128_GCM_SHA256"))),
		withTLS(tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "mx.example.org"})},
	"v2 tls 1.2": {v2(1, 0x11, address4+tlv(0x20, "\x05\x00\x00\x00\x00"+tlv(0x22, "client")+tlv(0x21, "TLSv1.2")+tlv(0x23, "ECDHE-RSA-AES128-GCM-SHA256"))),
		withTLS(tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256})},
}

var bad = map[string]string{
	"smtp":              "EHLO client.example\r\n",
	"tls":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x01\x02",
	"v1 lower case":     "proxy tcp4 192.0.2.7 192.0.2.1 4711 25\r\n",
	"v1 family":         "PROXY UDP4 192.0.2.7 192.0.2.1 4711 25\r\n",
	"v1 wrong family":   "PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n",
	"v1 zone":           "PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 25\r\n",
	"v1 port":           "PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n",
	"v1 zero":           "PROXY TCP4 192.0.2.7 192.0.2.1 04711 25\r\n",
	"v1 sign":           "PROXY TCP4 192.0.2.7 192.0.2.1 +4711 25\r\n",
	"v1 no port":        "PROXY TCP4 192.0.2.7 192.0.2.1 4711  \r\n",
	"v1 field too much": "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25 1\r\n",
	"v1 two spaces":     "PROXY TCP4  192.0.2.7 192.0.2.1 4711 25\r\n",
	"v1 bare LF":        "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\n" + strings.Repeat("x", 100),
	"v1 endless":        "PROXY TCP4 " + strings.Repeat("1", 200),
	"v2 version":        string(signature) + "\x11\x11\x00\x00",
	"v2 command":        v2(2, 0x11, address4),
	"v2 family":         v2(1, 0x41, address4),
	"v2 transport":      v2(1, 0x13, address4),
	"v2 checksum":       v2(1, 0x11, address4+tlv(0x03, "\x31\x7b\xfc\xcf")+tlv(0x05, "Unique")),
	"v2 checksum short": v2(1, 0x11, address4+tlv(0x03, "\x31\x7b\xfc")),
	"v2 short":          v2(1, 0x11, address4[:11]),
	"v2 short 6":        v2(1, 0x21, address4),
	"v2 huge":           v2(1, 0x11, address4+tlv(0xee, strings.Repeat("x", MaxV2))),
	"v2 field cut":      v2(1, 0x11, address4+"\x04\x00"),
	"v2 field long":     v2(1, 0x11, address4+"\x04\x00\x05xxxx"),
	"v2 ssl short":      v2(1, 0x11, address4+tlv(0x20, "\x01\x00")),
	"v2 ssl cut":        v2(1, 0x11, address4+tlv(0x20, "\x01\x00\x00\x00\x00\x21\x00\xff")),
}

// read sends in, in pieces of so many octets, and gives what is left on the connection.
func read(t *testing.T, in string, piece int) (Header, string, error) {
	client, server := memnet.Pipe()
	defer client.Close()
	defer server.Close()
	go func() {
		defer client.(interface{ CloseWrite() error }).CloseWrite()
		for len(in) > 0 {
			n := min(piece, len(in))
			if _, err := io.WriteString(client, in[:n]); err != nil {
				return
			}
			in = in[n:]
		}
	}()
	h, err := Read(server, time.Now().Add(time.Minute))
	if err != nil {
		return h, "", err
	}
	rest, err := io.ReadAll(server)
	require.NoError(t, err)
	return h, string(rest), nil
}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, c := range good {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1, 7, 10_000} {
				h, rest, err := read(t, c.in+"EHLO x\r\n", piece)
				require.NoError(t, err)
				require.Equal(t, c.want, h)
				require.Equal(t, "EHLO x\r\n", rest)
			}
		})
	}
	for name, in := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1, 7, 10_000} {
				_, _, err := read(t, in, piece)
				require.ErrorIs(t, err, ErrSyntax)
			}
		})
	}
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		for _, c := range good {
			for n := range min(len(c.in), 200) {
				_, _, err := read(t, c.in[:n], 1000)
				require.ErrorIs(t, err, io.EOF)
			}
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe()
		go func() { // an octet a second
			for range 60 {
				time.Sleep(time.Second)
				io.WriteString(client, "PROXY UNKNOWN "[:1])
				return
			}
		}()
		start := time.Now()
		_, err := Read(server, start.Add(10*time.Second))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

// FuzzParse: no input makes it panic, and it never asks for an octet that is not the header's.
func FuzzParse(f *testing.F) {
	for _, c := range good {
		f.Add([]byte(c.in))
	}
	for _, in := range bad {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		for {
			h, more, err := Parse(in[:n])
			if err != nil {
				require.Zero(t, h)
				return
			}
			require.LessOrEqual(t, n, MaxV2)
			if more == 0 {
				again, more, err := Parse(append(in[:n:n], "EHLO x\r\n"...))
				require.NoError(t, err)
				require.Zero(t, more)
				require.Equal(t, h, again)
				for i := range n { // a shorter piece is not a header
					_, more, err := Parse(in[:i])
					require.NoError(t, err)
					require.Positive(t, more)
					require.LessOrEqual(t, i+more, n)
				}
				return
			}
			if n += more; n > len(in) {
				return
			}
		}
	})
}
