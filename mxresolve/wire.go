package mxresolve

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// This file alone knows what DNS messages look like, and alone uses miekg/dns (for names, which are the hard part).

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

// newQuery makes a query with a free place for the id, and says how long its question is.
func newQuery(q question, edns bool) (msg []byte, qlen int, err error) {
	msg = make([]byte, headerLen, headerLen+len(q.name)+6+11)
	msg[2] = 0x01 // RD
	msg[3] = 0x20 // AD: we understand that bit in answers (RFC 6840 s5.7); DO is not needed for it
	msg[5] = 1    // one question
	if msg, err = appendQuestion(msg, q); err != nil {
		return nil, 0, err
	}
	qlen = len(msg) - headerLen
	if edns {
		msg[11] = 1
		msg = append(msg, 0, 0, byte(dns.TypeOPT), ednsSize>>8, ednsSize&0xff, 0, 0, 0, 0, 0, 0)
	}
	return msg, qlen, nil
}

// mixCase flips letters of a question's name by random bits: an answer must repeat them, which a spoofer cannot guess
// (draft-vixie-dnsext-dns0x20). Octets of a length below 64 are never letters.
func mixCase(name []byte, bits []byte) {
	for i, c := range name {
		if c |= 0x20; c >= 'a' && c <= 'z' && name[i] >= 'A' {
			name[i] = c ^ bits[i>>3%len(bits)]>>(i&7)&1<<5
		}
	}
}

// How an answer's question compares with ours.
type match int

const (
	matchNone match = iota
	matchBare       // an error without any question: some old servers, for what they cannot parse
	matchFold       // the same but for the case of letters
	matchExact
)

// compare tests whether msg may be an answer to query, before anything of it is parsed. Both have the same id.
func compare(msg, query []byte, qlen int) match {
	if len(msg) < headerLen || msg[2]&0x80 == 0 || msg[2]&0x78 != 0 {
		return matchNone
	}
	switch binary.BigEndian.Uint16(msg[4:]) {
	case 0:
		if rcode := msg[3] & 15; rcode == rcodeFormErr || rcode == rcodeNotImp {
			return matchBare
		}
		return matchNone
	case 1:
	default:
		return matchNone
	}
	if len(msg) < headerLen+qlen {
		return matchNone
	}
	ours, theirs := query[headerLen:headerLen+qlen], msg[headerLen:headerLen+qlen]
	if string(ours) == string(theirs) {
		return matchExact
	}
	name := qlen - 4
	if string(ours[name:]) == string(theirs[name:]) && equalFold(ours[:name], theirs[:name]) {
		return matchFold
	}
	return matchNone
}

