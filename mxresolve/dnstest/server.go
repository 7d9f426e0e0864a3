package dnstest

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/miekg/dns"
)

// A Server is a name server for tests. It answers from zones in memory, over UDP and TCP, as a recursive server with all
// the world's zones in its cache would.
type Server struct {
	pc   net.PacketConn
	l    net.Listener
	done chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	world   *world
	secure  map[string]bool
	signers map[string]*signer
	faults  map[key]*Fault
	log     []Query
	counts  map[key]int
	closed  bool
}

type key struct {
	name string // lower case, with final dot; "" for any
	typ  uint16 // 0 for any
}

// Start starts a server on a free port of 127.0.0.1, UDP and TCP, that serves zones: text in zone-file syntax (RFC 1035
// s5). See SetZones.
func Start(zones string) (*Server, error) {
	for try := 0; ; try++ {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return Serve(pc, l, zones)
		}
		pc.Close()
		if try == 10 { // the port is free for UDP and taken for TCP; there are others
			return nil, err
		}
	}
}

// Serve starts a server on listeners of any kind, such as a network in memory. Either may be nil. The server owns them:
// they are closed by Close, and when Serve fails.
func Serve(pc net.PacketConn, l net.Listener, zones string) (*Server, error) {
	s := &Server{pc: pc, l: l, done: make(chan struct{}), conns: map[net.Conn]bool{},
		secure: map[string]bool{}, signers: map[string]*signer{}, faults: map[key]*Fault{}, counts: map[key]int{}}
	err := s.SetZones(zones)
	if pc == nil && l == nil {
		err = errors.New("dnstest: neither a packet connection nor a listener")
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	if pc != nil {
		s.wg.Go(s.servePackets)
	}
	if l != nil {
		s.wg.Go(s.serveStreams)
	}
	return s, nil
}

// Addr is where the server listens: "127.0.0.1:40123".
func (s *Server) Addr() string {
	if s.pc != nil {
		return s.pc.LocalAddr().String()
	}
	return s.l.Addr().String()
}

// Resolver returns a new resolver that asks this server only, trusts its AD bit and allows loopback addresses in plans.
// It repeats an unanswered question after 2 s at the earliest, so that counts of queries are exact on slow machines too.
// Change its fields before its first use; on a network in memory set Dial.
func (s *Server) Resolver() *mxresolve.Resolver {
	addr := s.Addr()
	if s.pc == nil {
		addr = "tcp://" + addr
	}
	return &mxresolve.Resolver{
		Upstreams:     []mxresolve.Upstream{{Addr: addr, TrustAD: true}},
		AllowLoopback: true,
		Limits:        mxresolve.Limits{MinWait: 2 * time.Second},
	}
}

// Close stops the server and waits until it has.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	if s.pc != nil {
		s.pc.Close()
	}
	if s.l != nil {
		s.l.Close()
	}
	for c := range conns {
		c.Close()
	}
	s.wg.Wait()
	return nil
}

func (s *Server) servePackets() {
	buf := make([]byte, 65535)
	for {
		n, from, err := s.pc.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.isClosed() {
				return
			}
			continue
		}
		s.answer(buf[:n], "udp", from, func(msg []byte) { s.pc.WriteTo(msg, from) }, nil)
	}
}

func (s *Server) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Server) serveStreams() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			c.Close()
			return
		}
		s.conns[c] = true
		s.wg.Go(func() { s.serveStream(c) })
		s.mu.Unlock()
	}
}

func (s *Server) serveStream(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	var head [2]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, msg); err != nil {
			return
		}
		s.answer(msg, "tcp", c.RemoteAddr(), func(msg []byte) {
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
		}, func() { c.Close() })
	}
}

// answer works one query off. With a delay it goes on by itself.
func (s *Server) answer(query []byte, network string, from net.Addr, send func([]byte), hangup func()) {
	var q dns.Msg
	if q.Unpack(query) != nil || q.Response || len(q.Question) != 1 {
		return
	}
	f := s.note(&q, network, from)
	if f.Drop {
		return
	}
	reply := func() {
		if f.Hangup && hangup != nil {
			hangup()
			return
		}
		msg, err := s.reply(&q, network, f)
		if err != nil {
			return
		}
		if f.Mangle == nil {
			send(msg)
			return
		}
		for _, m := range f.Mangle(msg) {
			send(m)
		}
	}
	if f.Delay <= 0 {
		reply()
		return
	}
	s.wg.Go(func() {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
			reply()
		case <-s.done:
		}
	})
}

// reply makes the answer, with the faults that were asked for.
func (s *Server) reply(q *dns.Msg, network string, f Fault) ([]byte, error) {
	var m dns.Msg
	m.SetReply(q)
	m.Authoritative, m.RecursionAvailable, m.Compress = true, true, true
	opt := q.IsEdns0()
	switch {
	case f.FormErrEDNS && opt != nil:
		m.Rcode, opt = dns.RcodeFormatError, nil
	case f.Rcode != 0:
		m.Rcode = int(f.Rcode)
	default:
		s.mu.Lock()
		g := signing{w: s.world, signers: maps.Clone(s.signers), m: &m, bad: f.BadSignature}
		s.mu.Unlock()
		names := []string{dns.CanonicalName(q.Question[0].Name)}
		if !g.keys(q.Question[0]) {
			names = g.w.lookup(&m, q.Question[0], f.NoChase)
		}
		if opt != nil && opt.Do() {
			g.sign(names)
		}
		m.AuthenticatedData = (q.AuthenticatedData || opt != nil && opt.Do()) && !f.Insecure && s.allSecure(names)
	}
	size := 512
	if opt != nil {
		size = max(512, int(opt.UDPSize()))
		m.SetEdns0(1232, opt.Do())
		if f.Extended != 0 || f.ExtendedText != "" {
			o := m.IsEdns0()
			o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: f.Extended, ExtraText: f.ExtendedText})
		}
	}
	if f.WrongID {
		m.Id++
	}
	if f.WrongQuestion {
		m.Question[0].Name = "wrong.invalid."
	}
	if f.LowerCase {
		m.Question[0].Name = dns.CanonicalName(m.Question[0].Name)
	}
	b, err := m.Pack()
	if err != nil {
		return nil, err
	}
	if network == "udp" && (f.Truncate || len(b) > size) || len(b) > 65535 {
		m.Truncated = true
		m.Answer, m.Ns = nil, nil
		return m.Pack()
	}
	return b, nil
}
