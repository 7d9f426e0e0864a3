package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/middleware"
)

// gate is a handler that refuses the local parts "no", and tells of what it is asked.
type gate struct{ calls []string }

func (g *gate) note(format string, args ...any) {
	g.calls = append(g.calls, fmt.Sprintf(format, args...))
}

func (g *gate) Connect(_ context.Context, p *smtp.Peer) (smtp.Session, error) {
	g.note("connect %s", p.Remote.Addr())
	return g, nil
}

var errNo = &smtp.Error{Code: 550, Enhanced: smtp.EnhancedCode{5, 1, 1}, Text: "no"}

func (g *gate) Begin(_ context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	g.note("begin %s %s %s %d", p.Hello, p.Identity, from, params.Size)
	if from.Local == "no" {
		return nil, errNo
	}
	return gateTransaction{g}, nil
}

type gateTransaction struct{ *gate }

func (g gateTransaction) Rcpt(_ context.Context, to smtp.ForwardPath, params smtp.RcptParams) error {
	g.note("rcpt %s %d", to, params.Notify)
	if to.Local == "no" {
		return errNo
	}
	return nil
}

func (g gateTransaction) Data(_ context.Context, message io.Reader) (smtp.Receipt, error) {
	b, err := io.ReadAll(message)
	_, fast := message.(io.WriterTo)
	g.note("data %q %v %v", b, err, fast)
	return smtp.Receipt{Text: "queued as 7"}, err
}

func (g gateTransaction) Abort() { g.note("abort") }

// world is a server on an in-memory network, within a bubble of time.
type world struct {
	t   *testing.T
	n   memnet.Network
	srv *smtp.Server
}

func run(t *testing.T, srv *smtp.Server, test func(w *world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, srv: srv}
		l, err := w.n.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		srv.Hostname = "mx.example.org"
		done := make(chan error)
		go func() { done <- srv.Serve(l) }()
		defer func() {
			srv.Close()
			require.ErrorIs(t, <-done, smtp.ErrServerClosed)
		}()
		test(w)
	})
}

type client struct {
	w *world
	net.Conn
	r *bufio.Reader
}

func (w *world) dial(from string) *client {
	c, err := w.n.Host(from).DialContext(w.t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(w.t, err)
	return &client{w, c, bufio.NewReader(c)}
}

// reply gives the last line of a reply; "" at the end of the connection.
func (c *client) reply() string {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if line[3] == ' ' {
			return strings.TrimSuffix(line, "\r\n")
		}
	}
}

func (c *client) say(line, want string) {
	c.w.t.Helper()
	_, err := io.WriteString(c, line+"\r\n")
	require.NoError(c.w.t, err)
	got := c.reply()
	require.True(c.w.t, strings.HasPrefix(got, want), "%.100s: %s", line, got)
}

func (c *client) expect(want string) *client {
	c.w.t.Helper()
	got := c.reply()
	require.True(c.w.t, strings.HasPrefix(got, want) && (want != "" || got == ""), got)
	return c
}

func TestNetworks(t *testing.T) {
	office, guest := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.66/32")
	v6 := netip.MustParsePrefix("2001:db8::/32")
	h := middleware.Chain(&gate{}, middleware.Allow(office, v6), middleware.Deny(guest))
	run(t, &smtp.Server{Handler: h}, func(w *world) {
		w.dial("192.0.2.7").expect("220")
		w.dial("2001:db8::7").expect("220")
		w.dial("192.0.2.66").expect("554 5.7.1 your address is not welcome").say("EHLO client.example", "503")
		w.dial("203.0.113.7").expect("554 5.7.1").say("QUIT", "221")
	})
}

func TestLimitConnections(t *testing.T) {
	limits := middleware.ConnectionLimits{PerAddress: 2, PerNetwork: 3}
	run(t, &smtp.Server{Handler: middleware.Chain(&gate{}, middleware.LimitConnections(limits))}, func(w *world) {
		first := w.dial("192.0.2.7").expect("220")
		w.dial("192.0.2.7").expect("220")
		w.dial("192.0.2.7").expect("421 4.7.0 too many connections").expect("")
		w.dial("192.0.2.8").expect("220")
		w.dial("192.0.2.9").expect("421 4.7.0")
		w.dial("192.0.3.9").expect("220")
		w.dial("2001:db8:0:1::1").expect("220")
		w.dial("2001:db8:0:1::2").expect("220")
		w.dial("2001:db8:0:1::3").expect("220")
		w.dial("2001:db8:0:1::4").expect("421 4.7.0")
		w.dial("2001:db8:0:2::4").expect("220")
		first.say("QUIT", "221")
		synctest.Wait()
		w.dial("192.0.2.9").expect("220")
	})
}

