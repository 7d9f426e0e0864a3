package smtptest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/smtp"
)

// commandConn looks at the lines that a client sends before the server does, and answers those that a rule is for. It gives the server one line at
// a time: when the next one is asked for, the replies to those before have been written.
type commandConn struct {
	net.Conn
	ctx   context.Context
	s     *Server
	in    []byte // read and not handed on
	pass  int64  // how many octets go through unseen: the rest of a line that was looked at, a chunk of BDAT
	cut   bool   // the last octet handed on was not the end of a line
	mode  lineMode
	tls   bool // STARTTLS was the last command
	space [4096]byte
}

type lineMode uint8

const (
	commandLines lineMode = iota
	messageLines          // behind 354, up to the lone dot
	unseen                // under TLS
)

// Read gives the server what no rule is for.
func (c *commandConn) Read(p []byte) (int, error) {
	for {
		n, more := c.hand(p)
		if n > 0 {
			return n, nil
		}
		if !more {
			continue
		}
		n, err := c.Conn.Read(c.space[:])
		c.in = append(c.in, c.space[:n]...)
		if n == 0 && err != nil {
			n = copy(p, c.in) // a line without end is the server's to judge
			c.in = c.in[n:]
			if n > 0 {
				err = nil
			}
			return n, err
		}
	}
}

// hand copies octets that may go to the server. With none of them more tells whether input is missing; otherwise a line was answered.
func (c *commandConn) hand(p []byte) (n int, more bool) {
	if c.pass > 0 || c.mode == unseen {
		n = len(c.in)
		if c.mode != unseen {
			n = int(min(int64(n), c.pass))
		}
		n = copy(p, c.in[:n])
		c.in, c.pass = c.in[n:], max(0, c.pass-int64(n))
		return n, n == 0
	}
	end := bytes.IndexByte(c.in, '\n')
	if end < 0 && len(c.in) < len(c.space) {
		return 0, true
	}
	whole := end >= 0
	if !whole {
		end = len(c.in) - 1
	}
	line := c.in[:end+1]
	begins := !c.cut
	c.cut = !whole
	c.pass = int64(len(line))
	switch {
	case !begins:
	case c.mode == messageLines:
		if string(line) == ".\r\n" {
			c.mode = commandLines
		}
	default:
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			break
		}
		verb := strings.ToUpper(fields[0])
		if err := c.s.play(c.ctx, OnCommand, verb); err != nil {
			c.in, c.pass = c.in[len(line):], 0
			c.answer(err)
			return 0, false
		}
		c.tls = verb == "STARTTLS"
		if verb == "BDAT" && len(fields) > 1 {
			size, _ := strconv.ParseInt(fields[1], 10, 64)
			c.pass += max(0, size)
		}
	}
	return c.hand(p)
}

// answer writes a scripted reply.
func (c *commandConn) answer(err error) {
	e, ok := err.(*smtp.Error)
	if !ok { // the server is being closed
		c.Conn.Close()
		return
	}
	var b strings.Builder
	lines := strings.Split(e.Text, "\n")
	for i, line := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		fmt.Fprintf(&b, "%d%s%s\r\n", e.Code, sep, strings.TrimSpace(e.Enhanced.String()+" "+line))
	}
	_, _ = c.Conn.Write([]byte(b.String())) // a client that is gone is found out by the next read
	if e.Code == 421 {
		c.Conn.Close()
	}
}

// Write sees from the server's replies what the client sends next.
func (c *commandConn) Write(p []byte) (int, error) {
	last := bytes.TrimSuffix(p, []byte("\r\n"))
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	switch {
	case c.mode != commandLines:
	case bytes.HasPrefix(last, []byte("354 ")):
		c.mode = messageLines
	case c.tls && bytes.HasPrefix(last, []byte("220")):
		c.mode = unseen
	}
	return c.Conn.Write(p)
}
