package mta

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
	"github.com/gomailroom/mailroom/spam"
)

// An MTA is an [smtp.Handler] that files mail for its own users and relays mail of its own users. What it does follows from who talks: authenticated peers may send anywhere,
// all others only to addresses of the directory. The fields must not change once it serves.
type MTA struct {
	Hostname  string             // of this server, in trace fields and notifications; default os.Hostname
	Store     mailstore.Store    // required
	Directory mailstore.Resolver // required

	Queue  *queue.Queue // where mail for others goes; nil: mail for others is refused. Its Return should be this MTA's
	Scorer spam.Scorer  // judges what strangers send; nil: all of it is filed into INBOX

	// Signers gives the DKIM keys for what authenticated users send, by the domain of From; nil: nothing is signed.
	Signers func(domain string) []dkim.Signer
	// MaySend tells whether an identity may use an address in MAIL and in From. Default: mail to the address goes to the identity's account.
	MaySend func(ctx context.Context, identity, address string) bool

	MaxSize int64  // octets of a message as it comes in; default 64 MiB. The smtp.Server has a limit of its own
	TempDir string // where messages that are too large for memory wait; default os.TempDir
	MaxHops int    // Received fields before a message is taken for a loop; default 50 (RFC 5321 s6.3 asks for at least 100 where that is the only way)

	Logger *slog.Logger // nil: silent
	Trace  *Trace
}

// Trace has hooks that are called as things happen. They must not block. Each may be nil.
type Trace struct {
	Refused func(p *smtp.Peer, to smtp.ForwardPath, err error)
	Judged  func(account string, m *spam.Mail, v *spam.Verdict) // once for each mailbox a message is for
	Filed   func(account, mailbox string, size int64, err error)
	Relayed func(id queue.ID, e *smtp.Envelope)
}

// Connect implements [smtp.Handler], for SMTP and submission.
func (m *MTA) Connect(_ context.Context, _ *smtp.Peer) (smtp.Session, error) {
	return &session{m: m, most: m.MaxSize}, nil
}

// LMTP gives the same MTA as a handler for a server in LMTP mode: each recipient has an answer of its own, so nobody has to be notified of those
// that failed, and what strangers sent has been judged by whoever speaks LMTP.
func (m *MTA) LMTP() smtp.Handler { return lmtpHandler{m, m.MaxSize} }

type lmtpHandler struct {
	m    *MTA
	most int64
}

func (h lmtpHandler) Connect(context.Context, *smtp.Peer) (smtp.Session, error) {
	return &session{m: h.m, lmtp: true, most: h.most}, nil
}

type session struct {
	m    *MTA
	lmtp bool
	most int64 // octets of a message, as in MaxSize
}

// Begin implements [smtp.Session]. A user may use only the own addresses (RFC 6409 s6.1), and only users may have mail held (RFC 4865 s3).
func (s *session) Begin(ctx context.Context, p *smtp.Peer, from smtp.ReversePath, params smtp.MailParams) (smtp.Transaction, error) {
	if p.Identity != "" && !from.IsNull() && !s.m.maySend(ctx, p.Identity, from.Mailbox.String()) {
		return nil, refuse(550, 5, 7, 1, "you may not send from this address")
	}
	hold := params.HoldFor
	if !params.HoldUntil.IsZero() {
		hold = max(0, time.Until(params.HoldUntil))
	}
	switch {
	case hold > 0 && (p.Identity == "" || s.m.Queue == nil):
		return nil, refuse(550, 5, 7, 1, "you may not have messages held")
	case hold > 0 && params.DeliverBy != nil && params.DeliverBy.Within <= hold:
		return nil, refuse(501, 5, 5, 4, "the time for the delivery would be over before the message is released")
	}
	return &transaction{m: s.m, peer: p, lmtp: s.lmtp, most: s.most, held: hold > 0, envelope: smtp.Envelope{From: from, Params: params}}, nil
}

func (m *MTA) maySend(ctx context.Context, identity, address string) bool {
	if m.MaySend != nil {
		return m.MaySend(ctx, identity, address)
	}
	at := strings.LastIndexByte(address, '@')
	r, err := m.Directory.Resolve(ctx, address[:max(at, 0)], address[at+1:])
	if err != nil {
		return false
	}
	for _, account := range r.Accounts {
		if account == identity {
			return true
		}
	}
	return false
}

func (m *MTA) hostname() string {
	if m.Hostname != "" {
		return m.Hostname
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

func (m *MTA) log(ctx context.Context, level slog.Level, text string, attrs ...slog.Attr) {
	if m.Logger != nil {
		m.Logger.LogAttrs(ctx, level, text, attrs...)
	}
}

// spool keeps a message of at most so many octets, as in MaxSize.
func (m *MTA) spool(r io.Reader, most int64) (*mime.Spooled, error) {
	return mime.Spool(r, mime.SpoolLimits{Size: most, Dir: m.TempDir})
}

// anySize is for what has been taken already: fields that are added here, and notices around it, do not make it too large.
const anySize = -1

// Return takes a notification for a sender: one of our users gets it at once, all others by the queue. It is what queue.Queue.Return wants.
func (m *MTA) Return(ctx context.Context, e *smtp.Envelope, c smtp.Content) error {
	var remote []smtp.Recipient
	for _, to := range e.To {
		r, err := m.Directory.Resolve(ctx, to.Path.Local, to.Path.Domain)
		switch {
		case errors.Is(err, mailstore.ErrNotLocal):
			remote = append(remote, to)
		case errors.Is(err, mailstore.ErrUnknownUser):
			m.log(ctx, slog.LevelWarn, "a notification has no recipient", slog.String("to", to.Path.String()))
		case err != nil:
			return err
		default:
			if err := m.fileNotice(ctx, c, r.Accounts, to); err != nil {
				return err
			}
		}
	}
	if len(remote) == 0 {
		return nil
	}
	if m.Queue == nil {
		m.log(ctx, slog.LevelWarn, "a notification cannot be sent: there is no queue", slog.String("to", remote[0].Path.String()))
		return nil
	}
	out := *e
	out.To = remote
	_, err := m.Queue.Enqueue(ctx, &out, nil, c)
	return err
}

func (m *MTA) fileNotice(ctx context.Context, c smtp.Content, accounts []string, to smtp.Recipient) error {
	body, err := c.Open()
	if err != nil {
		return err
	}
	defer body.Close()
	spool, err := m.spool(body, anySize)
	if err != nil {
		return err
	}
	defer spool.Close()
	var targets []mailstore.Target
	for _, account := range accounts {
		targets = append(targets, mailstore.Target{Account: account, Prefix: returnPath(smtp.ReversePath{})})
	}
	for i, err := range m.Store.Deliver(ctx, mailstore.Incoming{Content: spool, Structure: spool.Message().Structure(), InternalDate: time.Now()}, targets) {
		m.filed(ctx, targets[i], spool.Size(), err)
		if temporary(err) {
			return err
		}
	}
	return nil
}

// refuse makes a reply.
func refuse(code, class, subject, detail int, text string) *smtp.Error {
	return &smtp.Error{Code: code, Enhanced: smtp.EnhancedCode{class, subject, detail}, Text: text}
}

func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}
