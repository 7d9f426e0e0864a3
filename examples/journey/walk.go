package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
)

// ordinary is the whole way of a letter that arrives.
func (w *world) ordinary(ctx context.Context, own []byte) {
	title := "An ordinary letter from alice@sender.test to bob@recipient.test"
	if own != nil {
		title = "Your own message, from alice@sender.test to bob@recipient.test"
	}
	w.begin(title)
	var sent []byte
	var content smtp.Content
	w.step("composed", func(s *step) error {
		if own != nil {
			sent, content = own, bytesContent(own)
			return describe(s, own)
		}
		letter, err := ordinaryLetter()
		if err != nil {
			return err
		}
		composed, err := letter.Compose()
		if err != nil {
			return err
		}
		if sent, err = read(composed); err != nil {
			return err
		}
		if int64(len(sent)) != composed.Size() {
			return fmt.Errorf("it has %d octets, and Size said %d", len(sent), composed.Size())
		}
		content = composed
		return describe(s, sent)
	})
	w.submit(ctx, "bob@recipient.test", func() smtp.Content { return content })
	w.queued(ctx)
	w.step("looked up", func(s *step) error {
		route, err := w.route(ctx, s)
		if err != nil {
			return err
		}
		if route.err != nil {
			return route.err
		}
		var names []string
		for i, h := range route.hosts {
			s.decided("%d. %s at %s", i+1, h.Name, strings.Join(h.Addrs, ", "))
			names = append(names, h.Name)
		}
		return want(strings.Join(names, " "), "mx1.recipient.test mx2.recipient.test", "hosts")
	})
	w.step("handed over", func(s *step) error {
		done, err := w.events.await(ctx, "recipient")
		if err != nil {
			return err
		}
		tried := w.events.take("attempt")
		for _, a := range tried {
			if a.err != nil {
				s.decided("%s, %s: %v: the next host is tried", a.host.Name, a.addr, a.err)
			} else {
				s.decided("%s, %s: delivered", a.host.Name, a.addr)
			}
		}
		s.Said = w.relayWire.take(w.verbose)
		if done[0].err != nil {
			return done[0].err
		}
		if len(tried) != 2 || tried[0].err == nil || tried[1].err != nil {
			return errors.New("the preferred host is down, so the second one must have taken it")
		}
		if !heard(s.Said, "C: STARTTLS") {
			return errors.New("it must have been encrypted")
		}
		return nil
	})
	w.judged(ctx, func(s *step, e event) error {
		a := e.mail.Authentication
		if own != nil {
			return nil
		}
		return want(fmt.Sprint(a.SPF.Result, a.DMARC.Result, e.verdict.Action), "passpassaccept", "SPF, DMARC and action")
	})
	mailbox := "INBOX"
	w.step("filed", func(s *step) error {
		e, err := w.filed(ctx, s)
		if own != nil {
			mailbox = e.mailbox
			return err
		}
		return errors.Join(err, want(e.account+" "+e.mailbox, "bob@recipient.test INBOX", "mailbox"))
	})
	w.step("read over IMAP", func(s *step) error {
		got, err := w.readIMAP(ctx, s, w.recipient, "bob@recipient.test", "builder", mailbox)
		if err != nil {
			return err
		}
		return same(s, sent, got)
	})
	w.learn(ctx, sent, false)
	if mailbox == "INBOX" {
		w.step("read over POP3", func(s *step) error {
			got, err := w.readPOP3(ctx, s, w.recipient, "bob@recipient.test", "builder")
			if err != nil {
				return err
			}
			return same(s, sent, got)
		})
	}
}

// describe says what a message is made of.
func describe(s *step, raw []byte) error {
	m := mime.ParseBytes(raw)
	s.decided("%d octets, subject %q", len(raw), m.Header().Text("Subject"))
	for p := range m.Parts() {
		line := strings.Repeat("  ", p.Depth()) + p.MediaType()
		if p.Filename() != "" {
			line += fmt.Sprintf(" %q", p.Filename())
		}
		s.decided("%s", line)
	}
	if n := len(m.Defects()); n > 0 {
		s.decided("%d defects: %v", n, m.Defects())
	}
	return nil
}

