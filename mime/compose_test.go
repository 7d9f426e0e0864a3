package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

var testDate = time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("", 3600))

// compose composes l and holds the message to what is true of every message.
func compose(t *testing.T, l Letter, caps Capabilities) (*Composed, *Message) {
	t.Helper()
	c, err := l.ComposeFor(caps)
	require.NoError(t, err)
	return c, checkComposed(t, c, caps)
}

func checkComposed(t *testing.T, c *Composed, caps Capabilities) *Message {
	t.Helper()
	r, err := c.Open()
	require.NoError(t, err)
	raw, err := io.ReadAll(iotest.HalfReader(r))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, c.Size(), int64(len(raw)))

	var again bytes.Buffer
	n, err := c.WriteTo(&again)
	require.NoError(t, err)
	require.Equal(t, c.Size(), n)
	require.Equal(t, string(raw), again.String(), "a message reads the same each time")

	require.True(t, bytes.HasSuffix(raw, crlf))
	require.NotContains(t, strings.ReplaceAll(string(raw), "\r\n", ""), "\r")
	require.NotContains(t, strings.ReplaceAll(string(raw), "\r\n", ""), "\n")
	for line := range bytes.SplitSeq(raw, crlf) {
		require.LessOrEqual(t, len(line), hardColumn)
	}
	header, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	require.True(t, ok)
	require.Equal(t, c.NeedsSMTPUTF8() && !isASCII(header), !isASCII(header))
	if !caps.EightBit && !c.Needs8BitMIME() {
		require.True(t, isASCII(body))
	}
	m := ParseBytes(raw)
	require.Empty(t, m.Defects())
	require.Equal(t, string(m.Header().Bytes()), string(c.Header().Bytes()))
	return m
}

func basic() Letter {
	return Letter{From: Addr("Alice", "alice@example.org"), To: []Address{Addr("", "bob@example.net")}, Date: testDate, MessageID: "1@example.org", Subject: "Hello"}
}

func TestComposeText(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Text = "Hi Bob,\n\nhow are you?\n"
	c, _ := compose(t, l, Capabilities{})
	var b bytes.Buffer
	_, err := c.WriteTo(&b)
	require.NoError(t, err)
	require.Equal(t, "Date: Sat, 21 Nov 2026 10:00:00 +0100\r\nFrom: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Hello\r\n"+
		"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"+
		"Hi Bob,\r\n\r\nhow are you?\r\n", b.String())
	require.Equal(t, "alice@example.org", c.From())
	require.Equal(t, []string{"bob@example.net"}, c.Recipients())
}

// shape draws the tree of a message.
func shape(m *Message) string {
	var draw func(p *Part) string
	draw = func(p *Part) string {
		s := p.MediaType()
		if p.IsMultipart() {
			var parts []string
			for child := range p.Children() {
				parts = append(parts, draw(child))
			}
			s = strings.TrimPrefix(s, "multipart/") + "(" + strings.Join(parts, " ") + ")"
		}
		return s
	}
	return draw(m.Root())
}

func TestComposeNesting(t *testing.T) {
	t.Parallel()
	png := BytesFile("logo.png", []byte("\x89PNG\r\n\x1a\n...."))
	pdf := BytesFile("a.pdf", []byte("%PDF-1.7"))
	ics := &Calendar{Data: []byte("BEGIN:VCALENDAR\nMETHOD:CANCEL\nEND:VCALENDAR\n")}
	for _, c := range []struct {
		name, want string
		change     func(*Letter)
	}{
		{"empty", "text/plain", func(l *Letter) {}},
		{"text", "text/plain", func(l *Letter) { l.Text = "x" }},
		{"html", "text/html", func(l *Letter) { l.HTML = "x" }},
		{"both", "alternative(text/plain text/html)", func(l *Letter) { l.Text, l.HTML = "x", "x" }},
		{"inline", "alternative(text/plain related(text/html image/png))", func(l *Letter) { l.Text, l.HTML, l.Inline = "x", "x", []File{png} }},
		{"inline without html", "mixed(text/plain image/png)", func(l *Letter) { l.Text, l.Inline = "x", []File{png} }},
		{"attachment alone", "mixed(application/pdf)", func(l *Letter) { l.Attachments = []File{pdf} }},
		{"all", "mixed(alternative(text/plain related(text/html image/png) text/calendar) application/pdf application/ics)", func(l *Letter) {
			l.Text, l.HTML, l.Inline, l.Attachments, l.Calendar = "x", "x", []File{png}, []File{pdf}, ics
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := basic()
			c.change(&l)
			_, m := compose(t, l, Capabilities{})
			require.Equal(t, c.want, shape(m))
		})
	}
}

