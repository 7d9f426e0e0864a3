package protect

import (
	"bytes"
	"crypto/rand"
	"fmt"
	stdmime "mime"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

// structural fields describe the body (RFC 9788 s1.1): they go where the body goes.
func structural(name string) bool {
	return len(name) >= 8 && strings.EqualFold(name[:8], "Content-") || strings.EqualFold(name, "MIME-Version")
}

// trace fields are added on the way, or are for the way: they stay outside, and only there.
func trace(name string) bool {
	n := strings.ToLower(name)
	return strings.HasPrefix(n, "arc-") || slices.Contains([]string{"received", "return-path", "dkim-signature", "domainkey-signature", "authentication-results",
		"received-spf", "delivered-to", "x-original-to", "autocrypt", "bcc"}, n)
}

// userFacing fields are shown or used by mail programs (RFC 9788 s1.1): where headers are protected, one that is only outside was not written by the sender.
func userFacing(name string) bool {
	return slices.Contains([]string{"from", "to", "cc", "bcc", "subject", "date", "reply-to", "followup-to", "mail-followup-to", "mail-reply-to", "sender", "message-id",
		"in-reply-to", "references", "comments", "keywords", "resent-from", "resent-to", "resent-cc", "resent-date", "resent-sender", "disposition-notification-to"}, strings.ToLower(name))
}

// secret fields do not go outside of an encrypted message at all: those of hcp_baseline (RFC 9788 s3.2.1), and what Autocrypt says of others.
func secret(name string) bool {
	return slices.Contains([]string{"comments", "keywords", "autocrypt-gossip"}, strings.ToLower(name))
}

// split makes the header of the payload, with its blank line, and the fields outside without content fields or blank line. subject is what takes the place of the
// Subject outside of an encrypted message; "" leaves the real one there.
func split(h mime.Header, encrypted bool, subject string, qp bool) (payload, outer []byte) {
	var inner, hidden, content bytes.Buffer
	var out bytes.Buffer
	hasType := false
	for f := range h.Fields() {
		name := f.Name()
		switch {
		case strings.EqualFold(name, "MIME-Version"), strings.EqualFold(name, "HP-Outer"):
		case f.Is("Content-Type"):
			if !hasType {
				writeType(&content, f, h, encrypted)
			}
			hasType = true
		case qp && f.Is("Content-Transfer-Encoding"):
		case structural(name):
			writeField(&content, f.Raw())
		case trace(name):
			if !strings.EqualFold(name, "bcc") {
				writeField(&out, f.Raw())
			}
		default:
			writeField(&inner, f.Raw())
			raw := f.Raw()
			switch {
			case encrypted && secret(name):
				continue
			case encrypted && f.Is("Subject") && subject != "":
				raw = []byte("Subject: " + subject + "\r\n")
			}
			writeField(&out, raw)
			if encrypted {
				hidden.WriteString("HP-Outer: ")
				writeField(&hidden, raw)
			}
		}
	}
	if !hasType {
		content.WriteString("Content-Type: text/plain; charset=us-ascii;\r\n " + protection(encrypted) + "\r\n")
	}
	if qp {
		content.WriteString(qpField)
	}
	inner.Write(hidden.Bytes())
	inner.Write(content.Bytes())
	inner.Write(crlf)
	return inner.Bytes(), out.Bytes()
}

// protection says that the header is protected, as RFC 9788 s2.1 and as the draft before it, which more programs know.
func protection(encrypted bool) string {
	if encrypted {
		return `hp="cipher"; protected-headers="v1"`
	}
	return `hp="clear"; protected-headers="v1"`
}

// writeType writes the Content-Type with the parameters of protection. One that cannot take more parameters, or has them already, is written anew.
func writeType(out *bytes.Buffer, f mime.Field, h mime.Header, encrypted bool) {
	t := h.ContentType()
	var field bytes.Buffer
	writeField(&field, bytes.TrimRight(f.Raw(), " \t\r\n;"))
	raw := bytes.TrimRight(field.Bytes(), "\r\n")
	with := string(raw) + ";\r\n " + protection(encrypted) + "\r\n"
	again := mime.ParseHeader([]byte(with)).ContentType()
	if t.Params.Get("hp") != "" || t.Params.Get("protected-headers") != "" || again.Params.Get("hp") == "" || again.String() != t.String() {
		params := map[string]string{}
		for _, p := range t.Params {
			if _, again := params[p.Name]; !again && p.Name != "hp" && p.Name != "protected-headers" {
				params[p.Name] = p.Value
			}
		}
		v := stdmime.FormatMediaType(t.String(), params)
		if v == "" {
			v = "text/plain; charset=us-ascii" // RFC 2045 s5.2
		}
		with = "Content-Type: " + strings.ReplaceAll(v, "; ", ";\r\n ") + ";\r\n " + protection(encrypted) + "\r\n"
	}
	out.WriteString(with)
}

// writeField writes a field with line ends CRLF, without white space at the end of a line, and without lines of white space.
func writeField(out *bytes.Buffer, raw []byte) {
	for len(raw) > 0 {
		var line []byte
		line, raw, _ = bytes.Cut(raw, []byte("\n"))
		if line = bytes.TrimRight(line, " \t\r"); len(line) > 0 {
			out.Write(line)
			out.Write(crlf)
		}
	}
}

// A Merged is the header of a message that was opened.
type Merged struct {
	Header    []byte // with its blank line
	Protected bool   // it is the sender's own, not that of the way
}

// Merge makes the header of an opened message. inner is that of the payload; it counts only if it is trusted: decrypted, or under a good signature.
func Merge(outer, inner mime.Header, trusted bool) Merged {
	t := inner.ContentType()
	hp := t.Params.Get("hp") == "clear" || t.Params.Get("hp") == "cipher"
	m := Merged{Protected: trusted && (hp || t.Params.Get("protected-headers") == "v1")}
	// RFC 9788 s4.4: who is outside is whom the way vouches for, and whom the signature is checked against. Another name inside is not shown.
	keepFrom := !sameAddresses(outer.Addresses("From"), inner.Addresses("From"))
	inside := func(name string) bool {
		return inner.Has(name) && !trace(name) && !(keepFrom && strings.EqualFold(name, "from"))
	}
	var out bytes.Buffer
	for f := range outer.Fields() {
		name := f.Name()
		if structural(name) || m.Protected && (inside(name) || hp && userFacing(name) && !strings.EqualFold(name, "from")) {
			continue
		}
		writeField(&out, f.Raw())
	}
	for f := range inner.Fields() {
		name := f.Name()
		if m.Protected && !structural(name) && inside(name) && !strings.EqualFold(name, "HP-Outer") {
			writeField(&out, f.Raw())
		}
	}
	out.WriteString("MIME-Version: 1.0\r\n")
	for f := range inner.Fields() {
		if structural(f.Name()) && !f.Is("MIME-Version") {
			writeField(&out, f.Raw())
		}
	}
	out.Write(crlf)
	m.Header = out.Bytes()
	return m
}

func sameAddresses(a, b mime.AddressList) bool {
	x, y := a.All(), b.All()
	return slices.EqualFunc(x, y, func(x, y mime.Address) bool { return lower(x.Addr) == lower(y.Addr) })
}

// lower lowers ASCII letters only: what other scripts take for the same letter is another mailbox.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// SameAddress reports whether both are one mailbox.
func SameAddress(a, b string) bool { return lower(a) == lower(b) }

// From returns the addresses whose keys a message must be signed with.
func From(h mime.Header) []string {
	var all []string
	for i, a := range h.Addresses("From").All() {
		if i == maxFrom {
			break
		}
		all = append(all, a.Addr)
	}
	return all
}

const maxFrom = 10 // authors whose keys are looked up

// Boundary returns a delimiter that no text has.
func Boundary() string {
	var b [18]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("=_%x", b)
}
