package smtp_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// tlsPeer plays a server: plain, then after the handshake secret. It serves any number of connections on 192.0.2.1:25.
func tlsPeer(t *testing.T, server *tls.Config, plain, secret string) *memnet.Network {
	var n memnet.Network
	l, err := n.Listen("tcp", "192.0.2.1:25")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				if !playPlain(nc, plain) {
					return
				}
				s := tls.Server(nc, server)
				if s.Handshake() == nil {
					_ = script(secret).run(s)
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &n
}

// playPlain plays up to the handshake, without reading a byte of it.
func playPlain(nc net.Conn, s string) bool {
	if s == "" {
		return true
	}
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "S: "):
			nc.Write([]byte(strings.ReplaceAll(line[3:], `\r\n`, "\r\n") + "\r\n"))
		case strings.HasPrefix(line, "C: "):
			b := make([]byte, len(line)-3+2)
			for n := 0; n < len(b); {
				k, err := nc.Read(b[n:])
				if err != nil {
					return false
				}
				n += k
			}
			if string(b) != line[3:]+"\r\n" {
				return false
			}
		case line == "X:":
			return false
		}
	}
	return true
}

const (
	startTLS = `
		S: 220 mx.test
		C: EHLO client.test
		S: 250-mx.test
		S: 250 STARTTLS
		C: STARTTLS
	`
	sendOne = `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: QUIT
		S: 221 bye
		X:`
)

func TestClientTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	good, other, expired := ca.Server("mx.test"), ca.Server("other.test"), &tls.Config{Certificates: []tls.Certificate{ca.IssueExpired("mx.test")}}
	for _, c := range []struct {
		name          string
		server        *tls.Config
		plain, secret string
		policy        smtp.TLSPolicy
		set           func(d *smtp.Dialer)
		wantErr       error
		want          string // what the error says, or the reason
		verified      bool
		dials         int
	}{
		{name: "required", server: good, plain: startTLS + "S: 220 go", secret: "C: EHLO client.test\nS: 250 mx.test\n" + sendOne,
			policy: smtp.TLSRequired, want: "STARTTLS", verified: true, dials: 1},
		{name: "required, another name", server: other, plain: startTLS + "S: 220 go", policy: smtp.TLSRequired,
			wantErr: smtp.ErrTLSRequired, want: "other.test", dials: 1},
		{name: "required, expired", server: expired, plain: startTLS + "S: 220 go", policy: smtp.TLSRequired,
			wantErr: smtp.ErrTLSRequired, want: "TLS is required and could not be used: tls: ", dials: 1},
		{name: "required, not offered", server: good, plain: "S: 220 mx.test\nC: EHLO client.test\nS: 250 mx.test\n", policy: smtp.TLSRequired,
			wantErr: smtp.ErrTLSRequired, want: "STARTTLS: not offered: TLS is required", dials: 1},
		{name: "required, refused", server: good, plain: startTLS + "S: 554 5.7.0 no TLS today", policy: smtp.TLSRequired,
			wantErr: smtp.ErrTLSRequired, want: "TLS is required and could not be used: STARTTLS: 554 5.7.0 no TLS today", dials: 1},
		{name: "required, the server hangs up", server: good, plain: startTLS + "S: 220 go\nX:", policy: smtp.TLSRequired,
			wantErr: smtp.ErrTLSRequired, want: "TLS handshake: TLS is required", dials: 1},
		{name: "opportunistic, another name", server: other, plain: startTLS + "S: 220 go", secret: "C: EHLO client.test\nS: 250 mx.test\n" + sendOne,
			want: "STARTTLS", dials: 1},
		{name: "something behind the 220", server: good, plain: startTLS + `S: 220 go\r\n250 injected`, policy: smtp.TLSRequired,
			wantErr: smtp.ErrInjection, dials: 1},
		{name: "something behind the 220, opportunistic", server: good, plain: startTLS + `S: 220 go\r\n250 injected`,
			wantErr: smtp.ErrInjection, dials: 1},
		{name: "implicit", server: good, secret: "S: 220 mx.test\nC: EHLO client.test\nS: 250-mx.test\nS: 250 STARTTLS\n" + sendOne,
			set: func(d *smtp.Dialer) { d.ImplicitTLS = true }, want: "implicit TLS", verified: true, dials: 1},
		{name: "implicit, another name", server: other, set: func(d *smtp.Dialer) { d.ImplicitTLS = true }, want: "other.test",
			wantErr: smtp.ErrTLSRequired, dials: 1},
		{name: "implicit without TLS makes no sense", server: good, set: func(d *smtp.Dialer) { d.ImplicitTLS, d.TLS = true, smtp.TLSNever },
			wantErr: smtp.ErrTLSRequired, dials: 1},
		{name: "with credentials TLS is required", server: good, plain: "S: 220 mx.test\nC: EHLO client.test\nS: 250 AUTH\n",
			set: func(d *smtp.Dialer) { d.Auth = &smtp.Credentials{Username: "u", Password: "p"} }, wantErr: smtp.ErrTLSRequired, dials: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := tlsPeer(t, c.server, c.plain, c.secret)
				dials := 0
				d := client()
				d.NetDial = func(ctx context.Context, network, _ string) (net.Conn, error) {
					dials++
					return n.DialContext(ctx, network, "192.0.2.1:25")
				}
				d.TLS, d.TLSConfig = c.policy, ca.Client()
				if c.set != nil {
					c.set(d)
				}
				r, err := smtp.SendMail(t.Context(), d, "mx.test:25", envelope(t, "alice@a.test", "bob@b.test"), letter)
				require.Equal(t, c.dials, dials)
				if c.wantErr != nil {
					require.ErrorIs(t, err, c.wantErr)
					require.ErrorContains(t, err, c.want)
					e, ok := errors.AsType[*smtp.Error](err)
					require.True(t, ok)
					if c.set == nil {
						require.True(t, e.Temporary(), "what is on the way may be gone tomorrow")
					}
					require.Zero(t, r.Accepted())
					return
				}
				require.NoError(t, err)
				require.Equal(t, c.want, r.TLS.Reason)
				require.Equal(t, c.verified, r.TLS.Verified)
				require.NotNil(t, r.TLS.State)
			})
		})
	}
}

