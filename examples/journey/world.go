package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
)

// zones is all that the name server knows. The hosts are on 192.0.2.0/24; world.dial finds the sockets that stand for them. SPF is about the
// addresses that servers really see, which is 127.0.0.1.
const zones = `
sender.test.                 MX   10 mx.sender.test.
sender.test.                 TXT  "v=spf1 ip4:127.0.0.1 -all"
_dmarc.sender.test.          TXT  "v=DMARC1; p=reject"
s1._domainkey.sender.test.   TXT  "%s"
mx.sender.test.              A    192.0.2.10
recipient.test.              MX   10 mx1.recipient.test.
recipient.test.              MX   20 mx2.recipient.test.
mx1.recipient.test.          A    192.0.2.21
mx2.recipient.test.          A    192.0.2.22
nomail.test.                 MX   0 .
bank.test.                   MX   10 mx.bank.test.
bank.test.                   TXT  "v=spf1 ip4:198.51.100.7 -all"
_dmarc.bank.test.            TXT  "v=DMARC1; p=quarantine"
mx.bank.test.                A    198.51.100.7
`

// world is two mail servers and a name server.
type world struct {
	*story
	events    events
	relayWire wire // between the servers
	dns       *dnstest.Server
	ca        *certs.CA
	key       ed25519.PrivateKey
	sockets   map[string]string // what stands for the hosts of the zones
	sender    *house
	recipient *house
	temp      string
	ownLetter bool
}

func newWorld(ctx context.Context, s *story, ownLetter bool) (_ *world, err error) {
	w := &world{story: s, ca: certs.NewCA(), sockets: map[string]string{}, ownLetter: ownLetter}
	w.events.more = make(chan struct{}, 1)
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.temp, err = os.MkdirTemp("", "mailroom-journey-"); err != nil {
		return nil, fmt.Errorf("no room for the queues: %w", err)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	record, err := dkim.Record(pub)
	if err != nil {
		return nil, err
	}
	w.key = key
	if w.dns, err = dnstest.Start(fmt.Sprintf(zones, record)); err != nil {
		return nil, err
	}
	if w.sender, err = newHouse(ctx, w, "sender.test", "mx.sender.test", user{"alice", "wonderland", 0}); err != nil {
		return nil, err
	}
	if w.recipient, err = newHouse(ctx, w, "recipient.test", "mx2.recipient.test", user{"bob", "builder", 0}, user{"carol", "small", 1500}); err != nil {
		return nil, err
	}
	down, err := closedPort()
	if err != nil {
		return nil, err
	}
	w.sockets["192.0.2.10:25"] = w.sender.addr["smtp"]
	w.sockets["192.0.2.21:25"] = down
	w.sockets["192.0.2.22:25"] = w.recipient.addr["smtp"]
	s.printf("Two mail servers and a name server, on loopback:\n  DNS %s\n", w.dns.Addr())
	for _, h := range []*house{w.sender, w.recipient} {
		s.printf("  %-14s  smtp %s  submission %s  imap %s  pop3 %s\n", h.domain, h.addr["smtp"], h.addr["submission"], h.addr["imap"], h.addr["pop3"])
	}
	return w, nil
}

// closedPort gives an address where nobody listens.
func closedPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// dial connects to the socket that stands for a host of the zones.
func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	socket, ok := w.sockets[addr]
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New(addr + " is no host of this world")}
	}
	return (&net.Dialer{}).DialContext(ctx, network, socket)
}

// resolver gives a server its view of DNS.
func (w *world) resolver(own ...string) *mxresolve.Resolver {
	return &mxresolve.Resolver{
		Upstreams: []mxresolve.Upstream{{Addr: w.dns.Addr()}}, Names: own,
		Trace: &mxresolve.Trace{Answered: func(a mxresolve.AnsweredInfo) {
			w.events.add(event{kind: "dns", question: fmt.Sprintf("%s %s: %s in %.1f ms", a.Name, a.Type, a.Rcode, ms(a.Took))})
		}},
	}
}

// trace hears what the servers say to each other.
func (w *world) trace() *smtp.ClientTrace { return clientTrace(&w.relayWire) }

func (w *world) queueTrace() *queue.Trace {
	return &queue.Trace{
		Queued: func(queue.ID, *smtp.Envelope) { w.events.add(event{kind: "queued"}) },
		Route: func(_ queue.ID, _ string, hosts []queue.Host, err error) {
			w.events.add(event{kind: "route", hosts: hosts, err: err})
		},
		Attempt: func(_ queue.ID, host queue.Host, addr string, err error) {
			w.events.add(event{kind: "attempt", host: host, addr: addr, err: err})
		},
		Recipient: func(_ queue.ID, to smtp.ForwardPath, s queue.State, err error) {
			w.events.add(event{kind: "recipient", to: to, state: s, err: err})
		},
		Notified: func(queue.ID, smtp.ReversePath, smtp.Content) { w.events.add(event{kind: "notified"}) },
	}
}

// begin gets ready for another letter.
func (w *world) begin(title string) {
	w.letter(title)
	w.events.clear()
	w.relayWire.take(true)
	w.dns.ResetQueries()
}

func (w *world) close() {
	for _, h := range []*house{w.sender, w.recipient} {
		if h != nil {
			h.close()
		}
	}
	if w.dns != nil {
		w.dns.Close()
	}
	if w.temp != "" {
		os.RemoveAll(w.temp)
	}
}