func TestLimitConnectionsWithout(t *testing.T) {
	limits := middleware.ConnectionLimits{PerAddress: -1, PerNetwork: -1}
	run(t, &smtp.Server{Handler: middleware.Chain(&gate{}, middleware.LimitConnections(limits))}, func(w *world) {
		for range 100 {
			w.dial("192.0.2.7").expect("220")
		}
	})
}

func TestLimitRate(t *testing.T) {
	rates := middleware.Rates{
		Connections: middleware.Rate{Events: 5, Per: time.Hour},
		Messages:    middleware.Rate{Events: 2, Per: time.Minute},
		Recipients:  middleware.Rate{Events: 3, Per: time.Hour},
	}
	run(t, &smtp.Server{Handler: middleware.Chain(&gate{}, middleware.LimitRate(rates))}, func(w *world) {
		c := w.dial("192.0.2.7").expect("220")
		c.say("EHLO x", "250")
		for range 2 {
			c.say("MAIL FROM:<a@x.example>", "250")
			c.say("RSET", "250")
		}
		c.say("MAIL FROM:<a@x.example>", "450 4.7.1")
		time.Sleep(30 * time.Second) // one has been worked off
		c.say("MAIL FROM:<a@x.example>", "250")
		for range 3 {
			c.say("RCPT TO:<b@x.example>", "250")
		}
		c.say("RCPT TO:<b@x.example>", "450 4.7.1")
		w.dial("192.0.2.8").expect("220")
		for range 4 {
			w.dial("192.0.2.7").expect("220")
		}
		w.dial("192.0.2.7").expect("421 4.7.0")
		time.Sleep(time.Hour)
		w.dial("192.0.2.7").expect("220")
	})
}

type anyone struct{}

func (anyone) VerifyPassword(_ context.Context, _ netip.Addr, _, username, _ string) (string, error) {
	return username, nil
}

// TestRateByIdentity: who has authenticated is counted by name, from wherever.
func TestRateByIdentity(t *testing.T) {
	rates := middleware.Rates{Messages: middleware.Rate{Events: 1, Per: time.Minute}, MaxEntries: 4}
	srv := &smtp.Server{Handler: middleware.Chain(&gate{}, middleware.LimitRate(rates)), Auth: anyone{}, InsecureAuth: true}
	run(t, srv, func(w *world) {
		for i, want := range []string{"250", "450", "450"} {
			c := w.dial(fmt.Sprintf("192.0.2.%d", i+2)).expect("220")
			c.say("EHLO x", "250")
			c.say("AUTH PLAIN AGFsaWNlAHg=", "235")
			c.say("MAIL FROM:<a@x.example>", want)
		}
		for i := range 100 { // many others: memory is bounded, and the longest silent are forgotten
			c := w.dial(fmt.Sprintf("198.51.100.%d", i+1)).expect("220")
			c.say("EHLO x", "250")
			c.say("MAIL FROM:<a@x.example>", "250")
			c.say("RSET", "250")
			c.say("MAIL FROM:<a@x.example>", "450")
			c.Close()
		}
	})
}

func TestTarpit(t *testing.T) {
	pit := middleware.Tarpit(middleware.Patience{After: 2, Delay: 2 * time.Second, Max: 5 * time.Second})
	run(t, &smtp.Server{Handler: middleware.Chain(&gate{}, pit)}, func(w *world) {
		c := w.dial("192.0.2.7").expect("220")
		c.say("EHLO x", "250")
		start := time.Now()
		took := func(want time.Duration) {
			t.Helper()
			require.Equal(t, want, time.Since(start))
			start = time.Now()
		}
		c.say("MAIL FROM:<no@x.example>", "550")
		c.say("MAIL FROM:<a@x.example>", "250")
		c.say("RCPT TO:<no@x.example>", "550")
		took(0)
		c.say("RCPT TO:<no@x.example>", "550")
		took(2 * time.Second)
		c.say("RCPT TO:<b@x.example>", "250")
		took(0)
		c.say("RCPT TO:<no@x.example>", "550")
		took(4 * time.Second)
		c.say("RCPT TO:<no@x.example>", "550")
		took(5 * time.Second)
		c.say("DATA", "354")
		c.say("a\nb\r\n.", "554 5.6.0")
		took(5 * time.Second)

		io.WriteString(c, "MAIL FROM:<no@x.example>\r\n") // Close does not wait for it
	})
}

func TestEarlyTalkers(t *testing.T) {
	srv := &smtp.Server{Handler: middleware.Chain(&gate{}, middleware.RefuseEarly()), GreetingDelay: 3 * time.Second}
	run(t, srv, func(w *world) {
		start := time.Now()
		c := w.dial("192.0.2.7").expect("220")
		require.Equal(t, 3*time.Second, time.Since(start))
		c.say("EHLO x", "250")

		c = w.dial("192.0.2.7")
		time.Sleep(time.Second)
		io.WriteString(c, "EHLO x\r\n")
		c.expect("554 5.5.1 you spoke before the greeting").expect("503 5.5.1").say("QUIT", "221")
		require.Equal(t, 4*time.Second, time.Since(start))
	})
}

