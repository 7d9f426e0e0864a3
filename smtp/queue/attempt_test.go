package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// routerFunc is a Router.
type routerFunc func(ctx context.Context, domain string, attempt int) ([]Host, error)

func (f routerFunc) Route(ctx context.Context, domain string, attempt int) ([]Host, error) {
	return f(ctx, domain, attempt)
}

// TestNothingTriedIsNothingDelivered has routes that come to nothing: hosts without addresses, and an answer that comes when the queue has been told to end.
func TestNothingTriedIsNothingDelivered(t *testing.T) {
	t.Parallel()
	for name, route := range map[string]routerFunc{
		"no host":    func(context.Context, string, int) ([]Host, error) { return nil, nil },
		"no address": func(context.Context, string, int) ([]Host, error) { return []Host{{Name: "mx.a.test"}}, nil },
		"too late": func(ctx context.Context, _ string, _ int) ([]Host, error) {
			<-ctx.Done()
			return []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				w.queue.Router = route
				w.once("", "x@a.test")
				list := all(t, store)
				require.Len(t, list, 1)
				require.Equal(t, Waiting, list[0].States[0].Phase)
			})
		})
	}
}

// last is a listener that knows its last connection.
type last struct {
	net.Listener
	conn atomic.Pointer[net.Conn]
}

func (l *last) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.conn.Store(&c)
	}
	return c, err
}

// TestMaybeDeliveredIsNotHandedOn loses the connection when the first host has the whole message: the second host is not given it at once, since the first may have taken it.
func TestMaybeDeliveredIsNotHandedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		inner, err := w.net.Listen("tcp", "192.0.2.1:25")
		require.NoError(t, err)
		l := &last{Listener: inner}
		s := &smtp.Server{Hostname: "mx1.a.test", Handler: smtp.HandlerFunc(func(_ context.Context, _ *smtp.Peer, _ *smtp.Envelope, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			(*l.conn.Load()).Close()
			return err
		})}
		go s.Serve(l)
		defer s.Close()
		w.host("mx2.a.test", "192.0.2.2:25", nil)
		w.routes["a.test"] = []Host{{Name: "mx1.a.test", Addrs: []string{"192.0.2.1:25"}}, {Name: "mx2.a.test", Addrs: []string{"192.0.2.2:25"}}}
		state := w.once("", "x@a.test")
		require.Equal(t, Waiting, state.Phase)
		require.Equal(t, 1, state.Attempts)
		require.Empty(t, w.mail("mx2.a.test"))
	})
}

// reply is a listener that says one line to everybody.
func (w *world) reply(addr, line string) {
	l, err := w.net.Listen("tcp", addr)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s\r\n", line)
			c.Close()
		}
	}()
}

// TestGreetings refuses in the greeting: the next host is tried also after a permanent refusal (RFC 7504 s4), and one host that may be back keeps the message.
func TestGreetings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		greetings []string
		delivered bool
		phase     Phase
	}{
		"no mail service, then one that works": {[]string{"554 no mail here"}, true, Delivered},
		"busy, then one that works":            {[]string{"421 busy"}, true, Delivered},
		"no mail service anywhere":             {[]string{"554 no", "521 no"}, false, Failed},
		"one may be back":                      {[]string{"421 busy", "554 no"}, false, Waiting},
		"one may be back, the other way":       {[]string{"554 no", "421 busy"}, false, Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				defer store.Close()
				w := newWorld(t, store)
				for i, greeting := range c.greetings {
					addr := fmt.Sprintf("192.0.2.%d:25", 10+i)
					w.reply(addr, greeting)
					w.routes["a.test"] = append(w.routes["a.test"], Host{Name: fmt.Sprint("mx", i), Addrs: []string{addr}})
				}
				if c.delivered {
					w.host("mx.a.test", "192.0.2.1:25", nil)
					w.routes["a.test"] = append(w.routes["a.test"], Host{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}})
				}
				require.Equal(t, c.phase, w.once("", "x@a.test").Phase)
			})
		})
	}
}

// TestRefusedGreetingIsNoOutage has a server that turns one connection away for good, as those do that have had too many: the next message is not returned without
// having been tried.
func TestRefusedGreetingIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		w.host("mx.a.test", "192.0.2.1:25", nil)
		var dialed atomic.Int32
		w.queue.Dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dialed.Add(1) > 1 {
				return w.net.DialContext(ctx, network, addr)
			}
			near, far := memnet.Pipe()
			go func() { fmt.Fprint(far, "554 too many connections\r\n"); far.Close() }()
			return near, nil
		}
		w.routes["a.test"] = []Host{{Name: "mx.a.test", Addrs: []string{"192.0.2.1:25"}}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		w.send("", "x@a.test")
		synctest.Wait()
		require.Empty(t, all(t, store), "the first is returned")
		w.send("", "y@a.test")
		synctest.Wait()
		require.Len(t, w.mail("mx.a.test"), 1)
		cancel()
		require.NoError(t, <-done)
	})
}

// once makes one attempt for a message and gives the state of its recipient.
func (w *world) once(from, to string) (s State) {
	w.t.Helper()
	w.queue.Trace = &Trace{Recipient: func(_ ID, _ smtp.ForwardPath, state State, _ error) { s = state }}
	w.send(from, to)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- w.queue.Run(ctx) }()
	synctest.Wait()
	cancel()
	require.NoError(w.t, <-done)
	return s
}

// TestWrongPasswordKeepsTheMail has a relay that does not know the password any more.
func TestWrongPasswordKeepsTheMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := NewMemory()
		defer store.Close()
		w := newWorld(t, store)
		l, err := w.net.Listen("tcp", "192.0.2.2:587")
		require.NoError(t, err)
		relay := &smtp.Server{Mode: smtp.Submission, Handler: &host{w: w, seen: map[string]int{}}, Auth: nobody{}, InsecureAuth: true}
		go relay.Serve(l)
		defer relay.Close()
		w.queue.Router = &RelayRouter{Addr: "192.0.2.2:587", TLS: smtp.TLSNever, Auth: &smtp.Credentials{Username: "u", Password: "p", AllowPlaintext: true}}
		got := make(chan State, 1)
		w.queue.Trace = &Trace{Recipient: func(_ ID, _ smtp.ForwardPath, s State, _ error) { got <- s }}
		w.send("", "x@a.test")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.queue.Run(ctx) }()
		s := <-got
		require.Equal(t, Waiting, s.Phase)
		require.Zero(t, s.Code)
		require.Equal(t, smtp.EnhancedCode{4, 7, 0}, s.Enhanced)
		require.Contains(t, s.Text, "AUTH PLAIN: 535")
		cancel()
		require.NoError(t, <-done)
	})
}

type nobody struct{}

func (nobody) VerifyPassword(context.Context, netip.Addr, string, string, string) (string, error) {
	return "", errors.New("unknown user or wrong password")
}
