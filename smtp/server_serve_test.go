package smtp

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
)

func TestServeErrors(t *testing.T) {
	t.Parallel()
	var n memnet.Network
	for want, serve := range map[string]func() error{
		"Handler is not set": func() error {
			l, err := n.Listen("tcp", "192.0.2.1:25")
			require.NoError(t, err)
			return new(Server).Serve(l)
		},
		"needs Server.TLSConfig": func() error {
			l, err := n.Listen("tcp", "192.0.2.1:465")
			require.NoError(t, err)
			return (&Server{Handler: &recorder{}}).ServeTLS(l)
		},
		ErrServerClosed.Error(): func() error {
			l, err := n.Listen("tcp", "192.0.2.1:587")
			require.NoError(t, err)
			srv := &Server{Handler: &recorder{}}
			require.NoError(t, srv.Close())
			return srv.Serve(l)
		},
	} {
		require.ErrorContains(t, serve(), want)
	}
	for _, addr := range []string{"192.0.2.1:25", "192.0.2.1:465", "192.0.2.1:587"} {
		l, err := n.Listen("tcp", addr) // Serve has closed the listener
		require.NoError(t, err)
		l.Close()
	}
}

// Our client against our server, in every mode; Close leaves no goroutine behind, which the bubble checks.
func TestClientAndServer(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	text := "Subject: hi\r\n\r\n.dots\r\n..more\r\n" + string(mailText(100<<10))
	for name, tt := range map[string]struct {
		server *Server
		dialer *Dialer
	}{
		"pipelining and chunking": {&Server{}, &Dialer{}},
		"no chunking":             {&Server{Withhold: ExtChunking}, &Dialer{}},
		"nothing":                 {&Server{Withhold: ^Extensions(0)}, &Dialer{}},
		"STARTTLS and AUTH":       {&Server{Mode: Submission, Auth: fileAuth{}, TLSConfig: ca.Server("192.0.2.1")}, &Dialer{TLSConfig: ca.Client(), Auth: &Credentials{Username: "alice", Password: "secret"}}},
		"SCRAM":                   {&Server{Mode: Submission, SCRAM: scramKeys{}, TLSConfig: ca.Server("192.0.2.1")}, &Dialer{TLSConfig: ca.Client(), Auth: &Credentials{Username: "alice", Password: "secret"}}},
		"LMTP":                    {&Server{Mode: LMTP}, &Dialer{LMTP: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n memnet.Network
				l, err := n.Listen("tcp", "192.0.2.1:25")
				require.NoError(t, err)
				srv := tt.server
				var got bytes.Buffer
				var peer *Peer
				srv.Handler = HandlerFunc(func(_ context.Context, p *Peer, _ *Envelope, m io.Reader) error {
					peer = p
					_, err := io.Copy(&got, m)
					return err
				})
				done := make(chan error, 1)
				go func() { done <- srv.Serve(l) }()
				tt.dialer.NetDial, tt.dialer.Hostname = n.Host("198.51.100.7").DialContext, "client.example"
				e, err := NewEnvelope("a@example.org", "b@example.org", `"c d"@example.org`)
				require.NoError(t, err)
				_, err = SendMail(context.Background(), tt.dialer, "192.0.2.1:25", e, StringContent(text))
				require.NoError(t, err)
				require.Equal(t, text, got.String())
				require.Equal(t, "198.51.100.7", peer.Remote.Addr().String())
				require.Equal(t, "192.0.2.1:25", peer.Local.String())
				require.Equal(t, tt.server.TLSConfig != nil, peer.TLS != nil)
				require.NoError(t, srv.Close())
				require.ErrorIs(t, <-done, ErrServerClosed)
			})
		})
	}
}

