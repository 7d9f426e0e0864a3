package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// A script is one side of a dialog. Each line begins with what it is:
//
//	S: a line that the scripted server sends, with CRLF
//	s: the same without CRLF
//	C: a line that the client must send; "~" at the end stands for anything
//	P: a pause, "P: 3m"
//	X: the server closes the connection
//
// A QUIT at the end need not stand in the script.
type script string

// run plays the server's side over nc. It returns what went wrong.
func (s script) run(nc net.Conn) error {
	defer nc.Close()
	r := bufio.NewReader(nc)
	for line := range strings.Lines(string(s)) {
		line = strings.TrimSuffix(strings.TrimLeft(line, "\t "), "\n")
		if line == "" {
			continue
		}
		kind, text, _ := strings.Cut(line, ":")
		text = strings.TrimPrefix(text, " ")
		switch kind {
		case "S":
			if _, err := io.WriteString(nc, text+"\r\n"); err != nil {
				return fmt.Errorf("sending %q: %w", text, err)
			}
		case "s":
			if _, err := io.WriteString(nc, text); err != nil {
				return fmt.Errorf("sending %q: %w", text, err)
			}
		case "C":
			got, err := r.ReadString('\n')
			if err != nil {
				return fmt.Errorf("waiting for %q: got %q, %w", text, got, err)
			}
			if prefix, ok := strings.CutSuffix(text, "~"); ok && strings.HasPrefix(got, prefix) {
				continue
			}
			if got != text+"\r\n" {
				return fmt.Errorf("client sent %q, not %q", got, text+"\r\n")
			}
		case "P":
			d, err := time.ParseDuration(text)
			if err != nil {
				return err
			}
			time.Sleep(d)
		case "X":
			return nil
		default:
			return fmt.Errorf("script line %q", line)
		}
	}
	if next, _ := r.Peek(4); string(next) == "QUIT" {
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(nc, "221 bye\r\n")
	}
	rest, err := io.ReadAll(r)
	if len(rest) > 0 {
		return fmt.Errorf("client sent %.200q after the end of the script", rest)
	}
	_ = err // how the client went away is its own business
	return nil
}

// peer starts a scripted server and gives the client's end. The test fails when the client does not keep to the script.
func peer(t *testing.T, s script) net.Conn {
	t.Helper()
	client, server := memnet.Pipe()
	done := make(chan error, 1)
	go func() { done <- s.run(server) }()
	t.Cleanup(func() {
		client.Close()
		require.NoError(t, <-done, "the script")
	})
	return client
}

// splitConn cuts what is read at one place, or, with every, after each octet.
type splitConn struct {
	net.Conn
	at    int
	every bool
}

func (c *splitConn) Read(p []byte) (int, error) {
	switch {
	case c.every && len(p) > 1:
		p = p[:1]
	case c.at > 0 && len(p) > c.at:
		p = p[:c.at]
	}
	n, err := c.Conn.Read(p)
	c.at -= n
	return n, err
}

// answer is a server that takes everything and answers at once. It gives what it was sent, when the client has gone.
func answer(nc net.Conn, extensions string) []byte {
	defer nc.Close()
	var got bytes.Buffer
	r := bufio.NewReaderSize(io.TeeReader(nc, &got), 64<<10)
	w := bufio.NewWriter(nc)
	reply := func(s string) { w.WriteString(s + "\r\n") }
	reply("220 answer")
	for {
		if r.Buffered() == 0 {
			w.Flush()
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return got.Bytes()
		}
		verb, arg, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		switch verb {
		case "EHLO", "LHLO":
			reply("250-answer")
			for _, e := range strings.Fields(extensions) {
				reply("250-" + strings.ReplaceAll(e, "_", " "))
			}
			reply("250 HELP")
		case "DATA":
			reply("354 go on")
			w.Flush()
			for line != ".\r\n" && err == nil {
				line, err = r.ReadString('\n')
			}
			reply("250 2.0.0 taken")
		case "BDAT":
			var n int64
			fmt.Sscan(arg, &n)
			io.CopyN(io.Discard, r, n)
			reply("250 2.0.0 chunk taken")
		default:
			reply("250 2.0.0 ok")
		}
	}
}

// letter is what most tests send.
const letter = smtp.StringContent("Subject: hi\r\n\r\n.one\r\ntwo\r\n")

func envelope(t testing.TB, from string, to ...string) *smtp.Envelope {
	t.Helper()
	e, err := smtp.NewEnvelope(from, to...)
	require.NoError(t, err)
	return e
}

// client is the Dialer of most tests.
func client() *smtp.Dialer { return &smtp.Dialer{Hostname: "client.test"} }

// outcome puts a Result on one line for comparing.
func outcome(r *smtp.Result, err error) string {
	var b strings.Builder
	for _, rcpt := range r.Recipients {
		switch {
		case rcpt.Err == nil:
			fmt.Fprintf(&b, "%s ok %d; ", rcpt.Path.Local, rcpt.Reply.Code)
		default:
			fmt.Fprintf(&b, "%s %s; ", rcpt.Path.Local, shown(rcpt.Err))
		}
	}
	if err == nil {
		return b.String() + "nil"
	}
	return b.String() + shown(err)
}

// shown is the text of an error, with the enhanced code of those that are no reply.
func shown(err error) string {
	if e, ok := err.(*smtp.Error); ok && e.Code == 0 {
		return fmt.Sprintf("%v [%v]", err, e.Enhanced)
	}
	return err.Error()
}

var background = context.Background()
