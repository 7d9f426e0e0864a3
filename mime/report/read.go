package report

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// ErrNone is returned for a message that is no report of the kind that is asked for.
var ErrNone = errors.New("report: the message has no such report")

const (
	maxMachine    = 1 << 20 // octets read of a part for programs
	maxRecipients = 10000
)

// Parse returns the report that the message is: a [*DSN], [*MDN], [*ARF], [*TLS] or [*DMARC]. A message that is none gives [ErrNone].
func Parse(m *mime.Message) (any, error) {
	if r, err := ParseDSN(m); !errors.Is(err, ErrNone) {
		return orNil(r, err)
	}
	if r, err := ParseMDN(m); !errors.Is(err, ErrNone) {
		return orNil(r, err)
	}
	if r, err := ParseARF(m); !errors.Is(err, ErrNone) {
		return orNil(r, err)
	}
	if r, err := ParseTLS(m); !errors.Is(err, ErrNone) {
		return orNil(r, err)
	}
	r, err := ParseDMARC(m)
	return orNil(r, err)
}

func orNil[T any](r *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// parts are those of a multipart/report.
type parts struct {
	text        string
	machine     []byte
	original    mime.Content
	headersOnly bool
	utf8        bool
}

// cut finds the part for programs with one of the media types, and its neighbours. A report that was forwarded, inside of a message/rfc822, is not one.
func cut(m *mime.Message, types ...string) (p parts, err error) {
	var machine *mime.Part
	for part := range m.Parts() {
		if machine == nil && isOneOf(part.MediaType(), types) && !forwarded(part) {
			machine = part
		}
	}
	if machine == nil {
		return p, ErrNone
	}
	if p.machine, err = readPart(machine); err != nil {
		return p, err
	}
	parent := machine.Parent()
	if parent == nil {
		return p, nil
	}
	for part := range parent.Children() {
		switch t := part.MediaType(); {
		case part.Index() < machine.Index() && p.text == "" && t == "text/plain":
			if p.text, err = part.Text(); err != nil && !errors.Is(err, mime.ErrTooLong) {
				return p, err
			}
		case part.Index() > machine.Index() && p.original == nil:
			switch t {
			case "message/rfc822", "message/global":
				p.original, p.utf8 = part.Content(), t == "message/global"
			case "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
				p.original, p.headersOnly, p.utf8 = part.Content(), true, t == "message/global-headers"
			}
		}
	}
	return p, nil
}

func isOneOf(s string, list []string) bool {
	for _, t := range list {
		if s == t {
			return true
		}
	}
	return false
}

// forwarded reports whether p is inside a message inside the message.
func forwarded(p *mime.Part) bool {
	for p = p.Parent(); p != nil; p = p.Parent() {
		if !p.IsMultipart() {
			return true
		}
	}
	return false
}

func readPart(p *mime.Part) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(p.Decoded(), maxMachine))
	if err != nil {
		return nil, fmt.Errorf("report: read part %d: %w", p.Index(), err)
	}
	return b, nil
}

// groups cuts the part for programs into its groups of fields.
func groups(b []byte, yield func(mime.Header) bool) {
	for len(b) > 0 {
		h := mime.ParseHeader(b)
		b = b[len(h.Bytes()):]
		if h.Len() > 0 && !yield(h) {
			return
		}
	}
}

// letter is what every report has in its header.
type letter struct {
	from, to      mime.Address
	subject       string
	date          time.Time
	id, inReplyTo string
	references    []string
}

func readLetter(m *mime.Message) (l letter) {
	h := m.Header()
	l.from, l.to = first(h.Addresses("From").All()), first(h.Addresses("To").All())
	l.subject = h.Text("Subject")
	l.date, _ = h.Date()
	l.id, l.inReplyTo = first(h.MessageIDs("Message-ID")), first(h.MessageIDs("In-Reply-To"))
	l.references = h.MessageIDs("References")
	return l
}

func first[T any](list []T) (t T) {
	if len(list) > 0 {
		return list[0]
	}
	return t
}

// typed cuts a value of the form "type; value", whose type is in lower case. A value without a type has type "".
func typed(value string) (kind, rest string) {
	kind, rest, ok := strings.Cut(value, ";")
	if kind = strings.TrimSpace(kind); !ok || !isToken(kind) {
		return "", strings.TrimSpace(value)
	}
	return strings.ToLower(kind), strings.TrimSpace(rest)
}

// typedAddress cuts "type; address" and undoes what RFC 6533 s3 does to addresses that are not ASCII.
func typedAddress(value string) (kind, addr string) {
	kind, addr = typed(value)
	addr = bare(addr)
	if kind == "utf-8" {
		addr = fromXtext8(addr)
	}
	return kind, addr
}

// bare returns an address without angle brackets and without a comment behind it.
func bare(addr string) string {
	if i := strings.LastIndexByte(addr, '>'); i > 0 && strings.HasPrefix(addr, "<") {
		return addr[1:i]
	}
	if i := strings.LastIndex(addr, " ("); i > 0 && strings.HasSuffix(addr, ")") {
		addr = addr[:i]
	}
	return strings.TrimSpace(addr)
}

// fromXtext8 undoes xtext8.
func fromXtext8(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		digits, rest, ok := strings.Cut(after, "}")
		c, err := strconv.ParseUint(digits, 16, 21)
		if !ok || err != nil {
			b.WriteString(`\x{`)
			s = after
			continue
		}
		b.WriteRune(rune(c))
		s = rest
	}
}

func readDate(value string) time.Time {
	t, _ := mime.ParseDate(value)
	return t
}
