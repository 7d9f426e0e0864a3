package smtp

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/internal/certs"
)

func TestCommandTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := serve(t, &Server{Handler: r}).hello().mail()
		within(t, 5*time.Minute, 5*time.Minute, func() { w.reply("421 4.4.2") })
		require.ErrorIs(t, w.closed(), os.ErrDeadlineExceeded)
		require.True(t, strings.HasSuffix(r.log(), "abort"), r.log())
	})
}

// A client that is slow but within the limit is served, also after its buffers were given back.
func TestSlowCommands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, &Server{}).hello()
		for range 3 {
			time.Sleep(4 * time.Minute)
			w.ask("NOOP", "250 ")
			time.Sleep(2 * time.Second)
			w.ask("NOOP "+strings.Repeat("x", 1000), "250 ")
		}
		time.Sleep(4 * time.Minute)
		w.send("NOOP\r\nNOOP\r\n" + strings.Repeat("NOOP\r\n", 20))
		for range 22 {
			w.reply("250 ")
		}
		w.quit()
	})
}

// trickle sends s again and again; what it returns waits until the connection takes no more.
func trickle(w *wire, s string, every time.Duration) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := io.WriteString(w.conn, s); err != nil {
				return
			}
			time.Sleep(every)
		}
	})
	return func() { w.conn.Close(); wg.Wait() }
}

// An octet now and then does not keep a command open: the whole line has one deadline.
func TestTrickledCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, &Server{}).hello()
		within(t, 5*time.Minute, 6*time.Minute, func() {
			defer trickle(w, "N", 10*time.Second)()
			w.reply("421 4.4.2")
		})
		require.ErrorIs(t, <-w.done, os.ErrDeadlineExceeded)
	})
}

// go-smtp#196: after a timeout within DATA nothing of the message may run as commands.
func TestDataTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := serve(t, &Server{Handler: r}).hello().mail()
		w.ask("DATA", "354 ")
		w.send("half a mess")
		within(t, 3*time.Minute, 3*time.Minute, func() { w.reply("421 4.4.2") })
		io.WriteString(w.conn, "age\r\n.\r\nMAIL FROM:<evil@example.org>\r\n")
		require.ErrorIs(t, w.closed(), os.ErrDeadlineExceeded)
		require.NotContains(t, r.log(), "evil")
		require.Contains(t, r.log(), "data failed: smtp: waiting for the client")
	})
}

func TestChunkTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // within a chunk
		w := serve(t, &Server{}).hello().mail()
		w.send("BDAT 100\r\nonly some")
		within(t, 3*time.Minute, 3*time.Minute, func() { w.reply("421 4.4.2") })
		require.ErrorIs(t, w.closed(), os.ErrDeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) { // between chunks
		r := &recorder{}
		w := serve(t, &Server{Handler: r}).hello().mail()
		w.ask("BDAT 7\r\nhello", "250 ")
		within(t, 5*time.Minute, 5*time.Minute, func() { w.reply("421 4.4.2") })
		require.ErrorIs(t, w.closed(), os.ErrDeadlineExceeded)
		require.Contains(t, r.log(), "data failed")
	})
	synctest.Test(t, func(t *testing.T) { // a refused chunk that is slow, but comes
		w := serve(t, &Server{}).hello()
		w.send("BDAT 720000 LAST\r\n")
		for range 3600 {
			w.send(strings.Repeat("x", 200))
			time.Sleep(time.Second)
		}
		w.reply("503 5.5.1")
		w.quit()
	})
	synctest.Test(t, func(t *testing.T) { // a refused chunk that stops
		w := serve(t, &Server{}).hello()
		w.send("BDAT 100 LAST\r\nonly some")
		within(t, 5*time.Minute, 5*time.Minute, func() { w.reply("421 4.4.2") })
		require.ErrorIs(t, w.closed(), os.ErrDeadlineExceeded)
	})
}

// A line that has no end is not read for ever.
func TestEndlessLine(t *testing.T) {
	t.Parallel()
	w := serve(t, &Server{}).hello()
	go func() {
		for block := strings.Repeat("x", 10_000); ; {
			if _, err := io.WriteString(w.conn, block); err != nil {
				return
			}
		}
	}()
	w.reply("421 4.5.2")
	w.conn.Close()
	<-w.done
}