// Passwords go neither to the log nor to the trace, however they are given.
func TestSecretsAreStruckOut(t *testing.T) {
	t.Parallel()
	var log, trace bytes.Buffer
	srv := &Server{Auth: fileAuth{}, InsecureAuth: true, Limits: Limits{FailDelay: -1}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	srv.Trace = &ServerTrace{
		Connected: func(p *Peer) { fmt.Fprintln(&trace, "connected") },
		Authenticated: func(p *Peer, a AuthInfo) {
			fmt.Fprintln(&trace, "authenticated", a.Mechanism, a.Username, a.Identity, a.Err)
		},
		Command:      func(p *Peer, line string) { fmt.Fprintln(&trace, "C:", line) },
		Reply:        func(p *Peer, lines string) { fmt.Fprint(&trace, "S: ", lines) },
		Message:      func(p *Peer, m MessageInfo) { fmt.Fprintln(&trace, "message", m.Size, m.Recipients, m.Err) },
		Disconnected: func(p *Peer, err error) { fmt.Fprintln(&trace, "disconnected", err) },
	}
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	w := serve(t, srv).hello()
	w.ask("AUTH PLAIN "+b64("\x00alice\x00wrong"), "535 ")
	w.ask("AUTH\tPLAIN\t"+b64("secret"), "50")
	w.ask("  AUTH PLAIN "+b64("secret"), "50")
	w.send("AUTH NTLM\r\n" + b64("secret") + "\r\n") // does not wait to see that it is refused
	w.reply("504 ")
	w.reply("500 ")
	w.ask("auth login "+b64("alice"), "334 ")
	w.ask(b64("secret"), "235 ")
	w.mail()
	w.ask("DATA", "354 ")
	w.ask("x\r\n.", "250 ")
	w.ask("MAIL FROM:<plain@example.org>", "451 ")
	w.quit()
	for _, text := range []string{log.String(), trace.String()} {
		for _, secret := range []string{"secret", "wrong", b64("secret"), b64("\x00alice\x00wrong"), b64("\x00alice\x00wrong")[:12]} {
			require.NotContains(t, text, secret+" ")
			require.NotContains(t, text, b64("secret"))
		}
	}
	require.Contains(t, log.String(), "alice@example.org")
	require.Contains(t, log.String(), "hunter2") // what the handler's own error says is for the log
	require.NotContains(t, trace.String(), "hunter2")
	require.Contains(t, trace.String(), "C: AUTH PLAIN ***\n")
	require.Contains(t, trace.String(), "C: AUTH login ***\nS: 334 ***\r\nC: ***\n")
	require.Contains(t, trace.String(), "\nauthenticated PLAIN alice  sasl: authentication failed\nS: 535")
	require.Contains(t, trace.String(), "\nauthenticated LOGIN alice alice@example.org <nil>\nS: 235")
	require.Contains(t, trace.String(), "message 3 1 <nil>\n")
	for _, line := range []string{`msg=connected ID local=\S+ proxied=false`, `msg="logged in" ID user=alice@example.org mechanism=LOGIN`, `msg=message ID user=alice@example.org octets=3 recipients=1`, `msg=disconnected ID user=alice@example.org`} {
		require.Regexp(t, strings.ReplaceAll(line, "ID", `id=\w+ remote=\S+`)+"\n", log.String(), "as imap and pop3 log it")
	}
	require.True(t, strings.HasSuffix(trace.String(), "disconnected <nil>\n"))
}

// Failures are counted by address over connections, so that guessing does not begin anew with each.
func TestAuthFailuresOverConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Auth: fileAuth{}, InsecureAuth: true, Limits: Limits{AuthFailures: 100, BadCommands: 100}}
		guess := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00alice\x00wrong"))
		for range 3 {
			w := serve(t, srv).hello()
			for range 10 {
				w.ask(guess, "535 ")
			}
			w.quit()
		}
		w := serve(t, srv).hello()
		w.ask(guess, "454 4.7.0")
		w.quit()
	})
}

// A client that goes on long after the limit is cut, with the reason.
func TestFarTooLarge(t *testing.T) {
	t.Parallel()
	for _, begin := range []string{"DATA\r\n", "BDAT 100000000 LAST\r\n"} {
		r := &recorder{}
		w := serve(t, &Server{Handler: r, Limits: Limits{MessageSize: 1000}}).hello().mail()
		w.send(begin)
		if begin == "DATA\r\n" {
			w.reply("354 ")
		}
		go func() {
			for {
				if _, err := w.conn.Write(mailText(10000)); err != nil {
					return
				}
			}
		}()
		w.reply("552 5.3.4 message far too large")
		require.ErrorIs(t, w.closed(), errTooLarge)
		require.Contains(t, r.log(), "data failed: 552 5.3.4")
	}
}

