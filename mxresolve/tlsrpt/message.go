package tlsrpt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Message is the report as a mail to one address, compressed, with CRLF line ends (RFC 8460 s5.3). It is not signed yet: a
// DKIM signature of the domain of Sender.Contact must be put before it, which should cover the TLS-Report fields too.
// It asks to be sent whatever the recipient's TLS policies say (RFC 8460 s5.3, RFC 8689 s5): it may be about their failing.
func (r *Report) Message(to string, at time.Time) ([]byte, error) {
	for _, addr := range []string{to, r.Sender.Contact} {
		if !plainAddress(addr) {
			return nil, fmt.Errorf("tlsrpt: %q is not a mail address", addr)
		}
	}
	packed, err := r.Gzip()
	if err != nil {
		return nil, err
	}
	const boundary = "=_tls-report" // never a line of base64, nor of the text
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: <%s>", r.Sender.Contact)
	line("To: <%s>", to)
	line("Date: %s", at.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	line("Subject: %s", strings.NewReplacer(" Submitter:", "\r\n Submitter:", " Report-ID:", "\r\n Report-ID:").Replace(r.Subject()))
	line("Message-ID: <%s@%s>", r.ID, r.submitter())
	for _, f := range r.Header() {
		line("%s: %s", f[0], f[1])
	}
	line("TLS-Required: No")
	line("Auto-Submitted: auto-generated") // RFC 3834 s5
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/report; report-type=tlsrpt;\r\n boundary=%q", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii\r\n")
	line("This is an aggregate TLS report from %s\r\nabout mail for %s on %s.", r.submitter(), r.Domain, r.Start.Format(time.DateOnly))
	line("--%s", boundary)
	line("Content-Type: %s", TypeGzip)
	line("Content-Disposition: attachment;\r\n filename=%q", r.Filename())
	line("Content-Transfer-Encoding: base64\r\n")
	for rest := base64.StdEncoding.EncodeToString(packed); rest != ""; {
		n := min(76, len(rest))
		line("%s", rest[:n])
		rest = rest[n:]
	}
	line("--%s--", boundary)
	return b.Bytes(), nil
}

// mailAddress is the address of a mailto: URI (RFC 6068). What it wants in the header is not done.
func mailAddress(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", err
	}
	to, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return "", err
	}
	if !plainAddress(to) {
		return "", errors.New("not one mail address")
	}
	return to, nil
}

// plainAddress says whether text is one address that may stand in a header without quoting: a dot-atom and a domain in ASCII.
func plainAddress(text string) bool {
	local, domain, ok := strings.Cut(text, "@")
	strange := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>[]:;@\,"`, r) }
	return ok && local != "" && domain != "" && len(text) <= 254 && !strings.ContainsFunc(local+domain, strange)
}