func TestComposeRoundTrip(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Subject = "Gr\u00fc\u00dfe aus K\u00f6ln, " + strings.Repeat("sehr lang ", 20) + "\u65e5\u672c\u8a9e"
	l.From.Name = "J\u00fcrgen, M\u00fcller"
	l.To = []Address{Addr("Bob \"B\" Builder", "bob@example.net"), Addr("", "\"john doe\"@example.net"), Addr("IDN", "x@b\u00fccher.example")}
	l.Cc = []Address{Addr(strings.Repeat("Very Long Name ", 12), "long@example.net")}
	l.Bcc = []Address{Addr("Secret", "hidden@example.net"), Addr("", "bob@example.net")}
	l.ReplyTo = []Address{Addr("", "replies@example.org")}
	l.InReplyTo, l.References = []string{"<0@example.net>"}, []string{"a@example.net", "<0@example.net>"}
	l.Text = "Gr\u00fc\u00dfe,\n\n-- \nJ\u00fcrgen\n"
	l.HTML = "<p>" + strings.Repeat("\u65e5\u672c\u8a9e\n", 500) + "</p>"
	data := randomBytes(rand.New(rand.NewPCG(3, 4)), 100_001)
	l.Attachments = []File{BytesFile("\u00dcbersicht "+strings.Repeat("lang ", 30)+".bin", data), BytesFile("notes.txt", []byte("text\n")), BytesFile("empty.bin", nil)}
	l.Inline = []File{BytesFile("logo.png", []byte("\x89PNG\r\n\x1a\n"))}
	for _, caps := range []Capabilities{{}, {EightBit: true}, {UTF8: true}, {EightBit: true, UTF8: true}} {
		t.Run(fmt.Sprintf("%+v", caps), func(t *testing.T) {
			c, m := compose(t, l, caps)
			h := m.Header()
			require.Equal(t, l.Subject, h.Text("Subject"))
			require.Equal(t, []Address{l.From}, h.Addresses("From").All())
			to := h.Addresses("To").All()
			require.Equal(t, l.To[:2], to[:2])
			require.Equal(t, strings.TrimSpace(l.Cc[0].Name), h.Addresses("Cc").All()[0].Name)
			require.False(t, h.Has("Bcc"))
			require.Equal(t, []string{"a@example.net", "0@example.net"}, trimmedIDs(h.MessageIDs("References")))
			domain := "xn--bcher-kva.example"
			if caps.UTF8 {
				domain = "b\u00fccher.example"
			}
			require.Equal(t, "x@"+domain, to[2].Addr)
			require.Equal(t, []string{"bob@example.net", "\"john doe\"@example.net", "x@" + domain, "long@example.net", "hidden@example.net"}, c.Recipients())
			require.Equal(t, caps.UTF8, c.NeedsSMTPUTF8())
			require.Equal(t, caps.EightBit, c.Needs8BitMIME())
			for line := range strings.SplitSeq(string(h.Bytes()), "\r\n") {
				require.LessOrEqual(t, len(line), foldColumn)
			}

			text, err := m.Text()
			require.NoError(t, err)
			require.Equal(t, strings.TrimSpace(l.Text), strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")))
			html, err := m.HTML()
			require.NoError(t, err)
			require.Equal(t, l.HTML, strings.ReplaceAll(html, "\r\n", "\n"))
			var names []string
			for _, p := range m.Attachments() {
				names = append(names, p.Filename())
				if strings.HasSuffix(p.Filename(), ".bin") && p.Filename() != "empty.bin" {
					got, err := io.ReadAll(p.Decoded())
					require.NoError(t, err)
					require.True(t, bytes.Equal(data, got))
				}
			}
			require.Subset(t, names, []string{l.Attachments[0].Name, "notes.txt", "empty.bin"})
		})
	}
}

func trimmedIDs(ids []string) (out []string) {
	for _, id := range ids {
		out = append(out, strings.Trim(id, "<>"))
	}
	return out
}

func TestComposeGroups(t *testing.T) {
	t.Parallel()
	l := basic()
	l.ToGroups = []AddressGroup{{Name: "Fr\u00fchst\u00fccksrunde", Members: []Address{Addr("C", "c@example.org"), Addr("", "d@example.org")}}, {Name: "nobody"}}
	c, m := compose(t, l, Capabilities{})
	require.Equal(t, []string{"bob@example.net", "c@example.org", "d@example.org"}, c.Recipients())
	list := m.Header().Addresses("To")
	require.Len(t, list, 3)
	require.Equal(t, "Fr\u00fchst\u00fccksrunde", list[1].Name)
	require.Equal(t, l.ToGroups[0].Members, list[1].Members)
	require.True(t, list[2].IsGroup)

	l = basic()
	l.To, l.Bcc = nil, []Address{Addr("", "x@example.org")}
	c, m = compose(t, l, Capabilities{})
	require.Equal(t, "undisclosed-recipients:;", m.Header().Get("To"))
	require.Equal(t, []string{"x@example.org"}, c.Recipients())

	l.ToGroups = []AddressGroup{{}}
	_, err := l.Compose()
	require.Error(t, err)
}

func TestComposeSMTPUTF8(t *testing.T) {
	t.Parallel()
	l := basic()
	l.To = []Address{Addr("\u5f20", "\u7528\u6237@\u4f8b\u5b50.example")}
	c, m := compose(t, l, Capabilities{})
	require.True(t, c.NeedsSMTPUTF8(), "a local part has no ASCII form")
	require.Equal(t, l.To, m.Header().Addresses("To").All())
	require.Equal(t, []string{l.To[0].Addr}, c.Recipients())

	l = basic()
	l.Bcc = []Address{Addr("", "\u7528\u6237@example.org")}
	c, _ = compose(t, l, Capabilities{})
	require.True(t, c.NeedsSMTPUTF8(), "the envelope needs it")
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Unsubscribe = &Unsubscribe{Post: "https://example.org/u/1", Links: []string{"mailto:leave@example.org?subject=1"}}
	l.AutoSubmitted = "auto-generated"
	l.List = &List{ID: "news.example.org", Name: "News"}
	l.Extra = []ExtraField{{"X-Mailer", "Gr\u00fc\u00dfe"}}
	_, m := compose(t, l, Capabilities{})
	h := m.Header()
	require.Equal(t, "<https://example.org/u/1>, <mailto:leave@example.org?subject=1>", h.Get("List-Unsubscribe"))
	require.Equal(t, "List-Unsubscribe=One-Click", h.Get("List-Unsubscribe-Post"))
	require.Equal(t, "News <news.example.org>", h.Get("List-Id"))
	require.Equal(t, "Gr\u00fc\u00dfe", h.Text("X-Mailer"))
	require.Equal(t, "auto-generated", h.Get("Auto-Submitted"))
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Text = "Please come"
	l.Calendar = &Calendar{Data: []byte("BEGIN:VCALENDAR\nVERSION:2.0\nmethod:request\nBEGIN:VEVENT\nSUMMARY:Fest f\u00fcr alle\nEND:VEVENT\nEND:VCALENDAR\n")}
	_, m := compose(t, l, Capabilities{})
	require.Equal(t, "mixed(alternative(text/plain text/calendar) application/ics)", shape(m))
	view := m.Part(3)
	require.Equal(t, "text/calendar", view.MediaType())
	require.Equal(t, "REQUEST", view.ContentType().Params.Get("method"))
	require.Equal(t, "invite.ics", m.Part(4).Filename())
}

func TestTextEncoding(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		caps Capabilities
		want string
	}{
		"ascii":                  {"hello", Capabilities{}, "7bit"},
		"long line":              {strings.Repeat("x", 999), Capabilities{EightBit: true}, "quoted-printable"},
		"longest line":           {strings.Repeat("x", 998) + "\n" + strings.Repeat("y", 998), Capabilities{}, "7bit"},
		"latin":                  {"Gr\u00fc\u00dfe an alle in der Stadt", Capabilities{}, "quoted-printable"},
		"latin over 8bit":        {"Gr\u00fc\u00dfe", Capabilities{EightBit: true}, "8bit"},
		"chinese":                {strings.Repeat("\u4e2d\u6587", 30), Capabilities{}, "base64"},
		"line that mbox mangles": {"a\nFrom b\n", Capabilities{}, "quoted-printable"},
		"nul":                    {"a\x00b", Capabilities{}, "quoted-printable"},
	} {
		t.Run(name, func(t *testing.T) {
			l := basic()
			l.Text = c.text
			_, m := compose(t, l, c.caps)
			require.Equal(t, c.want, m.Header().Get("Content-Transfer-Encoding"))
			got, err := io.ReadAll(m.Root().Decoded())
			require.NoError(t, err)
			require.Equal(t, strings.TrimRight(string(toCRLF(c.text)), "\r\n"), strings.TrimRight(string(got), "\r\n"))
		})
	}
}

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Attachments = []File{BytesFile("a.bin", make([]byte, 100_000))}
	c, err := l.Compose()
	require.NoError(t, err)
	full := errors.New("full")
	for _, room := range []int{0, 100, 1000, 50_000} {
		_, err = c.WriteTo(&limitedWriter{room, full})
		require.ErrorIs(t, err, full)
	}
}

