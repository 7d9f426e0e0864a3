package mime

import (
	"bytes"
	htmltemplate "html/template"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/stretchr/testify/require"
)

const conversation = "Message-ID: <2@example.org>\r\nReferences: <0@example.org> <1@example.net>\r\nFrom: Alice Example <alice@example.org>\r\n" +
	"To: bob@example.net, \"Carol, C.\" <carol@example.com>, bob@EXAMPLE.net\r\nCc: dave@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHi Bob,\r\n> earlier\r\n\r\nbye\r\n-- \r\nAlice\r\n"

var bob = Addr("Bob", "bob@example.net")

func addrs(list []Address) (out []string) {
	for _, a := range list {
		out = append(out, a.Addr)
	}
	return out
}

func TestReply(t *testing.T) {
	t.Parallel()
	l, err := ParseBytes([]byte(conversation)).Reply(ReplyAll, Addr("", "other@example.net"), bob)
	require.NoError(t, err)
	require.Equal(t, bob, l.From, "the address that the message came to")
	require.Equal(t, []string{"alice@example.org"}, addrs(l.To))
	require.Equal(t, []string{"carol@example.com", "dave@example.com"}, addrs(l.Cc))
	require.Equal(t, "Re: Gr\u00fc\u00dfe", l.Subject)
	require.Equal(t, []string{"2@example.org"}, l.InReplyTo)
	require.Equal(t, []string{"0@example.org", "1@example.net", "2@example.org"}, l.References)
	require.Equal(t, "On Fri, 11 Jul 2003 at 21:00 -0700, Alice Example wrote:\n> Hi Bob,\n>> earlier\n>\n> bye\n", l.Text)
	_, m := compose(t, l, Capabilities{})
	text, err := m.Text()
	require.NoError(t, err)
	require.Contains(t, text, "\n> Hi Bob,\n>> earlier\n")
}

func TestReplyRecipients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header string
		mode   ReplyMode
		self   []Address
		to, cc []string
	}{
		"sender":                   {"From: a@x.y\r\nTo: bob@example.net, c@x.y\r\n", ReplySender, []Address{bob}, []string{"a@x.y"}, nil},
		"reply-to":                 {"From: a@x.y\r\nReply-To: r@x.y\r\nTo: bob@example.net\r\n", ReplySender, []Address{bob}, []string{"r@x.y"}, nil},
		"reply-to, all":            {"From: a@x.y\r\nReply-To: r@x.y, a@x.y\r\nTo: bob@example.net, a@x.y\r\nCc: d@x.y\r\n", ReplyAll, []Address{bob}, []string{"r@x.y", "a@x.y"}, []string{"d@x.y"}},
		"mail-followup-to":         {"From: a@x.y\r\nMail-Followup-To: list@x.y, bob@example.net\r\nTo: list@x.y\r\n", ReplyAll, []Address{bob}, []string{"list@x.y"}, nil},
		"mail-followup-to, sender": {"From: a@x.y\r\nMail-Followup-To: list@x.y\r\nTo: list@x.y\r\n", ReplySender, []Address{bob}, []string{"a@x.y"}, nil},
		"own message":              {"From: bob@example.net\r\nTo: a@x.y, b@x.y\r\nCc: c@x.y\r\n", ReplyAll, []Address{bob}, []string{"a@x.y", "b@x.y"}, []string{"c@x.y"}},
		"own message, sender":      {"From: bob@example.net\r\nTo: a@x.y\r\n", ReplySender, []Address{bob}, []string{"a@x.y"}, nil},
		"note to self":             {"From: bob@example.net\r\nTo: bob@example.net\r\n", ReplyAll, []Address{bob}, []string{"bob@example.net"}, nil},
		"groups":                   {"From: a@x.y\r\nTo: friends: f@x.y, g@x.y;\r\n", ReplyAll, []Address{bob}, []string{"a@x.y"}, []string{"f@x.y", "g@x.y"}},
		"what cannot be written":   {"From: a@x.y\r\nTo: nobody, <@>, c@x.y, undisclosed-recipients:;\r\n", ReplyAll, nil, []string{"a@x.y"}, []string{"c@x.y"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := ParseBytes([]byte(c.header+"\r\nx\r\n")).Reply(c.mode, c.self...)
			require.NoError(t, err)
			require.Equal(t, c.to, addrs(l.To))
			require.Equal(t, c.cc, addrs(l.Cc))
		})
	}
}

