package mime

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Attendance is how somebody answers an invitation: the PARTSTAT of RFC 5545 s3.2.12.
type Attendance string

// The answers to invitations.
const (
	Accepted  Attendance = "ACCEPTED"
	Declined  Attendance = "DECLINED"
	Tentative Attendance = "TENTATIVE"
)

// ErrNoInvitation is returned for a message without a calendar object that asks for an answer.
var ErrNoInvitation = errors.New("mime: the message has no invitation")

// maxCalendar bounds a calendar object that is answered.
const maxCalendar = 1 << 20

// Invitation returns the calendar object of the message: its first text/calendar part. Without one, it is [ErrNoInvitation].
func (m *Message) Invitation() (*Calendar, error) {
	for p := range m.Parts() {
		if p.mediaType != "text/calendar" && p.mediaType != "application/ics" {
			continue
		}
		b, err := readLimited(p.Decoded(), p.Size(), maxCalendar)
		if err != nil {
			return nil, fmt.Errorf("mime: read part %d: %w", p.index, err)
		}
		ct := p.ContentType()
		c := &Calendar{Method: strings.ToUpper(ct.Params.Get("method")), Data: []byte(decodeCharset(ct.Params.Get("charset"), b)), Name: oneLine(p.Filename())}
		if !isToken(c.Method) {
			c.Method = calendarMethod(c.Data)
		}
		return c, nil
	}
	return nil, ErrNoInvitation
}

// ReplyInvitation returns the letter that answers the invitation in the message, as RFC 5546 s3.2.3 and RFC 6047 want it: to the organizer, from self, with every event of
// the invitation and nobody else's attendance. comment may be "".
func (m *Message) ReplyInvitation(answer Attendance, self Address, comment string) (Letter, error) {
	if answer != Accepted && answer != Declined && answer != Tentative {
		return Letter{}, &FieldError{Field: "answer", Reason: "is none of ACCEPTED, DECLINED and TENTATIVE: " + string(answer)}
	}
	c, err := m.Invitation()
	if err != nil {
		return Letter{}, err
	}
	data, organizer, summary := answerCalendar(calendarLines(c.Data), answer, self, comment, time.Now())
	if c.Method != "REQUEST" || data == nil {
		return Letter{}, ErrNoInvitation
	}
	l := Letter{
		From: self, Subject: map[Attendance]string{Accepted: "Accepted: ", Declined: "Declined: ", Tentative: "Tentative: "}[answer] + oneLine(summary),
		Text: comment, Calendar: &Calendar{Method: "REPLY", Data: data, Name: "reply.ics"},
	}
	if id := firstID(m.Header(), "Message-ID"); id != "" {
		l.InReplyTo, l.References = []string{id}, []string{id}
	}
	if to := (Address{Addr: organizer}); organizer != "" {
		if _, reason := addrSpec(to, true); reason == "" {
			l.To = []Address{to}
		}
	}
	if l.To == nil {
		l.To, _ = m.answerTo(ReplySender, nil, nil, nil)
	}
	return l, nil
}

// calendarLines unfolds (RFC 5545 s3.1).
func calendarLines(data []byte) []string {
	s := strings.ReplaceAll(string(data), "\r\n", "\n")
	s = strings.NewReplacer("\n ", "", "\n\t", "", "\r", "", "\x00", "").Replace(s)
	return strings.Split(s, "\n")
}

// answered are the properties of an event that an answer repeats (RFC 5546 s3.2.3).
var answered = map[string]bool{"UID": true, "SEQUENCE": true, "RECURRENCE-ID": true, "DTSTART": true, "DTEND": true, "DURATION": true, "DUE": true, "SUMMARY": true,
	"LOCATION": true, "ORGANIZER": true, "RRULE": true}

// answerCalendar makes the object of the answer. It is nil if there is no event with a UID.
func answerCalendar(lines []string, answer Attendance, self Address, comment string, now time.Time) (data []byte, organizer, summary string) {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nPRODID:-//Mailroom//mime//EN\r\nVERSION:2.0\r\nCALSCALE:GREGORIAN\r\nMETHOD:REPLY\r\n")
	var stack []string
	events, zone := 0, false
	for _, line := range lines {
		name, value, ok := cutProperty(line)
		if !ok {
			continue
		}
		kind := ""
		if len(stack) > 0 {
			kind = stack[len(stack)-1]
		}
		switch {
		case name == "BEGIN":
			value = strings.ToUpper(value)
			if stack = append(stack, value); len(stack) > 8 || !isToken(value) {
				return nil, "", ""
			}
			if zone = zone || value == "VTIMEZONE"; zone || isEvent(value) && len(stack) == 2 {
				writeFolded(&b, "BEGIN:"+value)
			}
		case name == "END" && len(stack) > 0:
			stack = stack[:len(stack)-1]
			if zone {
				writeFolded(&b, "END:"+kind)
				zone = kind != "VTIMEZONE"
			} else if isEvent(kind) && len(stack) == 1 {
				writeFolded(&b, "DTSTAMP:"+now.UTC().Format("20060102T150405Z"))
				writeFolded(&b, "ATTENDEE;PARTSTAT="+string(answer)+cn(self.Name)+":mailto:"+oneLine(self.Addr))
				if comment != "" {
					writeFolded(&b, "COMMENT:"+escapeCalendar(comment))
				}
				writeFolded(&b, "END:"+kind)
			}
		case zone:
			writeFolded(&b, line)
		case isEvent(kind) && len(stack) == 2 && answered[name]:
			writeFolded(&b, line)
			switch name {
			case "UID":
				events++
			case "SUMMARY":
				summary = unescapeCalendar(value)
			case "ORGANIZER":
				if len(value) > 7 && strings.EqualFold(value[:7], "mailto:") {
					organizer = unescape(value[7:])
				}
			}
		}
	}
	b.WriteString("END:VCALENDAR\r\n")
	if events == 0 || len(stack) > 0 {
		return nil, "", ""
	}
	return []byte(b.String()), organizer, summary
}

func isEvent(kind string) bool { return kind == "VEVENT" || kind == "VTODO" || kind == "VJOURNAL" }

// cutProperty cuts a line into the name of its property, in upper case, and its value. Parameters stand between them, and may be quoted.
func cutProperty(line string) (name, value string, ok bool) {
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ':' && !quoted:
			name, _, _ = strings.Cut(line[:i], ";")
			return strings.ToUpper(name), strings.TrimSpace(line[i+1:]), name != ""
		}
	}
	return "", "", false
}

// writeFolded writes a line in pieces of at most 75 octets, characters whole (RFC 5545 s3.1).
func writeFolded(w io.StringWriter, line string) {
	line = strings.ToValidUTF8(line, "\uFFFD")
	room := 75
	for len(line) > room {
		n := room
		for n > 1 && line[n]&0xc0 == 0x80 {
			n--
		}
		_, _ = w.WriteString(line[:n] + "\r\n ")
		line, room = line[n:], 74
	}
	_, _ = w.WriteString(line + "\r\n")
}

func cn(name string) string {
	name = strings.Map(func(c rune) rune {
		if c == '"' || c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, name)
	if name == "" {
		return ""
	}
	return `;CN="` + name + `"`
}

func escapeCalendar(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", "", "\x00", "").Replace(s)
}

func unescapeCalendar(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, " ", `\N`, " ").Replace(s)
}
