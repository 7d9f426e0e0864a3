package mime

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// dateLayout is RFC 5322 s3.3.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 -0700"

// A builder writes the header of a message and keeps the first thing that was wrong.
type builder struct {
	fieldWriter
	err error
}

func (b *builder) fail(field, reason string) {
	if b.err == nil {
		b.err = &FieldError{Field: field, Reason: reason}
	}
}

// check refuses what would end a field or start another (header injection).
func (b *builder) check(field, value string) bool {
	if i := strings.IndexAny(value, "\r\n\x00"); i >= 0 {
		b.fail(field, fmt.Sprintf("has a line break or NUL at octet %d", i))
		return false
	}
	return true
}

// unstructured writes a text field; an empty value writes nothing.
func (b *builder) unstructured(name, value string) {
	if strings.Trim(value, " ") == "" || !b.check(name, value) {
		return
	}
	b.begin(name)
	b.text(value)
	b.end()
}

// plain writes a field whose value is one token, which must be ASCII without spaces.
func (b *builder) plain(name, value string) {
	if value == "" || !b.check(name, value) {
		return
	}
	if !isPrintable(value) || len(value) > longestRawToken {
		b.fail(name, "has a value that is not short ASCII")
		return
	}
	b.begin(name)
	b.token(" ", value)
	b.end()
}

func (b *builder) date(name string, t time.Time) {
	if t.IsZero() {
		t = time.Now()
	}
	if y := t.Year(); y < 1900 || y > 9999 {
		b.fail(name, "is out of the years 1900 to 9999") // RFC 5322 s3.3
		return
	}
	b.plain(name, t.Format(dateLayout))
}

// ids writes a list of message ids, given with or without angle brackets.
func (b *builder) ids(name string, ids ...string) {
	if len(ids) == 0 {
		return
	}
	b.begin(name)
	for _, id := range ids {
		id = trimAngles(id)
		if !b.check(name, id) {
			return
		}
		if id == "" || strings.ContainsAny(id, " \t<>") || !b.utf8 && !isASCII(id) || len(id) > longestRawToken {
			b.fail(name, "has a message id that cannot be written: "+id)
			return
		}
		b.token(" ", "<"+id+">")
	}
	b.end()
}

// trimAngles returns an identifier without angle brackets.
func trimAngles(id string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "<"), ">")
}

// messageID writes id, or a random one in the domain of from.
func (b *builder) messageID(id string, from Address) {
	if id == "" {
		spec, reason := addrSpec(from, b.utf8)
		if reason != "" {
			return // already reported for From
		}
		_, domain := Addr("", spec).Split()
		id = rand.Text() + "@" + domain
	}
	b.ids("Message-ID", id)
}

// extra writes a field that the caller named.
func (b *builder) extra(f ExtraField) {
	if b.checkName(f.Name); b.err != nil {
		return
	}
	if own[strings.ToLower(f.Name)] {
		b.fail("Extra", "has "+f.Name+", for which the letter has a field of its own")
		return
	}
	b.unstructured(f.Name, f.Value)
}

// own are the fields that composing writes itself. There may be one of each (RFC 5322 s3.6, RFC 2045 s3).
var own = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{"from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references",
		"mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-description",
		"list-unsubscribe", "list-unsubscribe-post", "list-id", "list-post", "list-help", "list-subscribe", "list-owner", "list-archive", "auto-submitted"} {
		m[name] = true
	}
	return m
}()

// urls writes a list of URLs in angle brackets (RFC 2369 s2).
func (b *builder) urls(name string, urls ...string) {
	b.begin(name)
	for i, u := range urls {
		if !b.check(name, u) {
			return
		}
		if !isPrintable(u) || strings.ContainsAny(u, "<> ,") || !strings.Contains(u, ":") || len(u) > longestRawToken {
			b.fail(name, "has something that is no URL: "+u)
			return
		}
		if i > 0 {
			b.glue(",")
		}
		b.token(" ", "<"+u+">")
	}
	b.end()
}

func (b *builder) unsubscribe(u *Unsubscribe) {
	links := u.Links
	if u.Post != "" {
		if !strings.HasPrefix(strings.ToLower(u.Post), "https://") {
			b.fail("Unsubscribe.Post", "is no https URL") // RFC 8058 s3.1
			return
		}
		links = append([]string{u.Post}, links...)
	}
	if len(links) == 0 {
		return
	}
	b.urls("List-Unsubscribe", links...)
	if u.Post != "" {
		b.plain("List-Unsubscribe-Post", "List-Unsubscribe=One-Click") // RFC 8058 s3.1
	}
}
