package pop3

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/internal/sasl"
)

func newBanner(hostname string) string {
	return fmt.Sprintf("<%s.%d@%s>", rand.Text(), time.Now().Unix(), hostname)
}

// cmdUser never tells whether there is such a user.
func (s *session) cmdUser(arg string, hasArg bool) {
	switch {
	case s.cfg.sasl.VerifyPassword == nil:
		s.fail(errNoPassword)
	case !s.plaintext():
		s.fail(errNeedTLS)
	case !hasArg:
		s.badCommand(errSyntax)
	default:
		s.user = arg
		s.ok("send PASS")
	}
}

// cmdPass: the password is the rest of the line, spaces included (RFC 1939 s7).
func (s *session) cmdPass(arg string, _ bool) {
	name := s.user
	s.user = ""
	if name == "" {
		s.badCommand(errNotNow)
		return
	}
	identity, err := s.cfg.sasl.Login(s.ctx, s.conn.Remote, name, arg)
	s.loggedIn("PASS", name, identity, err)
}

// cmdApop: RFC 1939 s7.
func (s *session) cmdApop(arg string, _ bool) {
	if s.banner == "" {
		s.fail(errNotNow)
		return
	}
	i := strings.LastIndexByte(arg, ' ')
	if i <= 0 {
		s.badCommand(errSyntax)
		return
	}
	name := arg[:i]
	identity, err := s.cfg.sasl.Digest(s.ctx, s.conn.Remote, name, func(secret string) bool {
		sum := md5.Sum([]byte(s.banner + secret))
		return hmac.Equal([]byte(hex.EncodeToString(sum[:])), []byte(arg[i+1:]))
	})
	s.loggedIn("APOP", name, identity, err)
}

// cmdAuth: RFC 5034 s4. Without an argument it lists the mechanisms, as old
// clients expect.
func (s *session) cmdAuth(arg string, hasArg bool) {
	if !hasArg {
		s.ok("mechanisms follow")
		for _, name := range s.cfg.sasl.Mechanisms(s.conn) {
			s.out.line(name)
		}
		s.out.line(".")
		return
	}
	name, initial, hasInitial := strings.Cut(arg, " ")
	var response []byte
	if hasInitial {
		var err error
		if response, err = sasl.DecodeInitial([]byte(initial)); err != nil {
			s.badCommand(errSyntax)
			return
		}
	}
	auth, err := s.cfg.sasl.Start(s.ctx, name, s.conn)
	if err != nil {
		s.fail(&Error{Text: "mechanism not offered"})
		return
	}
	s.auth, s.mechanism = auth, strings.ToUpper(name)
	s.authStep(response)
}

func (s *session) authResponse(l []byte) {
	response, err := sasl.DecodeResponse(l)
	switch {
	case errors.Is(err, sasl.ErrCanceled):
		s.auth = nil
		s.fail(&Error{Text: "authentication canceled"})
	case err != nil:
		s.auth = nil
		s.badCommand(errSyntax)
	default:
		s.authStep(response)
	}
}

func (s *session) authStep(response []byte) {
	challenge, done, err := s.auth.Next(response)
	if err == nil && !done {
		s.out.line("+ ", sasl.Encode(challenge))
		s.traceReply("+ ***")
		return
	}
	exchange := s.auth
	s.auth = nil
	s.loggedIn(s.mechanism, exchange.User(), exchange.Identity(), err)
}

// loggedIn ends an authentication, well or not.
func (s *session) loggedIn(how, name, identity string, err error) {
	if t := s.cfg.trace.Authenticated; t != nil {
		t(s.snapshot(), AuthInfo{Mechanism: how, Username: name, Identity: identity, Err: err})
	}
	if err == nil {
		if e := s.open(identity); e != nil {
			s.fail(e)
			return
		}
		s.peer.Identity, s.peer.Mechanism = identity, how
		s.log(slog.LevelInfo, "logged in", "mechanism", how, "messages", len(s.messages))
		s.ok(s.stat())
		return
	}
	if sasl.IsTemporary(err) {
		s.log(slog.LevelError, "authentication not possible", "mechanism", how, "user", name, "error", err)
		s.fail(errTempAuth) // RFC 3206 s4
	} else {
		s.log(slog.LevelWarn, "authentication failed", "mechanism", how, "user", name, "error", err)
		s.fail(errAuth) // RFC 3206 s5
	}
	if s.failures++; s.failures >= s.cfg.limits.AuthFailures {
		s.end(errTooManyFailed)
	}
}

// open enters the transaction state.
func (s *session) open(identity string) *Error {
	if s.cfg.loginDelay > 0 && !s.cfg.delays.over(identity, s.cfg.loginDelay) {
		return errLoginDelay
	}
	drop, err := s.cfg.backend.Maildrop(s.ctx, identity)
	if err != nil {
		s.log(slog.LevelWarn, "maildrop not opened", "user", identity, "error", err)
		return replyError(err, errTempStore)
	}
	messages, err := drop.Messages(s.ctx)
	if err == nil {
		err = check(messages)
	}
	if err != nil {
		drop.Close()
		s.log(slog.LevelError, "maildrop not read", "user", identity, "error", err)
		return replyError(err, errTempStore)
	}
	s.drop, s.messages = drop, messages
	s.gone = make([]bool, len(messages))
	for _, m := range messages {
		s.octets += m.Size
	}
	s.state = transaction
	if s.cfg.loginDelay > 0 {
		s.cfg.delays.enter(identity, s.cfg.loginDelay)
	}
	return nil
}

// check refuses what would break the protocol.
func check(messages []Message) error {
	for _, m := range messages {
		bad := len(m.UID) == 0 || len(m.UID) > 70 || m.Size < 0
		for i := range len(m.UID) {
			bad = bad || m.UID[i] < '!' || m.UID[i] > '~'
		}
		if bad {
			return &Error{Code: errBrokenStore.Code, Text: errBrokenStore.Text, Err: fmt.Errorf("message %q of %d octets", m.UID, m.Size)}
		}
	}
	return nil
}

// delays remembers when identities logged in (RFC 2449 s6.5).
type delays struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const maxDelays = 100_000 // identities; when there are more, old ones go first

// over tells whether the identity's last login is long enough ago.
func (d *delays) over(identity string, delay time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.last[identity]
	return !ok || time.Since(t) >= delay
}

// enter notes a login.
func (d *delays) enter(identity string, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if len(d.last) >= maxDelays {
		for id, t := range d.last {
			if now.Sub(t) >= delay {
				delete(d.last, id)
			}
		}
		if len(d.last) >= maxDelays {
			clear(d.last)
		}
	}
	if d.last == nil {
		d.last = make(map[string]time.Time)
	}
	d.last[identity] = now
}
