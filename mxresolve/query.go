package mxresolve

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// pack makes the query, with a free place for the id.
func (p *pending) pack(edns bool) (err error) {
	msg := append(p.space[:0], make([]byte, headerLen)...)
	msg[2] = 0x01 // RD
	msg[3] = 0x20 // AD: we understand that bit in answers (RFC 6840 s5.7); DO is not needed for it
	msg[5] = 1    // one question
	if msg, err = appendQuestion(msg, p.q); err != nil {
		return err
	}
	p.qlen = len(msg) - headerLen
	if edns {
		msg[11] = 1
		msg = append(msg, 0, 0, byte(dns.TypeOPT), ednsSize>>8, ednsSize&0xff, 0, 0, 0, 0, 0, 0)
	}
	p.query = msg
	return nil
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