func TestReplyThreading(t *testing.T) {
	t.Parallel()
	reply := func(header string) Letter {
		l, err := ParseBytes([]byte(header+"\r\nx\r\n")).Reply(ReplySender, bob)
		require.NoError(t, err)
		return l
	}
	require.Equal(t, []string{"1@x", "2@x"}, reply("Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n").References)
	require.Equal(t, []string{"3@x"}, reply("Message-ID: <3@x>\r\nIn-Reply-To: <1@x> <2@x>\r\n").References, "several parents are no chain")
	require.Empty(t, reply("Subject: x\r\n").InReplyTo)
	require.Equal(t, "re: x", reply("Subject: re: x\r\n").Subject)
	require.Equal(t, "Re: Result", reply("Subject: Result\r\n").Subject)
	require.Equal(t, "Re:", reply("X: y\r\n").Subject)

	long := reply("Message-ID: <last@x>\r\nReferences: <first@x>" + strings.Repeat("\r\n <m@x>", 200) + "\r\n").References
	require.Len(t, long, maxReferences)
	require.Equal(t, "first@x", long[0])
	require.Equal(t, "last@x", long[maxReferences-1])
}

// Whatever came in, an answer can be written.
func FuzzReply(f *testing.F) {
	f.Add([]byte(conversation))
	f.Add([]byte("From: =?utf-8?q?a=0D=0ABcc=3A_x?= <a@x.y>\r\nSubject: =?utf-8?b?DQpCY2M6IHg=?=\r\nMessage-ID: <a b>\r\nReferences: <\xff>\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := ParseBytes(raw)
		for _, mode := range []ReplyMode{ReplySender, ReplyAll} {
			l, err := m.Reply(mode, bob)
			require.NoError(t, err)
			c, err := l.Compose()
			require.NoError(t, err)
			checkComposed(t, c, Capabilities{})
		}
		for _, mode := range []ForwardMode{ForwardInline, ForwardAttached} {
			l, err := m.Forward(mode, bob)
			require.NoError(t, err)
			l.To = []Address{bob}
			c, err := l.Compose()
			require.NoError(t, err)
			var b bytes.Buffer
			_, err = c.WriteTo(&b)
			require.NoError(t, err)
			require.EqualValues(t, c.Size(), b.Len())
		}
	})
}

func TestForward(t *testing.T) {
	t.Parallel()
	src := basic()
	src.Subject, src.Text = "Report", "See the file.\n"
	src.Attachments = []File{BytesFile("r\u00e9sum\u00e9.pdf", []byte("%PDF-1.7 content"))}
	c, m := compose(t, src, Capabilities{})

	inline, err := m.Forward(ForwardInline, bob)
	require.NoError(t, err)
	inline.To = []Address{Addr("", "carol@example.com")}
	require.Equal(t, "Fwd: Report", inline.Subject)
	require.Equal(t, "---------- Forwarded message ----------\nFrom: Alice <alice@example.org>\nDate: Sat, 21 Nov 2026 10:00:00 +0100\n"+
		"Subject: Report\nTo: bob@example.net\n\nSee the file.", strings.TrimRight(inline.Text, "\n"))
	_, got := compose(t, inline, Capabilities{})
	require.Equal(t, "mixed(text/plain application/pdf)", shape(got))
	require.Equal(t, "r\u00e9sum\u00e9.pdf", got.Attachments()[0].Filename())

	attached, err := m.Forward(ForwardAttached, bob)
	require.NoError(t, err)
	attached.To, attached.Text = inline.To, "fyi"
	_, got = compose(t, attached, Capabilities{})
	inner, err := got.Attachments()[0].Embedded()
	require.NoError(t, err)
	require.Equal(t, string(c.Header().Bytes()), string(inner.Header().Bytes()))
}