type limitedWriter struct {
	room int
	err  error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// What was signed or stored by its length must be true however the reader is used.
func FuzzCompose(f *testing.F) {
	f.Add("Subject", "text", "<p>html</p>", []byte("data"), "file name.txt", "Bob")
	f.Add("\u00fc =?x?=", "From x\n.\n\xff", "", []byte{}, "\u65e5\u672c", "B, \"x\"")
	f.Fuzz(func(t *testing.T, subject, text, html string, data []byte, file, name string) {
		l := basic()
		l.Subject, l.Text, l.HTML, l.To[0].Name = subject, text, html, name
		l.Attachments = []File{{Name: file, Content: bytesContent(data), ContentType: "application/octet-stream"}}
		c, err := l.Compose()
		if err != nil {
			var fe *FieldError
			require.ErrorAs(t, err, &fe)
			return
		}
		m := checkComposed(t, c, Capabilities{})
		last := m.Part(m.Len() - 1)
		got, err := io.ReadAll(last.Decoded())
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	})
}

func BenchmarkCompose(b *testing.B) {
	for _, size := range []int{100 << 10, 25 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			l := basic()
			l.Text, l.HTML = strings.Repeat("A line of text that is plain.\n", 40), strings.Repeat("<p>A line of Gr\u00fc\u00dfe.</p>\n", 40)
			l.Attachments = []File{BytesFile("data.bin", make([]byte, size))}
			b.ReportAllocs()
			for b.Loop() {
				c, err := l.Compose()
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(c.Size())
				if _, err := c.WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
