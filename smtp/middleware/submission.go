package middleware

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/mail"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// SubmissionRules are what a submission server may do beyond demanding authentication.
type SubmissionRules struct {
	// Domain is the right side of the Message-ID of messages that have none. When it is set, Date and Message-ID
	// are added where they are missing (RFC 6409 s8.2, s8.3); otherwise no message is altered.
	Domain string
	// MaxHeader is the most octets that a header may have; default 256 KiB.
	MaxHeader int
}

// Submission holds clients to the rules for what enters the mail system (RFC 6409 s4.2, s6): every domain in the envelope and in
// the address fields of the header has more than one label, or is an address literal; the header has a From that is a list of addresses, and no field that RFC 5322 s3.6
// allows once twice. What breaks a rule gets 554. A message is held back until its header has come.
func Submission(r SubmissionRules) func(smtp.Handler) smtp.Handler {
	r.MaxHeader = orDefault(r.MaxHeader, 256<<10)
	return onBegin(func(next smtp.Session) beginFunc {
		return func(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
			if !from.IsNull() && !qualified(from.Domain) {
				return nil, refuse(5, 1, 7, "the sender's domain is not fully qualified")
			}
			t, err := next.Begin(ctx, p, from, params)
			if err != nil {
				return nil, err
			}
			return submitted{t, r}, nil
		}
	})
}

type submitted struct {
	smtp.Transaction
	rules SubmissionRules
}

func (t submitted) Rcpt(ctx context.Context, to smtp.ForwardPath, params smtp.RcptParams) error {
	if to.Domain != "" && !qualified(to.Domain) { // <Postmaster> has none: RFC 6409 s6.4
		return refuse(5, 1, 2, "the recipient's domain is not fully qualified")
	}
	return t.Transaction.Rcpt(ctx, to, params)
}

// Data implements [smtp.Transaction].
func (t submitted) Data(ctx context.Context, message io.Reader) (smtp.Receipt, error) {
	head, err := readHeader(message, t.rules.MaxHeader)
	if err == nil {
		head, err = t.check(head)
	}
	if err != nil {
		t.Transaction.Abort()
		return smtp.Receipt{}, err
	}
	return t.Transaction.Data(ctx, io.MultiReader(bytes.NewReader(head), message))
}

// readHeader reads up to the first empty line, and what came along with it.
func readHeader(message io.Reader, most int) ([]byte, error) {
	b := make([]byte, 0, 4<<10)
	seen := 0 // where no empty line begins before: a client that drips must not have it looked for from the start each time
	for {
		end := bytes.Index(b[seen:], []byte("\r\n\r\n"))
		if end >= 0 {
			end += seen
		}
		seen = max(0, len(b)-3)
		switch {
		case end > most, end < 0 && len(b) > most:
			return nil, refuse(5, 6, 0, "the header is too long")
		case end >= 0, bytes.HasPrefix(b, []byte("\r\n")):
			return b, nil
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
		n, err := message.Read(b[len(b):cap(b)])
		if b = b[:len(b)+n]; errors.Is(err, io.EOF) {
			return b, nil
		} else if err != nil {
			return nil, err
		}
	}
}

// once are the fields that a header has at most once (RFC 5322 s3.6). Those with true hold addresses.
var once = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "bcc": true,
	"date": false, "message-id": false, "in-reply-to": false, "references": false, "subject": false,
}

// check looks at the header, which stands at the start of b, and adds what is missing.
func (t submitted) check(b []byte) ([]byte, error) {
	seen := make(map[string]bool)
	for rest := b; len(rest) > 0 && !bytes.HasPrefix(rest, []byte("\r\n")); {
		var name, value string
		if name, value, rest = cutField(rest); name == "" {
			return nil, refuse(5, 6, 0, "a line of the header is not a field")
		}
		addresses, known := once[name]
		if !known {
			continue
		}
		if seen[name] {
			return nil, refuse(5, 6, 0, "the header has more than one field "+name)
		}
		seen[name] = true
		if !addresses {
			continue
		}
		list, err := mail.ParseAddressList(value)
		if err != nil && name == "from" {
			return nil, refuse(5, 6, 0, "the field From is not a list of addresses")
		}
		for _, a := range list { // of the other fields what is not understood is left to the recipients
			if _, domain, ok := cutLast(a.Address); ok && !qualified(domain) {
				return nil, refuse(5, 6, 0, "a domain in the field "+name+" is not fully qualified") // RFC 6409 s4.2
			}
		}
	}
	if !seen["from"] {
		return nil, refuse(5, 6, 0, "the header has no field From")
	}
	if t.rules.Domain == "" {
		return b, nil
	}
	var add []byte
	if !seen["date"] {
		add = time.Now().AppendFormat([]byte("Date: "), time.RFC1123Z+"\r\n")
	}
	if !seen["message-id"] {
		add = append(add, "Message-ID: <"+rand.Text()+"@"+t.rules.Domain+">\r\n"...)
	}
	return append(add, b...), nil
}

// cutField takes a field off a header: its name in lower case, or "" when it is none, and its value unfolded.
func cutField(b []byte) (name, value string, rest []byte) {
	end := 0
	for {
		i := bytes.Index(b[end:], []byte("\r\n"))
		if i < 0 {
			end = len(b)
			break
		}
		if end += i + 2; end == len(b) || b[end] != ' ' && b[end] != '\t' {
			break
		}
	}
	name, value, ok := strings.Cut(string(b[:end]), ":")
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		name = ""
	}
	return name, strings.ReplaceAll(value, "\r\n", ""), b[end:]
}

func cutLast(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}

// qualified: more than one label, or an address literal.
func qualified(domain string) bool {
	return strings.HasPrefix(domain, "[") || strings.Contains(strings.Trim(domain, "."), ".")
}

func refuse(class, subject, detail int, text string) *smtp.Error {
	return &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{class, subject, detail}, Text: text}
}