func TestRequireTLS(t *testing.T) {
	h := middleware.Chain(&gate{}, middleware.RequireTLS(netip.MustParsePrefix("192.0.2.8/32")))
	run(t, &smtp.Server{Handler: h}, func(w *world) {
		for from, want := range map[string]string{"192.0.2.7": "530 5.7.0", "192.0.2.8": "250"} {
			c := w.dial(from).expect("220")
			c.say("EHLO x", "250")
			c.say("MAIL FROM:<a@x.example>", want)
		}
	})
}

// everything is all policies, none of which has anything to say about an ordinary message.
func everything() []func(smtp.Handler) smtp.Handler {
	return []func(smtp.Handler) smtp.Handler{
		middleware.Allow(netip.MustParsePrefix("0.0.0.0/0")), middleware.Deny(),
		middleware.LimitConnections(middleware.ConnectionLimits{}),
		middleware.LimitRate(middleware.Rates{Messages: middleware.Rate{Events: 100, Per: time.Hour}, Recipients: middleware.Rate{Events: 100, Per: time.Hour}}),
		middleware.RefuseEarly(), middleware.RequireTLS(netip.MustParsePrefix("0.0.0.0/0")),
		middleware.Tarpit(middleware.Patience{}), middleware.Submission(middleware.SubmissionRules{}),
	}
}

const letter = "From: a@x.example\r\n\r\n..\r\nend\r\n"

// TestNothingIsLost: a handler is asked the same with and without policies around it, and the client is told the same.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	talk := func(wrap func(smtp.Handler) smtp.Handler) (told []string, calls string) {
		synctest.Test(t, func(t *testing.T) {
			g := &gate{}
			client, server := memnet.Pipe()
			srv := &smtp.Server{Handler: wrap(g), Hostname: "mx.example.org", Mode: smtp.LMTP}
			go srv.ServeConn(t.Context(), server)
			go func() {
				io.WriteString(client, "LHLO x\r\nMAIL FROM:<no@x.example>\r\nMAIL FROM:<a@x.example> SIZE=40\r\nRCPT TO:<no@x.example>\r\n"+
					"RCPT TO:<b@x.example> NOTIFY=NEVER\r\nRCPT TO:<c@x.example>\r\nDATA\r\n"+letter+".\r\nMAIL FROM:<>\r\nRSET\r\n"+
					"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nFrom: a@x.example\r\n\r\na\rb\r\n.\r\nQUIT\r\n")
				client.(interface{ CloseWrite() error }).CloseWrite()
			}()
			out, err := io.ReadAll(client)
			require.NoError(t, err)
			told, calls = strings.Split(string(out), "\r\n"), strings.Join(g.calls, "\n")
		})
		return told, calls
	}
	plain, asked := talk(func(h smtp.Handler) smtp.Handler { return h })
	require.Contains(t, asked, `data "From: a@x.example\r\n\r\n.\r\nend\r\n" <nil> true`)
	require.Contains(t, asked, "bare CR")
	all := everything()
	again, wrapped := talk(func(h smtp.Handler) smtp.Handler { return middleware.Chain(h, all[:len(all)-1]...) })
	require.Equal(t, plain, again)
	require.Equal(t, asked, wrapped)
	again, wrapped = talk(func(h smtp.Handler) smtp.Handler { return middleware.Chain(h, all...) })
	require.Equal(t, plain, again)
	wrapped, _, _ = strings.Cut(wrapped, "bare CR")
	asked, _, _ = strings.Cut(asked, "bare CR")
	require.Equal(t, cutLastLine(asked), cutLastLine(wrapped)) // the message that breaks off in its header is not begun
}

func cutLastLine(s string) string { return s[:strings.LastIndexByte(s, '\n')] }

// TestOrder: the first policy is asked first, and what it refuses the others do not see.
func TestOrder(t *testing.T) {
	t.Parallel()
	var order []string
	step := func(name string, err error) func(smtp.Handler) smtp.Handler {
		return func(h smtp.Handler) smtp.Handler {
			return step{h, func() error { order = append(order, name); return err }}
		}
	}
	stop := errors.New("stop")
	_, err := middleware.Chain(&gate{}, step("1", nil), step("2", stop), step("3", nil)).Connect(t.Context(), &smtp.Peer{})
	require.ErrorIs(t, err, stop)
	require.Equal(t, []string{"1", "2"}, order)
}

type step struct {
	smtp.Handler
	before func() error
}

func (s step) Connect(ctx context.Context, p *smtp.Peer) (smtp.Session, error) {
	if err := s.before(); err != nil {
		return nil, err
	}
	return s.Handler.Connect(ctx, p)
}