func TestFlowed(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("several words ", 20))
	for _, text := range []string{"short\n", words + "\n", "> " + words + "\n>> deeper\n", " indented\n", "From the start\n", ">\n", "-- \nsig\n", "trailing   \n",
		strings.Repeat("x", 200) + "\n", "a\n\nb\n", strings.Repeat("x", 100) + " " + words + "\n"} {
		flowed := string(appendFlowed(nil, toCRLF(text)))
		for line := range strings.SplitSeq(flowed, "\r\n") {
			if strings.Contains(line, " ") && !strings.Contains(line, "xxx") {
				require.LessOrEqual(t, len(line), foldColumn)
			}
		}
		want := strings.ReplaceAll(text, "trailing   ", "trailing")
		want = strings.ReplaceAll(want, ">\n", "> \n")
		require.Equal(t, want, DecodeFlowed(strings.ReplaceAll(flowed, "\r\n", "\n"), false), "%q", flowed)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	l := basic()
	l.Text = "before"
	text := texttemplate.Must(texttemplate.New("t").Parse("Hello {{.Name}}"))
	html := htmltemplate.Must(htmltemplate.New("h").Parse("<p>Hello {{.Name}}</p>"))
	require.Error(t, l.Render(text, html, struct{ Other string }{}))
	require.Equal(t, "before", l.Text)
	require.NoError(t, l.Render(text, html, map[string]string{"Name": "<Bob>"}))
	require.Equal(t, "Hello <Bob>", l.Text)
	require.Equal(t, "<p>Hello &lt;Bob&gt;</p>", l.HTML)
}

func TestReplyHTML(t *testing.T) {
	t.Parallel()
	src := basic()
	src.Text, src.HTML = "Look at this", `<html><head><style>p{}</style><title>t</title></head><body onload="x()"><p onclick="y()">Look <b>at this<img src="cid:logo@x"><script>z()</script><a href="javascript:z()">a</a>`
	src.Inline = []File{{Name: "logo.png", ContentID: "logo@x", Content: bytesContent("\x89PNG\r\n\x1a\n")}}
	src.Attachments = []File{BytesFile("a.pdf", []byte("%PDF"))}
	_, m := compose(t, src, Capabilities{})

	l, err := m.ReplyHTML(ReplySender, bob)
	require.NoError(t, err)
	l.Above("Nice <picture>.\n\nBob\n")
	require.Equal(t, "<div>Nice &lt;picture&gt;.<br>\n<br>\nBob</div>\n<br>\n<div>On Sat, 21 Nov 2026 at 10:00 +0100, Alice wrote:</div>\n<blockquote type=\"cite\">\n"+
		"<p>Look <b>at this<img src=\"cid:logo@x\"/><a>a</a></b></p>\n</blockquote>\n", l.HTML)
	require.True(t, strings.HasPrefix(l.Text, "Nice <picture>.\n\nBob\n\nOn Sat,"), l.Text)
	_, got := compose(t, l, Capabilities{})
	require.Equal(t, "alternative(text/plain related(text/html image/png))", shape(got))
	reply, quoted := SplitReplyHTML(l.HTML)
	require.NotContains(t, reply, "Look")
	require.Contains(t, quoted, "cid:logo@x")

	f, err := m.ForwardHTML(bob)
	require.NoError(t, err)
	f.To = []Address{Addr("", "carol@example.com")}
	require.Contains(t, f.HTML, "Forwarded message")
	require.Len(t, f.Inline, 1)
	require.Len(t, f.Attachments, 1, "the picture is shown, not attached")
	_, got = compose(t, f, Capabilities{})
	require.Equal(t, "mixed(alternative(text/plain related(text/html image/png)) application/pdf)", shape(got))

	// A message without HTML, and one that is nested too deep for any browser.
	l, err = ParseBytes([]byte("From: a@b.example\r\n\r\n1 < 2\r\n")).ReplyHTML(ReplySender, bob)
	require.NoError(t, err)
	require.Contains(t, l.HTML, "<div>1 &lt; 2</div>")
	l, err = ParseBytes([]byte("From: a@b.example\r\nContent-Type: text/html\r\n\r\n"+strings.Repeat("<div>", 5000)+"deep")).ReplyHTML(ReplySender, bob)
	require.NoError(t, err)
	require.Contains(t, l.HTML, "deep")
}

