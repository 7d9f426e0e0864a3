package imap

import (
	"strings"
	"time"
)

// date is "17-Jul-1996", with or without quotes (RFC 3501 s9). The time is midnight UTC.
func (p *parser) date() time.Time {
	var text string
	if p.peek() == '"' {
		text = string(p.quoted())
	} else {
		text = p.atom()
	}
	t, err := time.Parse("2-Jan-2006", strings.TrimSpace(text))
	if err != nil {
		p.fail(`a date such as 17-Jul-1996`)
	}
	return t
}

// dateTime is "17-Jul-1996 02:44:25 -0700" in quotes (RFC 3501 s9).
func (p *parser) dateTime() time.Time {
	if p.peek() != '"' {
		p.fail("a date and time in quotes")
		return time.Time{}
	}
	text := strings.TrimLeft(string(p.quoted()), " ") // date-day-fixed: " 7" or "07"
	t, err := time.Parse("2-Jan-2006 15:04:05 -0700", text)
	if err != nil || t.Year() < 1 || t.Unix() < -62135596800 {
		p.fail(`a date and time such as "17-Jul-1996 02:44:25 -0700"`)
	}
	return t
}

const dateTimeLayout = `"_2-Jan-2006 15:04:05 -0700"`

// day gives the day of a moment, as it is called where the moment was written, as midnight UTC: SEARCH disregards times and zones (RFC 3501 s6.4.4).
func day(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