// A client that sends an octet a minute is never silent for DataTimeout, and is cut by its rate.
func TestMinRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, &Server{}).hello().mail()
		w.ask("DATA", "354 ")
		within(t, 3*time.Minute, 5*time.Minute, func() {
			defer trickle(w, "x", time.Minute)()
			w.reply("421 4.4.2")
		})
		require.ErrorIs(t, <-w.done, os.ErrDeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) { // 200 octets a second are more than 128
		w := serve(t, &Server{}).hello().mail()
		w.ask("DATA", "354 ")
		for range 3600 {
			w.send(strings.Repeat("x", 198) + "\r\n")
			time.Sleep(time.Second)
		}
		w.ask(".", "250 ")
		w.quit()
	})
	synctest.Test(t, func(t *testing.T) { // chunks of an octet, each of them in time
		w := serve(t, &Server{}).hello().mail()
		within(t, 3*time.Minute, 8*time.Minute, func() {
			defer trickle(w, "BDAT 1\r\nx", time.Minute)()
			for range 4 {
				w.reply("250 ")
			}
			w.reply("421 4.4.2")
		})
		require.ErrorIs(t, <-w.done, os.ErrDeadlineExceeded)
	})
	synctest.Test(t, func(t *testing.T) { // the handler's own time is not the client's fault
		srv := &Server{Handler: HandlerFunc(func(_ context.Context, _ *Peer, _ *Envelope, m io.Reader) error {
			time.Sleep(time.Hour)
			_, err := io.Copy(io.Discard, m)
			return err
		})}
		w := serve(t, srv).hello().mail()
		w.ask("DATA", "354 ")
		w.ask("x\r\n.", "250 ")
		w.quit()
	})
}

// A client that sends commands and never reads the replies.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Handler: &recorder{}, Limits: Limits{Commands: -1}}
		w := serve(t, srv)
		go func() {
			for {
				if _, err := io.WriteString(w.conn, strings.Repeat("NOOP\r\n", 100)); err != nil {
					return
				}
			}
		}()
		within(t, time.Minute, 2*time.Minute, func() {
			require.ErrorIs(t, <-w.done, os.ErrDeadlineExceeded)
		})
	})
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, &Server{TLSConfig: ca.Server("mx.example.org")}).hello()
		w.ask("STARTTLS", "220 ")
		within(t, 30*time.Second, 31*time.Second, func() { require.Error(t, w.closed()) })
	})
}

// Without a limit of time a handshake has none, though there was one for the command before it.
func TestHandshakeWithoutTimeout(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, &Server{TLSConfig: ca.Server("mx.example.org"), Limits: Limits{HandshakeTimeout: -1}}).hello()
		w.ask("STARTTLS", "220 ")
		time.Sleep(time.Hour)
		cfg := ca.Client()
		cfg.ServerName = "mx.example.org"
		w.startTLS(cfg)
		w.quit()
	})
}

// slowWriter sends a few octets at a time.
type slowWriter struct{ net.Conn }

func (c slowWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		time.Sleep(idleAfter * 2 / 3)
		var k int
		k, err = c.Conn.Write(p[n:min(n+11, len(p))])
		n += k
	}
	return n, err
}

// Deadlines that pass within a record of TLS, whether they make the connection idle or were only left standing, lose nothing of it.
func TestSlowTLS(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		w := serve(t, &Server{Handler: r, TLSConfig: ca.Server("mx.example.org"), Limits: Limits{HandshakeTimeout: time.Hour}}).hello()
		w.ask("STARTTLS", "220 ")
		w.conn = slowWriter{w.conn}
		cfg := ca.Client()
		cfg.ServerName = "mx.example.org"
		w.startTLS(cfg)
		w.ask("EHLO client.example", "250 ")
		text := strings.Repeat("A line of a message that comes slowly.\r\n", 20)
		for range 2 {
			w.mail()
			w.ask("DATA", "354 ")
			w.ask(text+".", "250 ")
		}
		w.quit()
		require.Equal(t, 2, strings.Count(r.log(), "data "+strconv.Quote(text)), r.log())
	})
}