// submit hands a letter of alice's to her own server.
func (w *world) submit(ctx context.Context, to string, content func() smtp.Content) {
	w.step("submitted", func(s *step) error {
		var said wire
		d := &smtp.Dialer{
			Hostname: "alices-laptop.sender.test", TLS: smtp.TLSRequired, TLSConfig: w.ca.Client(),
			Auth: &smtp.Credentials{Username: "alice@sender.test", Password: "wonderland"}, Trace: clientTrace(&said),
		}
		e, err := smtp.NewEnvelope("alice@sender.test", to)
		if err != nil {
			return err
		}
		r, err := smtp.SendMail(ctx, d, w.sender.addr["submission"], e, content())
		s.Said = said.take(w.verbose)
		if err != nil {
			return err
		}
		s.decided("accepted: %s", r.Final)
		if r.TLS.State == nil || !r.TLS.Verified {
			return errors.New("it must have been encrypted, to a server that proved its name")
		}
		s.decided("%s, certificate of %s verified", tls.VersionName(r.TLS.State.Version), r.TLS.State.PeerCertificates[0].DNSNames[0])
		if !heard(s.Said, "C: AUTH SCRAM-SHA-256") {
			return errors.New("the strongest mechanism on offer is SCRAM-SHA-256")
		}
		return nil
	})
}

func (w *world) queued(ctx context.Context) {
	w.step("queued", func(s *step) error {
		if _, err := w.events.await(ctx, "queued"); err != nil {
			return err
		}
		s.decided("written to the log and flushed before the 250 above")
		return nil
	})
}

// route gives what was found out about the recipient's domain, and what was asked for it.
func (w *world) route(ctx context.Context, s *step) (event, error) {
	routes, err := w.events.await(ctx, "route")
	if err != nil {
		return event{}, err
	}
	for _, q := range w.events.take("dns") {
		s.Said = append(s.Said, "DNS: "+q.question)
	}
	return routes[0], nil
}

// judged tells what the receiver made of a letter, and why.
func (w *world) judged(ctx context.Context, check func(*step, event) error) {
	w.step("checked and scored", func(s *step) error {
		got, err := w.events.await(ctx, "judged")
		if err != nil {
			return err
		}
		e := got[0]
		for _, q := range w.events.take("dns") {
			s.Said = append(s.Said, "DNS: "+q.question)
		}
		s.decided("the mailbox %s exists and has room", e.account)
		a := e.mail.Authentication
		s.decided("SPF %s for %s (%s)", a.SPF.Result, a.SPF.Domain, or(a.SPF.Mechanism, "nothing matched"))
		for _, d := range a.DKIM {
			s.decided("DKIM %s for %s, selector %s", d.Result, d.Domain, d.Selector)
		}
		s.decided("DMARC %s for %s %s", a.DMARC.Result, a.DMARC.Domain, or(a.DMARC.By, a.DMARC.Policy))
		s.decided("%s", strings.TrimSuffix(e.verdict.String(), "\n"))
		return check(s, e)
	})
}

func (w *world) filed(ctx context.Context, s *step) (event, error) {
	got, err := w.events.await(ctx, "filed")
	if err != nil {
		return event{}, err
	}
	e := got[0]
	s.decided("%s of %s, %d octets", e.mailbox, e.account, e.size)
	return e, e.err
}

func clientTrace(w *wire) *smtp.ClientTrace {
	return &smtp.ClientTrace{
		Connected: func(_, addr string, err error) {
			if err != nil {
				w.add("-", fmt.Sprintf("connect to %s: %v", addr, err))
			} else {
				w.add("-", "connected to "+addr)
			}
		},
		Sent:     func(line string) { w.add("C", line) },
		Received: func(line string) { w.add("S", line) },
		TLS: func(state tls.ConnectionState, err error) {
			if err != nil {
				w.add("-", fmt.Sprintf("TLS: %v", err))
			} else {
				w.add("-", fmt.Sprintf("%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)))
			}
		},
		Message: func(octets int64) { w.add("C", fmt.Sprintf("(the message, %d octets)", octets)) },
	}
}

// said tells whether a line that begins so stands in a dialog.
func heard(lines []string, prefix string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
}

func want(got, want, what string) error {
	if got != want {
		return fmt.Errorf("%s: got %q, and it must be %q", what, got, want)
	}
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