// Replies to a long row of recipients are not held back until the last is decided.
func TestSlowDecisions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, &Server{Handler: slowHandler{}})
		w.reply("220 ")
		w.send("EHLO client.example\r\nMAIL FROM:<a@example.org>\r\n" + strings.Repeat("RCPT TO:<b@example.org>\r\n", 60))
		w.reply("250 ")
		w.reply("250 2.1.0")
		w.reply("250 2.1.5")
		for range 59 {
			within(t, 10*time.Second, 10*time.Second, func() { w.reply("250 2.1.5") })
		}
		w.quit()
	})
}

type slowHandler struct{}

func (h slowHandler) Connect(context.Context, *Peer) (Session, error) { return h, nil }
func (h slowHandler) Begin(context.Context, *Peer, ReversePath, MailParams) (Transaction, error) {
	return h, nil
}
func (h slowHandler) Rcpt(context.Context, ForwardPath, RcptParams) error {
	time.Sleep(10 * time.Second)
	return nil
}
func (h slowHandler) Data(context.Context, io.Reader) (Receipt, error) { return Receipt{}, nil }
func (h slowHandler) Abort()                                           {}

// The reader of a message keeps the rules of readers, and is dead after Data.
func TestMessageReader(t *testing.T) {
	t.Parallel()
	text := mailText(70 << 10)
	var kept io.Reader
	srv := &Server{Handler: HandlerFunc(func(_ context.Context, _ *Peer, e *Envelope, m io.Reader) error {
		kept = m
		switch e.From.Local {
		case "iotest":
			return iotest.TestReader(readerOnly{m}, text)
		case "octets":
			got, err := io.ReadAll(iotest.OneByteReader(m))
			if err == nil && !bytes.Equal(got, text) {
				err = fmt.Errorf("read %d octets of %d", len(got), len(text))
			}
			return err
		}
		var b bytes.Buffer
		if _, err := io.CopyN(&b, m, 1000); err != nil {
			return err
		}
		if _, err := io.Copy(&b, m); err != nil || !bytes.Equal(b.Bytes(), text) {
			return fmt.Errorf("copied %d octets of %d: %w", b.Len(), len(text), err)
		}
		n, err := m.Read(make([]byte, 1))
		if n != 0 || err != io.EOF {
			return fmt.Errorf("%d, %v after the end", n, err)
		}
		return nil
	})}
	w := serve(t, srv).hello()
	for _, from := range []string{"iotest", "octets", "copy"} {
		w.ask("MAIL FROM:<"+from+"@example.org>", "250 ")
		w.ask("RCPT TO:<b@example.org>", "250 ")
		w.ask("DATA", "354 ")
		w.ask(string(text)+".", "250 ")
		_, err := kept.Read(make([]byte, 1))
		require.ErrorIs(t, err, errDataReturned)
	}
	w.quit()
}

type readerOnly struct{ io.Reader }

// Many clients at once, some of which are rude: every message arrives once, and nothing is left.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients, messages = 40, 5
		var n memnet.Network
		l, err := n.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		var mu sync.Mutex
		got := make(map[string]int)
		srv := &Server{Handler: HandlerFunc(func(_ context.Context, _ *Peer, e *Envelope, m io.Reader) error {
			text, err := io.ReadAll(m)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				got[e.From.String()+" "+strings.TrimSpace(string(text[:20]))]++
			}
			return err
		})}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				if i%4 == 0 { // leaves in the middle of its message
					c, err := n.DialContext(context.Background(), "tcp", "192.0.2.1:25")
					require.NoError(t, err)
					io.WriteString(c, "EHLO x\r\nMAIL FROM:<rude@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nhalf a message\r\n")
					c.Close()
					return
				}
				d := &Dialer{NetDial: n.DialContext, Hostname: "client.example"}
				c, err := d.Dial(context.Background(), "192.0.2.1:25")
				require.NoError(t, err)
				defer c.Close()
				e, err := NewEnvelope(fmt.Sprintf("c%d@example.org", i), "b@example.org")
				require.NoError(t, err)
				for k := range messages {
					_, err := c.Send(context.Background(), e, StringContent(fmt.Sprintf("%-20d", k)+string(mailText(i<<10))))
					require.NoError(t, err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, srv.Shutdown(context.Background()))
		require.ErrorIs(t, <-done, ErrServerClosed)
		require.Len(t, got, clients*3/4*messages)
		for what, times := range got {
			require.Equal(t, 1, times, what)
		}
	})
}
