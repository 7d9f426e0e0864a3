package heuristics

import (
	"context"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/internal/page"
)

// Options say what the checks know of their surroundings. The zero value is fine.
type Options struct {
	Resolver spam.Resolver // for the name of the sending host; nil leaves RDNS symbols out
	Names    []string      // of this server, besides Mail.Hostname: nobody outside may greet with them
	MaxAge   time.Duration // of the Date field; default 7 days
	MaxTo    int           // recipients in To and Cc that are not many yet; default 50
}

// Checks gives the checks of this package: the greeting and the host's name when the sender is known, header, body, links and attachments
// when the message is there. Mail of authenticated users is not looked at.
func Checks(o Options) []spam.Check {
	if o.MaxAge <= 0 {
		o.MaxAge = 7 * 24 * time.Hour
	}
	if o.MaxTo <= 0 {
		o.MaxTo = 50
	}
	return []spam.Check{helloCheck{o}, hostCheck{o.Resolver}, messageCheck{o}}
}

type messageCheck struct{ o Options }

func (messageCheck) Name() string      { return "heuristics" }
func (messageCheck) Stage() spam.Stage { return spam.StageBody }

func (c messageCheck) Check(ctx context.Context, m *spam.Mail) ([]spam.Symbol, error) {
	if m.Message == nil || m.Identity != "" {
		return nil, nil
	}
	s := newSubject(c.o, m)
	for _, look := range looks {
		if err := ctx.Err(); err != nil {
			return s.found, err
		}
		look(s)
	}
	return s.found, nil
}

// looks are all the ways to look at a message. Each adds the symbols of what it finds.
var looks = [...]func(*subject){
	date, messageID, subjectLine, from, replyTo, recipients, received, defects, charsets, raw8Bit,
	gtube, htmlOnly, mismatch, hiddenText, activeHTML,
	links, linkText, attachments,
}

// A subject is the message that is looked at, with what several looks need.
type subject struct {
	o       Options
	mail    *spam.Mail
	header  mime.Header
	from    mime.Address // the first
	domain  string       // of from, in lower case
	subject string
	body    page.Body
	links   []page.Link
	found   []spam.Symbol
}

func newSubject(o Options, m *spam.Mail) *subject {
	s := &subject{o: o, mail: m, header: m.Message.Header(), body: page.Read(m.Message)}
	s.links = s.body.Links()
	s.subject = strings.TrimSpace(limit(s.header.Text("Subject"), 4096))
	if all := mime.ParseAddressList(limit(s.header.Get("From"), 16<<10)).All(); len(all) > 0 {
		s.from = all[0]
		_, s.domain = s.from.Split()
		s.domain = strings.ToLower(s.domain)
	}
	return s
}

// add notes a symbol. detail comes from the message: it is cut, and what does not print is left out.
func (s *subject) add(name, detail string) {
	s.found = append(s.found, spam.Symbol{Name: name, Detail: printable(detail)})
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e {
			return -1
		}
		return r
	}, limit(s, 120))
}

func limit(s string, n int) string { return s[:min(len(s), n)] }
