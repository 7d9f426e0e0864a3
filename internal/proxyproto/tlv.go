package proxyproto

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The types of additional fields that are looked at (s2.2, "Type-Length-Value").
const (
	typeAuthority  = 0x02
	typeCRC32C     = 0x03
	typeSSL        = 0x20
	typeSSLVersion = 0x21
	typeSSLCipher  = 0x23

	clientSSL = 0x01 // the client connected over TLS
)

// cutTLV takes the next field off b.
func cutTLV(b []byte) (kind byte, value, rest []byte, ok bool) {
	if len(b) < 3 {
		return 0, nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < 3+n {
		return 0, nil, nil, false
	}
	return b[0], b[3 : 3+n], b[3+n:], true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of a header, with zeros in the place of the sum itself, which stands at an offset (s2.2.3).
func checksum(header []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, header[at+4:])
}

// parseFields looks at the fields b, which end the header, for what the proxy tells of the client's TLS: nil if there was none. A checksum has to be
// right.
func parseFields(header, b []byte) (*tls.ConnectionState, error) {
	var state *tls.ConnectionState
	var name string
	for len(b) > 0 {
		kind, value, rest, ok := cutTLV(b)
		if !ok {
			return nil, ErrSyntax
		}
		b = rest
		switch kind {
		case typeAuthority:
			name = string(value)
		case typeCRC32C:
			if len(value) != 4 || binary.BigEndian.Uint32(value) != checksum(header, len(header)-len(rest)-4) {
				return nil, fmt.Errorf("%w: wrong checksum", ErrSyntax)
			}
		case typeSSL:
			if len(value) < 5 { // client flags, and the result of verification
				return nil, ErrSyntax
			}
			if value[0]&clientSSL == 0 {
				continue
			}
			state = &tls.ConnectionState{HandshakeComplete: true}
			for sub := value[5:]; len(sub) > 0; {
				if kind, value, sub, ok = cutTLV(sub); !ok {
					return nil, ErrSyntax
				}
				switch kind {
				case typeSSLVersion:
					state.Version = versions[string(value)]
				case typeSSLCipher:
					state.CipherSuite = cipherSuite(string(value))
				}
			}
		}
	}
	if state != nil {
		state.ServerName = name
	}
	return state, nil
}

var versions = map[string]uint16{"TLSv1": tls.VersionTLS10, "TLSv1.0": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

// opensslNames are the names that OpenSSL, and so the usual proxies, have for suites of TLS 1.2; those of TLS 1.3 have their registered names.
var opensslNames = map[string]uint16{
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

// cipherSuite gives the number of a suite; 0 when its name is not known.
func cipherSuite(name string) uint16 {
	for _, c := range tls.CipherSuites() {
		if c.Name == name {
			return c.ID
		}
	}
	return opensslNames[name]
}
