package mxresolve

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// This file, query.go and message.go alone know what DNS messages look like, and alone use miekg/dns (for names, which
// are the hard part).

// A question is what a cache entry is kept under. Its name is in lower case and presentation form, without final dot.
type question struct {
	name string
	typ  uint16
}

const (
	typeA     = dns.TypeA
	typeCNAME = dns.TypeCNAME
	typeSOA   = dns.TypeSOA
	typePTR   = dns.TypePTR
	typeMX    = dns.TypeMX
	typeTXT   = dns.TypeTXT
	typeAAAA  = dns.TypeAAAA
	typeTLSA  = dns.TypeTLSA

	rcodeNoError  = dns.RcodeSuccess
	rcodeFormErr  = dns.RcodeFormatError
	rcodeNXDomain = dns.RcodeNameError
	rcodeNotImp   = dns.RcodeNotImplemented
	rcodeBadVers  = dns.RcodeBadVers

	headerLen = 12
	ednsSize  = 1232 // no fragments: DNS flag day 2020
)

func typeText(t uint16) string { return dns.Type(t).String() }

func rcodeText(rcode int) string {
	if s, ok := dns.RcodeToString[rcode]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(rcode)
}

var (
	errBadName   = errors.New("not a domain name")
	errMalformed = errors.New("malformed answer")
)

// appendQuestion appends name, type and class in wire form.
func appendQuestion(b []byte, q question) ([]byte, error) {
	start := len(b)
	if strings.IndexByte(q.name, '\\') >= 0 { // escapes, from the wire or a caller
		var buf [256]byte
		n, err := dns.PackDomainName(q.name+".", buf[:], 0, nil, false)
		if err != nil {
			return b, errBadName
		}
		b = append(b, buf[:n]...)
	} else {
		for rest := q.name; rest != ""; {
			label, tail, more := strings.Cut(rest, ".")
			if label == "" || len(label) > 63 || more && tail == "" {
				return b, errBadName
			}
			b = append(b, byte(len(label)))
			b = append(b, label...)
			rest = tail
		}
		b = append(b, 0)
	}
	if len(b)-start > 255 {
		return b, errBadName
	}
	b = binary.BigEndian.AppendUint16(b, q.typ)
	return binary.BigEndian.AppendUint16(b, dns.ClassINET), nil
}

// tooLong says whether a name does not fit into a message, with its escapes resolved.
func tooLong(name string) bool {
	if len(name) <= 253 {
		return false
	}
	_, err := appendQuestion(nil, question{name: name})
	return err != nil
}

// canonicalName lowers a name in presentation form and cuts the final dot.
func canonicalName(s string) string {
	if n := len(s); n > 0 && s[n-1] == '.' {
		s = s[:n-1]
	}
	return lower(s)
}

// lower is for ASCII alone: other octets of a DNS name have no case.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; c >= 'A' && c <= 'Z' {
					b[i] = c | 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
