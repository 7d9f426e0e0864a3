package dnstest

import (
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Rcode is a response code of DNS (RFC 1035 s4.1.1).
type Rcode int

const (
	FormErr  Rcode = 1 // the query is malformed
	ServFail Rcode = 2 // the server failed
	NXDomain Rcode = 3 // the name does not exist
	NotImp   Rcode = 4 // the server does not do such queries
	Refused  Rcode = 5 // the server does not want to answer
)

// A Fault is how answers to some questions are spoilt. Fields combine; the zero value spoils nothing.
type Fault struct {
	Rcode         Rcode         // this code and no records
	Drop          bool          // no answer: the client runs into its timeout
	Delay         time.Duration // the answer comes that late
	Truncate      bool          // TC and no records over UDP; whole over TCP
	WrongID       bool          // another id than the query's
	WrongQuestion bool          // another question than the query's
	LowerCase     bool          // the question is repeated in lower case, whatever its case was
	FormErrEDNS   bool          // queries with EDNS get FORMERR, as from servers older than it
	NoChase       bool          // a CNAME is answered alone, as by a server that does not know its target
	Insecure      bool          // no AD bit, whatever SetSecure says
	BadSignature  bool          // signatures are wrong, for clients that validate; see Sign
	Hangup        bool          // the TCP connection is closed instead of an answer
	Extended      uint16        // Extended DNS Error code (RFC 8914), for clients with EDNS
	ExtendedText  string        // and its text

	// Mangle turns the answer into what is sent: nothing, one or many packets with any content.
	Mangle func(answer []byte) [][]byte

	// Times is how many queries are spoilt before all is well again. 0: all.
	Times int
}

// SetFault spoils answers to questions for a name and type ("MX", "AAAA"). An empty name or type stands for any; the
// closest match counts. The zero Fault heals.
func (s *Server) SetFault(name, typ string, f Fault) {
	k := makeKey(name, typ)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[k] = &f
}

// ClearFaults heals everything.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// SetSecure says whether name and all below it are signed: answers get the AD bit where every name in them is. By
// default nothing is.
func (s *Server) SetSecure(name string, secure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secure[dns.CanonicalName(name)] = secure
}

// allSecure says whether the closest word on each name is that it is secure.
func (s *Server) allSecure(names []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		secure := s.secure["."]
		for off, end := 0, false; !end; off, end = dns.NextLabel(n, off) {
			if v, ok := s.secure[n[off:]]; ok {
				secure = v
				break
			}
		}
		if !secure {
			return false
		}
	}
	return true
}

// A Query is a question that the server got.
type Query struct {
	Time    time.Time // when it came
	Name    string    // lower case, without final dot
	RawName string    // as it came, with final dot
	Type    string    // "MX", "AAAA"
	Network string    // "udp" or "tcp"
	EDNS    int       // UDP size that the client takes, 0 without EDNS
	From    net.Addr  // the client's address
}

// maxLog bounds the log of queries; counts go on.
const maxLog = 10000

// Queries returns the queries so far, in the order they came; at most the last 10000.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Count returns how many queries for a name and type came since the start or the last ResetQueries. An empty name or
// type stands for any.
func (s *Server) Count(name, typ string) int {
	want := makeKey(name, typ)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for k, c := range s.counts {
		if (want.name == "" || want.name == k.name) && (want.typ == 0 || want.typ == k.typ) {
			n += c
		}
	}
	return n
}

// ResetQueries empties the log and sets all counts to zero.
func (s *Server) ResetQueries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
	clear(s.counts)
}

func makeKey(name, typ string) key {
	k := key{typ: dns.StringToType[strings.ToUpper(typ)]}
	if name != "" {
		k.name = dns.CanonicalName(name)
	}
	return k
}

// note writes a query down and finds the fault for it.
func (s *Server) note(q *dns.Msg, network string, from net.Addr) Fault {
	raw := q.Question[0].Name
	k := key{dns.CanonicalName(raw), q.Question[0].Qtype}
	e := Query{Time: time.Now(), Name: strings.TrimSuffix(k.name, "."), RawName: raw,
		Type: dns.Type(k.typ).String(), Network: network, From: from}
	if o := q.IsEdns0(); o != nil {
		e.EDNS = int(o.UDPSize())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) >= maxLog {
		s.log = slices.Delete(s.log, 0, maxLog/2)
	}
	s.log = append(s.log, e)
	s.counts[k]++
	for _, k := range [...]key{k, {name: k.name}, {typ: k.typ}, {}} {
		f, ok := s.faults[k]
		if !ok {
			continue
		}
		out := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				delete(s.faults, k)
			}
		}
		return out
	}
	return Fault{}
}
