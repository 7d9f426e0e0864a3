package mime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Nothing that somebody gives as a value becomes a line of the header.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{"x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: y", "x\x00y"} {
		for field, change := range map[string]func(*Letter){
			"From":                       func(l *Letter) { l.From.Name = evil },
			"To":                         func(l *Letter) { l.To[0].Addr = evil + "@example.org" },
			"Cc":                         func(l *Letter) { l.Cc = []Address{Addr(evil, "x@example.org")} },
			"Bcc":                        func(l *Letter) { l.Bcc = []Address{Addr("", evil)} },
			"Sender":                     func(l *Letter) { l.Sender = Addr(evil, "x@example.org") },
			"Reply-To":                   func(l *Letter) { l.ReplyTo = []Address{Addr(evil, "x@example.org")} },
			"Subject":                    func(l *Letter) { l.Subject = evil },
			"Message-ID":                 func(l *Letter) { l.MessageID = evil },
			"In-Reply-To":                func(l *Letter) { l.InReplyTo = []string{evil} },
			"References":                 func(l *Letter) { l.References = []string{"a@b", evil} },
			"Auto-Submitted":             func(l *Letter) { l.AutoSubmitted = evil },
			"List-Unsubscribe":           func(l *Letter) { l.Unsubscribe = &Unsubscribe{Links: []string{"mailto:" + evil}} },
			"X-Test":                     func(l *Letter) { l.Extra = []ExtraField{{"X-Test", evil}} },
			"Extra":                      func(l *Letter) { l.Extra = []ExtraField{{evil, "x"}} },
			"Attachments[0].Name":        func(l *Letter) { l.Attachments = []File{BytesFile(evil, nil)} },
			"Attachments[0].ContentType": func(l *Letter) { l.Attachments = []File{{Name: "a", ContentType: evil, Content: bytesContent(nil)}} },
			"Attachments[0].Description": func(l *Letter) { l.Attachments = []File{{Name: "a", Description: evil, Content: bytesContent(nil)}} },
			"Inline[0].ContentID":        func(l *Letter) { l.Inline = []File{{Name: "a", ContentID: evil, Content: bytesContent(nil)}} },
			"Calendar.Method":            func(l *Letter) { l.Calendar = &Calendar{Method: evil} },
		} {
			l := basic()
			change(&l)
			_, err := l.Compose()
			var fe *FieldError
			require.ErrorAs(t, err, &fe, "%s %q", field, evil)
			require.Equal(t, field, fe.Field, "%v", err)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		field  string
		change func(*Letter)
	}{
		"no From":                 {"From", func(l *Letter) { l.From = Address{} }},
		"no domain":               {"To", func(l *Letter) { l.To[0].Addr = "bob" }},
		"unquoted space":          {"To", func(l *Letter) { l.To[0].Addr = "bob x@example.org" }},
		"two addresses in one":    {"To", func(l *Letter) { l.To[0].Addr = "a@b.c,d@e.f" }},
		"angle brackets":          {"To", func(l *Letter) { l.To[0].Addr = "<a@b.c>" }},
		"dots in a row":           {"To", func(l *Letter) { l.To[0].Addr = "a..b@example.org" }},
		"bad domain":              {"Cc", func(l *Letter) { l.Cc = []Address{Addr("", "a@exa mple.org")} }},
		"half a literal":          {"Cc", func(l *Letter) { l.Cc = []Address{Addr("", "a@[192.0.2.1")} }},
		"literal of nothing":      {"Cc", func(l *Letter) { l.Cc = []Address{Addr("", "a@[x]")} }},
		"message id with a space": {"Message-ID", func(l *Letter) { l.MessageID = "a b@c" }},
		"year":                    {"Date", func(l *Letter) { l.Date = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		"own field":               {"Extra", func(l *Letter) { l.Extra = []ExtraField{{"bcc", "x@example.org"}} }},
		"post without https":      {"Unsubscribe.Post", func(l *Letter) { l.Unsubscribe = &Unsubscribe{Post: "http://example.org"} }},
		"multipart file": {"Attachments[0].ContentType", func(l *Letter) {
			l.Attachments = []File{{Name: "x", ContentType: "multipart/mixed", Content: bytesContent(nil)}}
		}},
		"inline without id": {"Inline[0].ContentID", func(l *Letter) { l.Inline = []File{{Content: bytesContent(nil)}} }},
	} {
		t.Run(name, func(t *testing.T) {
			l := basic()
			c.change(&l)
			_, err := l.Compose()
			var fe *FieldError
			require.ErrorAs(t, err, &fe)
			require.Equal(t, c.field, fe.Field)
		})
	}
}

func TestAddressForms(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"a@b", "a.b+c@example.org", `"a b"@example.org`, `"a\"b"@example.org`, `"a@b"@example.org`, "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]",
		"!#$%&'*+-/=?^_`{|}~@example.org", "a@under_score.example"} {
		l := basic()
		l.To = []Address{Addr("Somebody", addr)}
		c, m := compose(t, l, Capabilities{})
		require.Equal(t, []string{addr}, c.Recipients())
		require.Equal(t, l.To, m.Header().Addresses("To").All())
	}
}