// Opportunistic TLS that fails is followed by plaintext on a new connection, and the Result says so.
func TestClientTLSFallsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n memnet.Network
		l, err := n.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			first, _ := l.Accept()
			playPlain(first, startTLS+"S: 220 go")
			_, _ = bufio.NewReader(first).ReadByte()
			_, _ = first.Write([]byte("this is not TLS\r\n"))
			first.Close()
			second, _ := l.Accept()
			done <- script("S: 220 mx.test\nC: EHLO client.test\nS: 250-mx.test\nS: 250 STARTTLS\n" + sendOne).run(second)
		}()
		d := client()
		d.NetDial = n.DialContext
		r, err := smtp.SendMail(t.Context(), d, "192.0.2.1:25", envelope(t, "alice@a.test", "bob@b.test"), letter)
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.Equal(t, "failed", r.TLS.Reason)
		require.ErrorContains(t, r.TLS.Err, "first record does not look like a TLS handshake")
		require.Nil(t, r.TLS.State)
		l.Close()
	})
}

func TestClientTLSTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nc := peer(t, startTLS+"S: 220 go\nP: 1h\nX:")
		start := time.Now()
		d := client()
		d.TLS = smtp.TLSRequired
		_, err := d.NewConn(background, nc, "mx.test")
		require.ErrorIs(t, err, smtp.ErrTLSRequired)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

// A handshake that fails leaves NewConn without a connection, whatever the policy.
func TestNewConnHandshakeFails(t *testing.T) {
	t.Parallel()
	_, err := client().NewConn(background, peer(t, startTLS+"S: 220 go\nX:"), "mx.test")
	e, ok := errors.AsType[*smtp.Error](err)
	require.True(t, ok)
	require.Equal(t, "TLS handshake", e.Command)
}