func equalFold(a, b []byte) bool {
	for i := range a {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// A message is a parsed answer: what of it matters here.
type message struct {
	rcode       int
	aa, tc      bool
	ra, ad      bool
	opt         bool
	records     []record // of the answer section, in class IN, of the types below
	hasSOA      bool
	hasNS       bool // in the authority section
	negativeTTL uint32
	ede         string
}

// A record is one resource record. Names are like those of a question.
type record struct {
	name string
	typ  uint16
	pref uint16 // MX
	ttl  uint32
	text string // MX, CNAME, PTR: target, "" for the root. TXT: all strings joined
	addr netip.Addr
}

// parse reads an answer that matched the question q. It never panics and allocates in proportion to len(msg).
func parse(msg []byte, q question) (m *message, err error) {
	if len(msg) < headerLen {
		return nil, errMalformed
	}
	m = &message{
		rcode: int(msg[3] & 15),
		aa:    msg[2]&4 != 0, tc: msg[2]&2 != 0,
		ra: msg[3]&0x80 != 0, ad: msg[3]&0x20 != 0,
	}
	p := parser{msg: msg, off: headerLen, q: q}
	if binary.BigEndian.Uint16(msg[4:]) == 1 {
		p.skipName()
		p.off += 4
	}
	answers := int(binary.BigEndian.Uint16(msg[6:]))
	if answers > 0 {
		m.records = make([]record, 0, min(answers, len(msg)/12))
	}
	for range answers {
		p.answer(m)
	}
	for range binary.BigEndian.Uint16(msg[8:]) {
		p.authority(m)
	}
	for range binary.BigEndian.Uint16(msg[10:]) {
		p.additional(m)
	}
	if p.err != nil && !m.tc { // a truncated message may end anywhere
		return nil, p.err
	}
	return m, nil
}

type parser struct {
	msg []byte
	off int
	q   question
	err error
}

// rr reads a record's head and steps behind the record.
func (p *parser) rr(withName bool) (rec record, class uint16, body, end int) {
	if p.err != nil {
		return
	}
	if withName {
		rec.name, p.off = p.name(p.off, len(p.msg))
	} else {
		p.skipName()
	}
	if p.err != nil || p.off+10 > len(p.msg) {
		p.err = errMalformed
		return
	}
	head := p.msg[p.off:]
	rec.typ = binary.BigEndian.Uint16(head)
	class = binary.BigEndian.Uint16(head[2:])
	if rec.ttl = binary.BigEndian.Uint32(head[4:]); rec.ttl > 1<<31-1 {
		rec.ttl = 0 // RFC 2181 s8
	}
	body = p.off + 10
	end = body + int(binary.BigEndian.Uint16(head[8:]))
	if end > len(p.msg) {
		p.err = errMalformed
		return
	}
	p.off = end
	return
}

func (p *parser) answer(m *message) {
	rec, class, body, end := p.rr(true)
	if p.err != nil || class != dns.ClassINET {
		return
	}
	data, next := p.msg[body:end], end
	switch rec.typ {
	case typeA, typeAAAA:
		a, ok := netip.AddrFromSlice(data)
		if !ok || a.Is4() != (rec.typ == typeA) {
			p.err = errMalformed
		}
		rec.addr = a
	case typeMX:
		if len(data) < 3 {
			p.err = errMalformed
			return
		}
		rec.pref = binary.BigEndian.Uint16(data)
		rec.text, next = p.name(body+2, end)
	case typeCNAME, typePTR:
		rec.text, next = p.name(body, end)
	case typeTXT:
		rec.text = p.strings(data)
	default:
		return
	}
	if next != end {
		p.err = errMalformed
	}
	if p.err == nil {
		m.records = append(m.records, rec)
	}
}

// authority looks for what makes an empty answer a negative one, and how long it holds (RFC 2308 s5).
func (p *parser) authority(m *message) {
	rec, class, body, end := p.rr(false)
	if p.err != nil || class != dns.ClassINET {
		return
	}
	switch rec.typ {
	case dns.TypeNS:
		m.hasNS = true
	case typeSOA:
		if end-body < 22 { // two names and five numbers
			p.err = errMalformed
			return
		}
		m.hasSOA = true
		m.negativeTTL = min(rec.ttl, binary.BigEndian.Uint32(p.msg[end-4:]))
	}
}

func (p *parser) additional(m *message) {
	at := p.off
	rec, _, body, end := p.rr(false)
	if p.err != nil || rec.typ != dns.TypeOPT || m.opt {
		return
	}
	m.opt = true
	m.rcode |= int(p.msg[at+5]) << 4 // RFC 6891 s6.1.3; the name is the root, one octet
	for d := p.msg[body:end]; len(d) >= 4; {
		code, n := binary.BigEndian.Uint16(d), int(binary.BigEndian.Uint16(d[2:]))
		if d = d[4:]; n > len(d) {
			return
		}
		if code == dns.EDNS0EDE && n >= 2 && m.ede == "" {
			m.ede = edeText(binary.BigEndian.Uint16(d), d[2:n])
		}
		d = d[n:]
	}
}

// edeText renders an Extended DNS Error for people (RFC 8914 s2).
func edeText(code uint16, extra []byte) string {
	s, ok := dns.ExtendedErrorCodeToString[code]
	if !ok {
		s = "Extended DNS Error " + strconv.Itoa(int(code))
	}
	if len(extra) > 0 {
		clean := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(string(extra[:min(len(extra), 200)]), "?"))
		s += ": " + clean
	}
	return s
}

// name reads a domain name that must begin before limit, and says where it ends. Most owners are a pointer to the question.
func (p *parser) name(off, limit int) (string, int) {
	if p.err != nil || off >= limit {
		p.err = errMalformed
		return "", off
	}
	if off+2 <= len(p.msg) && p.msg[off] == 0xc0 && p.msg[off+1] == headerLen && p.msg[5] == 1 {
		return p.q.name, off + 2
	}
	s, next, err := dns.UnpackDomainName(p.msg, off)
	if err != nil {
		p.err = errMalformed
		return "", off
	}
	return canonicalName(s), next
}

func (p *parser) skipName() {
	for off := p.off; off < len(p.msg); {
		switch c := p.msg[off]; {
		case c == 0:
			p.off = off + 1
			return
		case c >= 0xc0:
			p.off = off + 2
			return
		case c >= 0x40:
			p.err = errMalformed
			return
		default:
			off += int(c) + 1
		}
	}
	p.err = errMalformed
}

// strings joins the character strings of one TXT record.
func (p *parser) strings(data []byte) string {
	if len(data) > 0 && int(data[0])+1 == len(data) {
		return string(data[1:])
	}
	b := make([]byte, 0, len(data))
	for len(data) > 0 {
		n := int(data[0]) + 1
		if n > len(data) {
			p.err = errMalformed
			return ""
		}
		b = append(b, data[1:n]...)
		data = data[n:]
	}
	return string(b)
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
