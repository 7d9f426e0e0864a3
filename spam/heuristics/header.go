package heuristics

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/internal/page"
)

// date: RFC 5322 s3.6.1 asks for one, and nobody can know the future.
func date(s *subject) {
	if !s.header.Has("Date") {
		s.add("DATE_MISSING", "")
		return
	}
	at, ok := s.header.Date()
	now := time.Now()
	switch {
	case !ok:
		s.add("DATE_INVALID", s.header.Get("Date"))
	case at.After(now.Add(24 * time.Hour)): // zones that are wrong by a day are common
		s.add("DATE_FUTURE", s.header.Get("Date"))
	case at.Before(now.Add(-s.o.MaxAge)):
		s.add("DATE_OLD", s.header.Get("Date"))
	}
}

// messageID: RFC 5322 s3.6.4.
func messageID(s *subject) {
	raw := strings.TrimSpace(s.header.Get("Message-ID"))
	if raw == "" {
		s.add("MID_MISSING", "")
		return
	}
	if left, right, ok := strings.Cut(strings.Trim(raw, "<>"), "@"); !ok || left == "" || right == "" || raw[0] != '<' || raw[len(raw)-1] != '>' {
		s.add("MID_INVALID", raw)
	}
}

func subjectLine(s *subject) {
	if s.subject == "" {
		s.add("SUBJECT_EMPTY", "")
		return
	}
	letters, capitals := 0, 0
	for _, r := range s.subject {
		if unicode.IsUpper(r) {
			capitals++
		}
		if unicode.IsUpper(r) || unicode.IsLower(r) { // scripts without capitals do not count
			letters++
		}
	}
	if letters >= 10 && capitals*10 >= letters*9 && strings.ContainsRune(s.subject, ' ') {
		s.add("SUBJECT_CAPS", s.subject)
	}
	if strings.Count(s.subject, "!") >= 3 || strings.Count(s.subject, "$") >= 3 {
		s.add("SUBJECT_EXCLAIMS", s.subject)
	}
	if reply, _, ok := strings.Cut(s.subject, ":"); ok && strings.EqualFold(reply, "re") && !s.header.Has("References") && !s.header.Has("In-Reply-To") {
		s.add("SUBJECT_FAKE_REPLY", s.subject)
	}
}

// from: the name that people see must not claim to be another address.
func from(s *subject) {
	switch {
	case !s.header.Has("From"):
		if !slices.ContainsFunc(s.mail.Symbols(), func(f spam.Symbol) bool { return f.Name == "FROM_MISSING" }) { // the DMARC check says it too
			s.add("FROM_MISSING", "")
		}
		return
	case s.domain == "":
		s.add("FROM_INVALID", s.header.Get("From"))
		return
	}
	for _, word := range strings.FieldsFunc(limit(s.from.Name, 500), func(r rune) bool { return r == ' ' || strings.ContainsRune(`<>()[]"',;:|`, r) }) {
		local, domain, isAddress := strings.Cut(word, "@")
		switch {
		case isAddress && local != "" && page.Domain(domain) != "" && page.Organization(domain) != page.Organization(s.domain):
			s.add("FROM_NAME_ADDRESS", s.from.Name+" <"+s.from.Addr+">")
			return
		case !isAddress && page.Domain(word) != "" && page.Organization(page.Domain(word)) != page.Organization(s.domain):
			s.add("FROM_NAME_DOMAIN", s.from.Name+" <"+s.from.Addr+">")
			return
		}
	}
}

func replyTo(s *subject) {
	for _, a := range some(mime.ParseAddressList(limit(s.header.Get("Reply-To"), 16<<10)).All()) {
		_, domain := a.Split()
		if domain != "" && s.domain != "" && page.Organization(domain) != page.Organization(s.domain) && !list(s.header) {
			s.add("REPLYTO_ELSEWHERE", a.Addr)
			return
		}
	}
}

// list tells mailing lists (RFC 2369, RFC 2919): they set Reply-To, write to themselves, and come again with old dates.
func list(h mime.Header) bool { return h.Has("List-Id") || h.Has("List-Post") }

func recipients(s *subject) {
	var all []mime.Address
	there := false
	for _, name := range []string{"To", "Cc"} {
		for _, value := range some(s.header.Values(name)) {
			there = true
			all = append(all, mime.ParseAddressList(limit(value, 64<<10)).All()...)
		}
	}
	switch {
	case !there && !s.header.Has("Bcc"):
		s.add("TO_MISSING", "")
	case len(all) == 0:
		s.add("TO_UNDISCLOSED", s.header.Get("To"))
	case len(all) > s.o.MaxTo:
		s.add("TO_MANY", fmt.Sprint(len(all)))
	case len(all) == 1 && s.from.Addr != "" && strings.EqualFold(all[0].Addr, s.from.Addr) && !list(s.header):
		s.add("FROM_IS_TO", s.from.Addr)
	}
}

// received finds trace fields that no server writes.
func received(s *subject) {
	n := 0
	for r := range s.header.Received() {
		if n++; n > 50 {
			return
		}
		switch {
		case r.IP.IsValid() && r.IP.Is4() && r.IP.As4()[0] == 0:
			s.add("RECEIVED_FORGED", r.IP.String())
			return
		case !r.Time.IsZero() && r.Time.After(time.Now().Add(24*time.Hour)):
			s.add("RECEIVED_FORGED", "from the future")
			return
		}
	}
}

func some[T any](list []T) []T { return list[:min(len(list), 50)] }
