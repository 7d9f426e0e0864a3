package bayes

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"path"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam/internal/page"
)

// read takes the tokens of a message. Fields that servers add on the way are left out, so that a message from a mailbox has the
// same tokens as on its arrival.
func (t *tokens) read(m *mime.Message) {
	t.reset()
	h := m.Header()
	t.header(h)
	body := page.Read(m)
	t.words("", body.Text)
	t.words("", body.HTML.Text)
	t.markup(body.Document)
	for _, l := range body.Links() {
		t.link(l.URL)
	}
	n := 0
	for p := range m.Parts() {
		if n++; n > page.MaxParts {
			break
		}
		t.part(p)
	}
	t.identify(h)
}

func (t *tokens) header(h mime.Header) {
	n := 0
	ours := h.Has("Return-Path") // final delivery adds it, beside a Received field of its own (RFC 5321 s4.4), which was not there on arrival
	for f := range h.Fields() {
		if n++; n > maxFields {
			break
		}
		name := strings.ToLower(f.Name())
		if name == "received" && !ours {
			t.words("received:", cut(f.Value()))
		}
		ours = ours && name != "received"
		if trace(name) {
			continue
		}
		t.one("has:", name)
		switch name {
		case "subject":
			t.words("subject:", cut(f.Text()))
		case "from", "reply-to", "sender":
			for _, a := range some(mime.ParseAddressList(cut(f.Value())).All()) {
				_, domain := a.Split()
				t.one(name+":", a.Addr)
				t.one(name+":", domain)
				t.words(name+":", a.Name)
			}
		case "to", "cc":
			for _, a := range some(mime.ParseAddressList(cut(f.Value())).All()) {
				t.one("to:", a.Addr)
				t.words("to:", a.Name)
			}
		case "message-id", "date", "references", "in-reply-to", "dkim-signature", "content-type", "mime-version":
		default:
			t.words(name+":", cut(f.Text()))
		}
	}
	for _, id := range h.MessageIDs("Message-ID") {
		_, domain, _ := strings.Cut(id, "@")
		t.one("id:", domain)
	}
	if fields := strings.Fields(h.Get("Date")); len(fields) > 0 {
		t.one("zone:", fields[len(fields)-1])
	}
}

// trace tells fields that are added on the way or in a mailbox, or that are different each time.
func trace(name string) bool {
	switch name {
	case "received", "return-path", "delivered-to", "authentication-results", "received-spf", "envelope-to", "x-original-to", "x-envelope-from", "x-envelope-to",
		"status", "x-status", "x-uid", "x-uidl", "x-keywords", "x-account-key", "content-length", "lines", "x-loop", "delivery-date", "x-mimeole-id":
		return true
	}
	return strings.HasPrefix(name, "x-spam") || strings.HasPrefix(name, "arc-") || strings.HasPrefix(name, "x-mozilla") || strings.HasPrefix(name, "x-bogosity")
}

func (t *tokens) link(url string) {
	_, host := page.Host(url)
	if host == "" {
		if scheme, _, ok := strings.Cut(url, ":"); ok && len(scheme) < 12 {
			t.one("scheme:", scheme)
		}
		return
	}
	t.one("host:", host)
	if org := page.Organization(host); org != host {
		t.one("host:", org)
	}
	if _, rest, ok := strings.Cut(url, "//"); ok {
		if _, where, ok := strings.Cut(rest, "/"); ok {
			t.words("path:", where[:min(len(where), 200)])
		}
	}
}

func (t *tokens) part(p *mime.Part) {
	t.one("type:", p.MediaType())
	if c := p.ContentType().Params.Get("charset"); c != "" {
		t.one("charset:", c)
	}
	t.one("encoding:", p.Header().Get("Content-Transfer-Encoding"))
	if name := p.Filename(); name != "" {
		t.one("ext:", path.Ext(name))
		t.words("file:", cut(name))
	}
}

func cut(s string) string { return s[:min(len(s), 4096)] }

func some(list []mime.Address) []mime.Address { return list[:min(len(list), 50)] }

// identify makes the digest by which a message is known again: of its identifier, its date and its tokens. What has one digest has one set of tokens, so
// that unlearning takes back exactly what was learned.
func (t *tokens) identify(h mime.Header) {
	slices.SortFunc(t.list, func(a, b token) int { return cmp.Compare(a.hash, b.hash) })
	t.hashes = t.hashes[:0]
	b := make([]byte, 0, 8*len(t.list)+200)
	for _, tok := range t.list {
		t.hashes = append(t.hashes, tok.hash)
		b = binary.LittleEndian.AppendUint64(b, tok.hash)
	}
	b = append(b, h.Get("Message-ID")...)
	b = append(b, 0)
	b = append(b, h.Get("Date")...)
	sum := sha256.Sum256(b)
	t.id = [16]byte(sum[:])
	t.odds = slices.Grow(t.odds[:0], len(t.list))[:len(t.list)]
}
