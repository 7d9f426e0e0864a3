package smtptest

import (
	"context"
	"net"
	"path"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// A Step is a point of the dialog.
type Step uint8

// The points at which a [Rule] can apply.
const (
	OnConnect Step = iota // before the greeting
	OnMail                // MAIL; the address is the sender
	OnRcpt                // RCPT; the address is the recipient
	OnData                // within the message, when Rule.Octets of it have come; the address is the sender
	OnMessage             // the end of the message; once for each recipient. In SMTP a refusal is for all of them

	// OnCommand is any command, before the server looks at it, and the address is its verb: "DATA", "EHLO", "STARTTLS". A reply is sent in the server's
	// place, and the command changes nothing. What a client says within AUTH is no command.
	OnCommand
)

// A Rule is a line of a script: what the server does at some point for some address.
type Rule struct {
	On      Step
	Address string        // a pattern as of path.Match, "*@example.org"; letter case does not matter; empty: any
	Skip    int           // lets the first of those that match pass
	Times   int           // for how many after these it holds; 0: for all
	Octets  int64         // OnData: how much of the message comes before; a shorter message is not touched
	Delay   time.Duration // waits before it answers
	Reply   *smtp.Error   // what is said; nil: the server goes on as usual. Code 421 closes the connection
	Drop    bool          // cuts the connection, and nothing is said
}

type ruleState struct {
	Rule
	seen int
}

// Script adds rules. Of those that match, all delays hold, and the first reply.
func (s *Server) Script(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rules {
		s.rules = append(s.rules, &ruleState{Rule: r})
	}
}

// Refuse is the shortest script: a recipient whom the server refuses, as in Refuse("bob@example.org", 550, "5.1.1 no such user").
func (s *Server) Refuse(recipient string, code int, text string) {
	s.Script(Rule{On: OnRcpt, Address: recipient, Reply: Reply(code, text)})
}

// Reply makes a reply; an enhanced code may head the text: Reply(450, "4.2.1 mailbox busy").
func Reply(code int, text string) *smtp.Error {
	e := &smtp.Error{Code: code, Text: text}
	enhanced, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(enhanced, ".")
	if len(parts) != 3 {
		return e
	}
	for i, p := range parts {
		if p == "" || len(p) > 3 {
			return e
		}
		for _, c := range p {
			if c < '0' || c > '9' {
				e.Enhanced = smtp.EnhancedCode{}
				return e
			}
			e.Enhanced[i] = e.Enhanced[i]*10 + int(c-'0')
		}
	}
	e.Text = rest
	return e
}

// play finds the rules for a step, waits their delays and gives their reply.
func (s *Server) play(ctx context.Context, on Step, address ...string) error {
	var all Rule
	for _, r := range s.holding(on, address...) {
		all.Delay += r.Delay
		all.Drop = all.Drop || r.Drop
		if all.Reply == nil {
			all.Reply = r.Reply
		}
	}
	return all.play(ctx)
}

// holding gives the rules that hold for a step this time.
func (s *Server) holding(on Step, address ...string) (rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.On != on || !r.matches(address) {
			continue
		}
		r.seen++
		if n := r.seen - r.Skip; n >= 1 && (r.Times <= 0 || n <= r.Times) {
			rules = append(rules, r.Rule)
		}
	}
	return rules
}

// play does what the rule says.
func (r *Rule) play(ctx context.Context) error {
	if err := sleep(ctx, r.Delay); err != nil {
		return err
	}
	if r.Drop {
		if cut, ok := ctx.Value(cutKey{}).(func() error); ok {
			_ = cut()
		}
		return net.ErrClosed
	}
	if r.Reply != nil {
		return r.Reply
	}
	return nil
}

// cutKey is the key in a connection's context for the function that cuts it.
type cutKey struct{}

func (r *ruleState) matches(address []string) bool {
	if r.Address == "" || len(address) == 0 {
		return true
	}
	ok, err := path.Match(strings.ToLower(r.Address), strings.ToLower(address[0]))
	return ok && err == nil
}