const invitation = "From: Ann <ann@example.org>\r\nMessage-ID: <i@example.org>\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" +
	"BEGIN:VTIMEZONE\r\nTZID:Berlin\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\nSEQUENCE:2\r\n" +
	"DTSTAMP:20261101T000000Z\r\nDTSTART;TZID=Berlin:20261201T120000\r\nSUMMARY:Lunch\\, at \r\n the usual place\r\nORGANIZER;CN=\"Ann: the boss\":MAILTO:ann%40office@example.org\r\n" +
	"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@example.net\r\nATTENDEE:mailto:eve@example.net\r\nBEGIN:VALARM\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func TestReplyInvitation(t *testing.T) {
	t.Parallel()
	m := ParseBytes([]byte(strings.Replace(invitation, "ann%40office@", "office@", 1)))
	l, err := m.ReplyInvitation(Accepted, Addr("Bob \"B\"\r\nX: y", "bob@example.net"), "With pleasure; really")
	require.NoError(t, err)
	require.Equal(t, "Accepted: Lunch, at the usual place", l.Subject)
	require.Equal(t, []string{"office@example.org"}, addrs(l.To))
	require.Equal(t, []string{"i@example.org"}, l.InReplyTo)
	data := string(l.Calendar.Data)
	for _, want := range []string{"METHOD:REPLY\r\n", "TZID:Berlin\r\n", "UID:1@example.org\r\n", "SEQUENCE:2\r\n", "DTSTART;TZID=Berlin:20261201T120000\r\n",
		"ATTENDEE;PARTSTAT=ACCEPTED;CN=\"Bob BX: y\":mailto:bob@example.net\r\n", "COMMENT:With pleasure\\; really\r\n", "ORGANIZER;CN=\"Ann: the boss\":"} {
		require.Contains(t, data, want)
	}
	for _, gone := range []string{"eve@", "VALARM", "TRIGGER", "20261101"} {
		require.NotContains(t, data, gone)
	}
	l.From = bob
	_, got := compose(t, l, Capabilities{})
	require.Equal(t, "mixed(alternative(text/plain text/calendar) application/ics)", shape(got))
	c, err := got.Invitation()
	require.NoError(t, err)
	require.Equal(t, "REPLY", c.Method)

	for name, raw := range map[string]string{"none": "Subject: x\r\n\r\nx", "a reply": strings.ReplaceAll(invitation, "REQUEST", "REPLY"), "no event": strings.ReplaceAll(invitation, "VEVENT", "VFREEBUSY"),
		"cut": invitation[:len(invitation)-30], "no UID": strings.Replace(invitation, "UID", "X", 1)} {
		_, err := ParseBytes([]byte(raw)).ReplyInvitation(Declined, bob, "")
		require.ErrorIs(t, err, ErrNoInvitation, name)
	}
	_, err = m.ReplyInvitation("MAYBE\r\n", bob, "")
	require.Error(t, err)
}

func TestList(t *testing.T) {
	t.Parallel()
	l := basic()
	l.List = &List{ID: "announce.example.org", Name: "Ank\u00fcndigungen", Post: "NO", Help: "mailto:help@example.org", Archive: "https://example.org/archive"}
	c, _ := compose(t, l, Capabilities{})
	h := c.Header()
	require.Equal(t, "Ank\u00fcndigungen <announce.example.org>", h.Text("List-ID"))
	require.Equal(t, "NO", h.Get("List-Post"))
	require.Equal(t, "<mailto:help@example.org>", h.Get("List-Help"))
	for _, list := range []*List{{ID: "a b"}, {ID: "a\r\nb"}, {Name: "x\r\ny", ID: "a.b"}, {Help: "no url"}, {Archive: "https://x\r\nBcc: y"}} {
		l.List = list
		_, err := l.Compose()
		var fe *FieldError
		require.ErrorAs(t, err, &fe)
	}
}
