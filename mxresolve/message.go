package mxresolve

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// A message is a parsed answer: what of it matters here.
type message struct {
	rcode       int
	aa, tc      bool
	ra, ad      bool
	opt         bool
	records     []record // of the answer section, in class IN, of the types below
	hasSOA      bool
	negativeTTL uint32
	ede         string
}

// A record is one resource record. Names are like those of a question.
type record struct {
	name string
	typ  uint16
	pref uint16 // MX
	ttl  uint32
	text string // MX, CNAME, PTR: target, "" for the root. TXT: all strings joined. TLSA: as on the wire
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
	case typeTLSA:
		rec.text = string(data)
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
	if rec.typ != typeSOA {
		return
	}
	if end-body < 22 { // two names and five numbers
		p.err = errMalformed
		return
	}
	m.hasSOA = true
	m.negativeTTL = min(rec.ttl, binary.BigEndian.Uint32(p.msg[end-4:]))
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
