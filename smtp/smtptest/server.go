package smtptest

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/smtphook"
	"github.com/gomailroom/mailroom/smtp"
)

// TB is what a Server needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// A Server is an SMTP or LMTP server for tests. It takes every message, unless told otherwise, and keeps it. Fields are set before Start.
type Server struct {
	Addr string // where it listens, "127.0.0.1:40123"; set by Start

	// Listener is where it listens; nil: a port of its own on 127.0.0.1.
	Listener net.Listener
	// NetDial is how Dialer reaches the Listener, where that is not a real network.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Config is the server underneath: Mode, Limits, Offer, Withhold and so on. NewUnstartedServer has set TLSConfig, so that STARTTLS is offered; nil takes it away.
	// A Handler is asked after the script, and what it refuses is not kept; nil takes everything. Auth is set from Users.
	Config *smtp.Server

	// Users are names and passwords. With any the server offers AUTH PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 and the -PLUS forms of these; in the mode Submission it asks
	// for it. Tokens are names and bearer tokens, for OAUTHBEARER and XOAUTH2. Without TLSConfig it is all offered in the clear.
	Users, Tokens map[string]string

	// Faults gives what goes wrong on a connection; connections are counted from 1. nil: nothing does.
	Faults func(conn int) []Fault

	tb       TB
	ca       *certs.CA
	implicit bool
	served   chan struct{}
	cancel   context.CancelFunc // ends all connections
	conns    sync.WaitGroup

	mu       sync.Mutex
	rules    []*ruleState
	messages []*Received
	changed  chan struct{} // closed and replaced when a message comes
	count    int           // connections so far
}

// alone stands for a test where there is none.
type alone struct{}

func (alone) Helper()                           {}
func (alone) Cleanup(func())                    {}
func (alone) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// NewServer starts a server on 127.0.0.1 that is closed when the test ends. Outside of a test tb may be nil; then the caller closes it.
func NewServer(tb TB) *Server {
	s := NewUnstartedServer(tb)
	s.tb.Helper()
	s.Start()
	return s
}

// NewUnstartedServer makes a server whose fields can be set before Start or StartTLS.
func NewUnstartedServer(tb TB) *Server {
	if tb == nil {
		tb = alone{}
	}
	ca := certs.NewCA()
	return &Server{
		tb: tb, ca: ca, changed: make(chan struct{}),
		Config: &smtp.Server{Hostname: "mx.test", TLSConfig: ca.Server("localhost", "mx.test", "127.0.0.1", "::1")},
	}
}

// Start listens. When it returns, clients can connect.
func (s *Server) Start() { s.tb.Helper(); s.start(false) }

// StartTLS listens for implicit TLS, as port 465 does.
func (s *Server) StartTLS() { s.tb.Helper(); s.start(true) }

func (s *Server) start(implicit bool) {
	s.tb.Helper()
	if s.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.tb.Fatalf("smtptest: %v", err)
			return
		}
		s.Listener = l
	}
	s.Addr, s.implicit, s.served = s.Listener.Addr().String(), implicit, make(chan struct{})
	s.Config.Handler = &recorder{s: s, next: s.Config.Handler}
	if len(s.Users) > 0 {
		u := users(s.Users)
		s.Config.Auth, s.Config.SCRAM, s.Config.SCRAMHashes, s.Config.Secrets = u, u, []string{"SHA-256", "SHA-1"}, u
	}
	if len(s.Tokens) > 0 {
		s.Config.Tokens = tokens(s.Tokens)
	}
	if s.Config.TLSConfig == nil && len(s.Users)+len(s.Tokens) > 0 {
		s.Config.InsecureAuth = true
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	go s.serve(ctx)
	s.tb.Cleanup(s.Close)
}

func (s *Server) serve(ctx context.Context) {
	defer close(s.served)
	for {
		nc, err := s.Listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.count++
		n := s.count
		s.mu.Unlock()
		s.conns.Go(func() {
			ctx := context.WithValue(ctx, cutKey{}, nc.Close)
			ctx = smtphook.With(ctx, func(verb string) error { return s.play(ctx, OnCommand, verb) })
			if s.Faults != nil {
				nc = newFaultyConn(ctx, nc, s.Faults(n))
			}
			if s.implicit {
				nc = tls.Server(nc, s.Config.TLSConfig)
			}
			_ = s.Config.ServeConn(ctx, nc) // what a connection ended with is the client's to see
		})
	}
}

// Close stops listening, cuts the connections, and waits until all of it has ended. It may be called more than once.
func (s *Server) Close() {
	_ = s.Listener.Close()
	s.cancel()
	<-s.served
	s.conns.Wait()
}

// Connections counts the connections so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// ClientTLS gives a configuration for clients that trusts this server's certificate, which is for localhost, mx.test, 127.0.0.1 and ::1.
func (s *Server) ClientTLS() *tls.Config { return s.ca.Client() }

// CertPEM gives the certificate to trust as a file for other programs would have it, in PEM.
func (s *Server) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca.Certificate().Raw})
}

// Dialer gives a client for this server: it trusts the certificate, and authenticates as the first of the Users, by name, or else with the first of the Tokens.
func (s *Server) Dialer() *smtp.Dialer {
	d := &smtp.Dialer{Hostname: "client.test", TLSConfig: s.ClientTLS(), ImplicitTLS: s.implicit, NetDial: s.NetDial, LMTP: s.Config.Mode == smtp.LMTP}
	d.TLSConfig.ServerName = "mx.test"
	if s.Config.TLSConfig != nil {
		d.TLS = smtp.TLSRequired
	}
	for name, token := range s.Tokens {
		if d.Auth == nil || name < d.Auth.Username {
			d.Auth = &smtp.Credentials{Username: name, Token: func(context.Context) (string, error) { return token, nil }}
		}
	}
	if len(s.Users) > 0 {
		d.Auth = nil
	}
	for name, password := range s.Users {
		if d.Auth == nil || name < d.Auth.Username {
			d.Auth = &smtp.Credentials{Username: name, Password: password}
		}
	}
	return d
}

// Send sends a message to the server itself, as a client would: for tests of what reads Messages.
func (s *Server) Send(ctx context.Context, from string, to []string, message string) error {
	e, err := smtp.NewEnvelope(from, to...)
	if err != nil {
		return err
	}
	_, err = smtp.SendMail(ctx, s.Dialer(), s.Addr, e, smtp.StringContent(message))
	return err
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("smtptest: %w", context.Cause(ctx))
	}
}
