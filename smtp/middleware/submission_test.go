package middleware_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/middleware"
)

func TestSubmissionEnvelope(t *testing.T) {
	run(t, &smtp.Server{Handler: middleware.Chain(&gate{}, middleware.Submission(middleware.SubmissionRules{}))}, func(w *world) {
		c := w.dial("192.0.2.7").expect("220")
		c.say("EHLO x", "250")
		c.say("MAIL FROM:<a@localhost>", "554 5.1.7")
		c.say("MAIL FROM:<>", "250")
		c.say("RSET", "250")
		c.say("MAIL FROM:<a@[192.0.2.7]>", "250")
		c.say("RCPT TO:<b@intranet>", "554 5.1.2")
		c.say("RCPT TO:<Postmaster>", "250")
		c.say("RCPT TO:<b@x.example>", "250")
	})
}

func TestSubmissionHeader(t *testing.T) {
	long := "X: " + strings.Repeat("x", 900) + "\r\n"
	for name, c0 := range map[string]struct{ message, want string }{
		"plain":            {"From: a@x.example\r\n\r\nbody\r\n", "250"},
		"no body":          {"From: a@x.example\r\n", "250"},
		"names":            {"From: =?utf-8?q?J=C3=B6rg?= <j@x.example>,\r\n \"B, C\" <b@[192.0.2.1]>\r\nTo: undisclosed-recipients:;\r\n\r\n", "250"},
		"lower case":       {"from : a@x.example\r\n\r\n", "250"},
		"broken To":        {"From: a@x.example\r\nTo: <<>>\r\n\r\n", "250"},
		"no header":        {"\r\nFrom: a@x.example\r\n", "554 5.6.0 the header has no field From"},
		"no From":          {"Sender: a@x.example\r\nSubject: x\r\n From: b@x.example\r\n\r\nFrom: c@x.example\r\n", "554 5.6.0 the header has no field From"},
		"empty":            {"", "554 5.6.0 the header has no field From"},
		"two From":         {"From: a@x.example\r\nfrom: b@x.example\r\n\r\n", "554 5.6.0 the header has more than one field from"},
		"two Date":         {"From: a@x.example\r\nDate: x\r\nDate: x\r\n\r\n", "554 5.6.0 the header has more than one field date"},
		"broken From":      {"From: a b c\r\n\r\n", "554 5.6.0 the field From is not"},
		"not qualified":    {"From: a@localhost\r\n\r\n", "554 5.6.0 a domain in the field from"},
		"To not qualified": {"From: a@x.example\r\nTo: b@x.example, b@host\r\n\r\n", "554 5.6.0 a domain in the field to"},
		"not a field":      {"From: a@x.example\r\nhello\r\n\r\n", "554 5.6.0 a line of the header"},
		"begins folded":    {" From: a@x.example\r\n\r\n", "554 5.6.0 a line of the header"},
		"long":             {strings.Repeat(long, 290) + "From: a@x.example\r\n\r\n", "554 5.6.0 the header is too long"},
		"rather long":      {strings.Repeat(long, 280) + "From: a@x.example\r\n\r\n", "250"},
		"bare LF":          {"From: a@x.example\nTo: b@x.example\r\n\r\n", "554 5.6.0 message holds a bare LF"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gate{}
			run(t, &smtp.Server{Handler: middleware.Chain(g, middleware.Submission(middleware.SubmissionRules{}))}, func(w *world) {
				c := w.dial("192.0.2.7").expect("220")
				c.say("EHLO x", "250")
				c.say("MAIL FROM:<a@x.example>", "250")
				c.say("RCPT TO:<b@x.example>", "250")
				c.say("DATA", "354")
				c.say(c0.message+".", c0.want)
				c.say("MAIL FROM:<a@x.example>", "250")
			})
			if calls := strings.Join(g.calls, "\n"); c0.want == "250" {
				require.Contains(t, calls, fmt.Sprintf("data %q <nil> true", c0.message))
			} else {
				require.Contains(t, calls, "abort")
				require.NotContains(t, calls, "data")
			}
		})
	}
}

func TestSubmissionAdds(t *testing.T) {
	const stamp = "Date: Sat, 01 Jan 2000 00:00:00 +0000\r\n"
	id := `Message-ID: <[A-Z2-7]{26}@x\.example>` + "\r\n"
	for name, c := range map[string]struct{ message, added string }{
		"both":       {"From: a@x.example\r\n\r\nbody\r\n", regexp.QuoteMeta(stamp) + id},
		"date":       {"From: a@x.example\r\nMessage-ID: <1@x.example>\r\n\r\nbody\r\n", regexp.QuoteMeta(stamp)},
		"message-id": {"From: a@x.example\r\nDate: Fri, 31 Dec 1999 00:00:00 +0000\r\n\r\nbody\r\n", id},
		"neither":    {"From: a@x.example\r\nMessage-ID: <1@x.example>\r\nDate: Fri, 31 Dec 1999 00:00:00 +0000\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gate{}
			run(t, &smtp.Server{Handler: middleware.Chain(g, middleware.Submission(middleware.SubmissionRules{Domain: "x.example"}))}, func(w *world) {
				client := w.dial("192.0.2.7").expect("220")
				client.say("EHLO x", "250")
				client.say("MAIL FROM:<a@x.example>", "250")
				client.say("RCPT TO:<b@x.example>", "250")
				client.say("DATA", "354")
				client.say(c.message+".", "250")
			})
			got, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(g.calls[len(g.calls)-1], "data "), " <nil> true"))
			require.NoError(t, err)
			require.Regexp(t, "^"+c.added+regexp.QuoteMeta(c.message)+"$", got)
		})
	}
}
