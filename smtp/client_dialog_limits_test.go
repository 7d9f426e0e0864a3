package smtp_test

import (
	"net/netip"

	"github.com/gomailroom/mailroom/smtp"
)

// limitDialogs are about servers that take only so much at once, and about proxies.
var limitDialogs = []dialog{
	{name: "RCPTMAX", to: []string{"bob@b.test", "carol@b.test"}, script: hello("LIMITS RCPTMAX=1 MAILMAX=9") + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; carol ok 250; nil"},
	{name: "RCPTMAX, the first ones are refused", to: []string{"bob@b.test", "carol@b.test"}, script: hello("PIPELINING", "LIMITS RCPTMAX=1") + `
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<bob@b.test>
		C: DATA
		S: 250 ok
		S: 550 5.1.1 no
		S: 503 what
		C: RSET
		C: MAIL FROM:<alice@a.test>
		C: RCPT TO:<carol@b.test>
		C: DATA
		S: 250 ok
		S: 250 ok
		S: 250 ok
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob RCPT TO:<bob@b.test>: 550 5.1.1 no; carol ok 250; nil"},
	{name: "MAILMAX", to: []string{"bob@b.test", "carol@b.test"}, script: hello("LIMITS RCPTMAX=1 MAILMAX=1") + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; carol MAIL FROM:<alice@a.test>: more transactions than the server takes [4.5.3]; nil"},
	{name: "RCPTDOMAINMAX", to: []string{"bob@b.test", "carol@c.test", "dave@B.TEST"}, script: hello("LIMITS RCPTDOMAINMAX=1") + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: RCPT TO:<dave@B.TEST>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<carol@c.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; carol ok 250; dave ok 250; nil"},
	{name: "too many recipients that nobody announced", to: []string{"bob@b.test", "carol@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 452 4.5.3 too many
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; carol ok 250; nil"},
	{name: "too many recipients, learned", to: []string{"bob@b.test", "carol@b.test", "dave@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 452 4.5.3 too many
		C: RCPT TO:<dave@b.test>
		S: 452 4.5.3 too many
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<dave@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; carol ok 250; dave ok 250; nil"},
	{name: "too many at once, and then the message is refused", to: []string{"bob@b.test", "carol@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 552 too many
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 451 4.3.0 not now`,
		want: "bob ok 250; carol MAIL FROM:<alice@a.test>: 451 4.3.0 not now; nil"},
	{name: "the connection breaks between transactions", to: []string{"bob@b.test", "carol@b.test"}, script: hello("LIMITS RCPTMAX=1") + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok
		C: MAIL FROM:<alice@a.test>
		S: 421 4.3.2 going down
		X:`,
		want: "bob ok 250; carol MAIL FROM:<alice@a.test>: 421 4.3.2 going down; MAIL FROM:<alice@a.test>: 421 4.3.2 going down"},
	{name: "XCLIENT", to: []string{"bob@b.test"}, script: hello("XCLIENT NAME ADDR PORT HELO LOGIN DESTADDR") + `
		C: XCLIENT NAME=spike.example.org ADDR=192.0.2.9 PORT=4711 HELO=[IPv6:+2B] LOGIN=J+C3+BCrgen+20+3D DESTADDR=IPV6:2001:db8::1
		S: 220 mx.test ESMTP
		C: EHLO client.test
		S: 250-mx.test
		S: 250 SIZE 3
		`,
		dialer: func(d *smtp.Dialer) {
			d.XClient = &smtp.XClient{Name: "spike.example.org", Addr: netip.MustParseAddrPort("192.0.2.9:4711"), Hello: "[IPv6:+]", Proto: "ESMTP",
				Login: "Jürgen =", Destination: netip.MustParseAddrPort("[2001:db8::1]:25")}
		},
		want: "bob MAIL: the message is larger than the server takes [5.3.4]; MAIL: the message is larger than the server takes [5.3.4]"},
	{name: "nothing to tell by XCLIENT", to: []string{"bob@b.test"}, script: hello("XCLIENT ADDR", "SIZE 3"),
		dialer: func(d *smtp.Dialer) { d.XClient = &smtp.XClient{Name: "spike.example.org"} },
		want:   "bob MAIL: the message is larger than the server takes [5.3.4]; MAIL: the message is larger than the server takes [5.3.4]"},
	{name: "a full mailbox is not too many recipients", to: []string{"bob@b.test", "carol@b.test"}, script: hello() + `
		C: MAIL FROM:<alice@a.test>
		S: 250 ok
		C: RCPT TO:<bob@b.test>
		S: 250 ok
		C: RCPT TO:<carol@b.test>
		S: 452 4.2.2 full
		C: DATA
		S: 354 go on` + bodyLines + `S: 250 ok`,
		want: "bob ok 250; carol RCPT TO:<carol@b.test>: 452 4.2.2 full; nil"},
}
