package smtp_test

import (
	"slices"
	"testing"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// hello opens a dialog with the extensions named.
func hello(extensions ...string) string {
	lines := append([]string{"mx.test"}, extensions...)
	s := "S: 220 mx.test ESMTP\nC: EHLO client.test\n"
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		s += "S: 250" + sep + l + "\n"
	}
	return s
}

const (
	bodyLines = `
		C: Subject: hi
		C:
		C: ..one
		C: two
		C: .
	`
	chunkLines = `
		C: BDAT 26 LAST
		C: Subject: hi
		C:
		C: .one
		C: two
	`
)

var dialogs = slices.Concat(plainDialogs, limitDialogs)

var plainDialogs = []dialog{
	{name: "plain", to: []string{"bob@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 2.0.0 queued as 1A`,
		want: "bob ok 250; nil",
		check: func(t *testing.T, r *smtp.Result, err error) {
			require.Equal(t, smtp.Reply{Code: 250, Enhanced: smtp.EnhancedCode{2, 0, 0}, Text: "queued as 1A"}, r.Final)
			require.Equal(t, int64(26), r.Size)
			require.Equal(t, "not offered", r.TLS.Reason)
		}},
	{name: "HELO", to: []string{"bob@b.test"}, script: `
		S: 220 old
		C: EHLO client.test
		S: 502 what
		C: HELO client.test
		S: 250 old
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 251 will forward
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "bob ok 250; nil"},
	{name: "pipelined, one refused", to: []string{"bob@b.test", "eve@b.test", "carol@b.test"}, script: hello("PIPELINING", "SIZE 1000", "8BITMIME") + `
		C: MAIL FROM:<alice@a.test> SIZE=26
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<eve@b.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 550-5.1.1 nobody
		S: 550 5.1.1 here
		S: 250 2.1.5 ok
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; eve RCPT TO:<eve@b.test>: 550 5.1.1 nobody / here; carol ok 250; nil"},
	{name: "MAIL refused, pipelined", to: []string{"bob@b.test", "eve@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<eve@b.test>
		C: DATA
		S: 451 4.7.1 not now
		S: 503 5.5.1 no
		S: 503 5.5.1 no
		S: 503 5.5.1 no`,
		want: "bob MAIL FROM:<alice@a.test>: 451 4.7.1 not now; eve MAIL FROM:<alice@a.test>: 451 4.7.1 not now; MAIL FROM:<alice@a.test>: 451 4.7.1 not now"},
	{name: "MAIL refused, not pipelined", to: []string{"bob@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 550 5.7.1 not you`,
		want: "bob MAIL FROM:<alice@a.test>: 550 5.7.1 not you; MAIL FROM:<alice@a.test>: 550 5.7.1 not you"},
	{name: "all refused, and 354 all the same", twice: true, to: []string{"bob@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 550 no
		S: 354 give me
		C: .
		S: 250 a message for nobody
		C: RSET
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 reset
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob RCPT TO:<bob@b.test>: 550 no; RCPT TO:<bob@b.test>: 550 no"},
	{name: "DATA refused", twice: true, to: []string{"bob@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 452 4.3.1 full
		C: RSET
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 reset
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob DATA: 452 4.3.1 full; DATA: 452 4.3.1 full"},
	{name: "the message is refused", twice: true, to: []string{"bob@b.test", "carol@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `
		S: 554 5.7.1 spam
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob end of data: 554 5.7.1 spam; carol end of data: 554 5.7.1 spam; end of data: 554 5.7.1 spam"},
	{name: "chunks", to: []string{"bob@b.test"}, script: hello("PIPELINING", "CHUNKING", "8BITMIME") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		S: 250 ok` + chunkLines + `S: 250 ok`, want: "bob ok 250; nil"},
	{name: "chunk refused", twice: true, to: []string{"bob@b.test"}, script: hello("PIPELINING", "CHUNKING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		S: 250 ok` + chunkLines + `
		S: 552 5.3.4 big
		C: RSET
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		S: 250 ok
		S: 250 ok` + chunkLines + `
		S: 250 ok`, want: "bob end of data: 552 5.3.4 big; end of data: 552 5.3.4 big"},
	{name: "CHUNKING ignored", to: []string{"bob@b.test"}, dialer: func(d *smtp.Dialer) { d.Ignore = []string{"chunking"} }, script: hello("CHUNKING") + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "bob ok 250; nil"},
	{name: "LMTP", to: []string{"bob@b.test", "eve@b.test", "carol@b.test"}, dialer: func(d *smtp.Dialer) { d.LMTP = true }, script: `
		S: 220 lmtp
		C: LHLO client.test
		S: 250-lmtp
		S: 250 PIPELINING
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<eve@b.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 550 5.1.1 who
		S: 250 ok
		S: 354 go on` + bodyLines + `
		S: 250 2.0.0 filed
		S: 452 4.2.2 over quota`,
		want: "bob ok 250; eve RCPT TO:<eve@b.test>: 550 5.1.1 who; carol end of data for <carol@b.test>: 452 4.2.2 over quota; nil"},
	{name: "LMTP, lost between replies", to: []string{"bob@b.test", "carol@b.test"}, dialer: func(d *smtp.Dialer) { d.LMTP = true }, script: `
		S: 220 lmtp
		C: LHLO client.test
		S: 250 lmtp
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `
		S: 250 2.0.0 filed
		X:`,
		want: "bob ok 250; carol end of data: " + doubt + "unexpected EOF [4.4.2]; end of data: " + doubt + "unexpected EOF [4.4.2]"},
	{name: "LMTP, all refused, and 354 all the same", to: []string{"bob@b.test"}, dialer: func(d *smtp.Dialer) { d.LMTP = true }, script: `
		S: 220 lmtp
		C: LHLO client.test
		S: 250 lmtp
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 550 5.1.1 who
		S: 354 go on`, want: "bob RCPT TO:<bob@b.test>: 550 5.1.1 who; RCPT TO:<bob@b.test>: 550 5.1.1 who"},
	{name: "421 in the middle", to: []string{"bob@b.test", "carol@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 ok
		S: 550 5.1.1 who
		S: 421 4.3.2 going down
		X:`,
		want: "bob RCPT TO:<bob@b.test>: 550 5.1.1 who; carol RCPT TO:<carol@b.test>: 421 4.3.2 going down; RCPT TO:<carol@b.test>: 421 4.3.2 going down"},
	{name: "too large for the server", to: []string{"bob@b.test"}, script: hello("SIZE 25"),
		want: "bob MAIL: the message is larger than the server takes [5.3.4]; MAIL: the message is larger than the server takes [5.3.4]"},
	{name: "8-bit, not offered", to: []string{"bob@b.test"}, body: smtp.StringContent("\r\nü\r\n"), script: hello(),
		want: "bob MAIL: the server does not take 8-bit messages [5.6.3]; MAIL: the server does not take 8-bit messages [5.6.3]"},
	{name: "8-bit", to: []string{"bob@b.test"}, body: smtp.StringContent("\nü"), script: hello("8BITMIME", "CHUNKING") + `
		C: MAIL FROM:<alice@a.test> BODY=8BITMIME
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: BDAT 4 LAST
		C:
		S: 250 ok
		X:`, want: "bob ok 250; nil"},
	{name: "8-bit, reencoded", to: []string{"bob@b.test"}, body: smtp.StringContent("\nü"), script: hello("SIZE") + `
		C: MAIL FROM:<alice@a.test> SIZE=4
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 ok
		C:
		C: ue
		C: .
		S: 250 ok`, want: "bob ok 250; nil",
		dialer: func(d *smtp.Dialer) {
			d.Reencode = func(smtp.Content, smtp.Capabilities) (smtp.Content, error) { return smtp.StringContent("\r\nue"), nil }
		}},
	{name: "addresses outside ASCII, not offered", to: []string{"bob@b.test", "jörg@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; jörg RCPT TO:<jörg@b.test>: the server does not take internationalized mail [5.6.7]; nil"},
	{name: "domains outside ASCII, not offered", to: []string{"bob@bücher.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@xn--strae-oqa.test>
		C: RCPT TO:<bob@xn--bcher-kva.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "bob ok 250; nil",
		envel: func(e *smtp.Envelope) { e.From.Domain = "straße.test" }},
	{name: "addresses outside ASCII", to: []string{"jörg@b.test"}, script: hello("PIPELINING", "SMTPUTF8") + `
		C: MAIL FROM:<alice@a.test> SMTPUTF8
		C: RCPT TO:<jörg@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "jörg ok 250; nil"},
	{name: "parameters", to: []string{"bob@b.test"}, script: hello("PIPELINING", "DSN", "MT-PRIORITY", "AUTH PLAIN") + `
		C: MAIL FROM:<alice@a.test> AUTH=<> RET=HDRS ENVID=q+2B1 MT-PRIORITY=3
		C: RCPT TO:<bob@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+3D@b.test
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "bob ok 250; nil", envel: allParams},
	{name: "parameters, not offered", to: []string{"bob@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "bob ok 250; nil", envel: allParams,
		check: func(t *testing.T, r *smtp.Result, err error) {
			require.Equal(t, []string{"RET", "ENVID", "MT-PRIORITY", "AUTH", "NOTIFY", "ORCPT"}, r.Dropped)
		}},
	{name: "REQUIRETLS, not offered", to: []string{"bob@b.test"}, script: hello("REQUIRETLS"), // without TLS it means nothing
		envel: func(e *smtp.Envelope) { e.Params.RequireTLS = true },
		want:  "bob MAIL: the server does not offer REQUIRETLS over TLS [5.7.30]; MAIL: the server does not offer REQUIRETLS over TLS [5.7.30]"},
	{name: "REQUIRETLS of a notification, not offered", to: []string{"bob@b.test"}, script: hello() + `
		C: MAIL FROM:<>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`, want: "bob ok 250; nil",
		envel: func(e *smtp.Envelope) { e.From, e.Params.RequireTLS = smtp.ReversePath{}, true },
		check: func(t *testing.T, r *smtp.Result, err error) { require.Equal(t, []string{"REQUIRETLS"}, r.Dropped) }},
	{name: "an address with a command in it", to: []string{"bob@b.test", "carol@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		envel: func(e *smtp.Envelope) { e.To[0].Path.Local = "x>\r\nRSET\r\n" },
		want:  "x>\r\nRSET\r\n RCPT TO:<\"x>??RSET??\"@b.test>: an address that cannot be written in SMTP: smtp: local part is not a dot-string or quoted string [5.1.3]; carol ok 250; nil"},
	{name: "garbage", to: []string{"bob@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: <html>`, want: "bob MAIL FROM:<alice@a.test>: " + badReply + " [4.5.0]; MAIL FROM:<alice@a.test>: " + badReply + " [4.5.0]"},
	{name: "lines of one reply with different codes", to: []string{"bob@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250-one
		S: 550 two`, want: "bob MAIL FROM:<alice@a.test>: " + badReply + " [4.5.0]; MAIL FROM:<alice@a.test>: " + badReply + " [4.5.0]"},
	{name: "DATA answered by something else", to: []string{"bob@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok`, want: "bob DATA: unexpected reply 250 ok: " + badReply + " [4.5.0]; DATA: unexpected reply 250 ok: " + badReply + " [4.5.0]"},
	{name: "a message answered by something else", to: []string{"bob@b.test"}, script: hello("PIPELINING") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 354 go on`,
		want: "bob end of data: unexpected reply 354 go on: " + doubt + badReply + " [4.5.0]; end of data: unexpected reply 354 go on: " + doubt + badReply + " [4.5.0]"},
}

const (
	badReply = "the server sent something that is not an SMTP reply"
	doubt    = "the message may have been delivered: the server had all of it when the connection failed: "
)
