package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/gomailroom/mailroom/internal/imapclient"
	"github.com/gomailroom/mailroom/internal/pop3client"
	"github.com/gomailroom/mailroom/mime"
)

// readIMAP reads the newest message of a mailbox.
func (w *world) readIMAP(ctx context.Context, s *step, h *house, user, password, mailbox string) (_ []byte, err error) {
	var said wire
	defer func() { s.Said = said.take(w.verbose) }()
	conn, err := net.Dial("tcp", h.addr["imap"])
	if err != nil {
		return nil, err
	}
	c, err := imapclient.New(ctx, conn, said.add)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	defer c.Close()
	config := w.ca.Client()
	config.ServerName = h.host
	if err := c.StartTLS(ctx, config); err != nil {
		return nil, err
	}
	if err := c.Login(user, password); err != nil {
		return nil, err
	}
	box, err := c.Select(mailbox, false)
	if err != nil {
		return nil, err
	}
	if box.Exists == 0 {
		return nil, fmt.Errorf("%s is empty", mailbox)
	}
	got, err := c.Fetch(false, fmt.Sprint(box.Exists), "(UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
	if err != nil {
		return nil, err
	}
	if len(got) != 1 || !got[0].Items["BODY[]"].IsString() {
		return nil, errors.New("the server gave no message")
	}
	if envelope := got[0].Items["ENVELOPE"].List; len(envelope) == 10 {
		s.decided("UID %d, subject %q", got[0].UID(), mime.DecodeText(envelope[1].Text))
	} else {
		return nil, errors.New("the envelope has not its 10 fields")
	}
	return []byte(got[0].Items["BODY[]"].Text), c.Logout()
}

// readPOP3 reads the last message of a maildrop.
func (w *world) readPOP3(ctx context.Context, s *step, h *house, user, password string) (_ []byte, err error) {
	var said wire
	defer func() { s.Said = said.take(w.verbose) }()
	conn, err := net.Dial("tcp", h.addr["pop3"])
	if err != nil {
		return nil, err
	}
	c, err := pop3client.New(ctx, conn, said.add)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	defer c.Close()
	config := w.ca.Client()
	config.ServerName = h.host
	if err := c.StartTLS(ctx, config); err != nil {
		return nil, err
	}
	if err := c.Login(user, password); err != nil {
		return nil, err
	}
	n, octets, err := c.Stat()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("the maildrop is empty")
	}
	s.decided("%d messages, %d octets", n, octets)
	got, err := c.Retr(n)
	if err != nil {
		return nil, err
	}
	return got, c.Quit()
}

// same holds what was read against what was sent: the text to the octet behind the trace fields, and each attachment by itself.
func same(s *step, sent, got []byte) error {
	was, is := attachments(sent), attachments(got)
	if len(was) != len(is) {
		return fmt.Errorf("%d attachments were sent and %d arrived", len(was), len(is))
	}
	for i := range was {
		if !bytes.Equal(was[i].data, is[i].data) || was[i].name != is[i].name {
			return fmt.Errorf("attachment %q is not what was sent", was[i].name)
		}
		s.decided("%q: %d octets, the same as were sent", is[i].name, len(is[i].data))
	}
	_, body, _ := bytes.Cut(sent, []byte("\r\n\r\n"))
	if !bytes.HasSuffix(got, body) {
		return errors.New("the body is not what was sent")
	}
	s.decided("the body is the same to the octet, behind %d octets of header and trace fields", len(got)-len(body))
	return nil
}

type attachment struct {
	name string
	data []byte
}

// attachments gives every part of a message that has a file name, decoded.
func attachments(raw []byte) []attachment {
	var list []attachment
	for p := range mime.ParseBytes(raw).Parts() {
		if p.Filename() == "" || !p.IsLeaf() {
			continue
		}
		data, err := io.ReadAll(p.Decoded())
		if err != nil {
			data = append(data, err.Error()...)
		}
		list = append(list, attachment{p.Filename(), data})
	}
	return list
}
