// Package smtptest has an SMTP server for tests, as net/http/httptest has one for HTTP. It listens on a port of its own, keeps what it receives, and lets a test wait for it:
//
//	func TestWelcomeMail(t *testing.T) {
//		srv := smtptest.NewServer(t) // closed when the test ends
//		app := newApp(srv.Addr)
//		app.register("bob@example.org")
//		got, err := srv.WaitFor(t.Context(), func(m *smtptest.Received) bool { return m.To("bob@example.org") })
//		require.NoError(t, err)
//		text, err := got.Message().Text()
//		require.NoError(t, err)
//		require.Contains(t, text, "Welcome, Bob")
//	}
//
// A test need not give a deadline: who waits for a message that does not come is told so after ten seconds, and what came instead.
//
// The server offers STARTTLS with a certificate that [Server.ClientTLS] trusts, and [Server.CertPEM] has for other programs; [Server.Dialer] gives a ready client.
// NewUnstartedServer lets a test set Users and Tokens for AUTH, Config.RequireTLS, another mode (submission, LMTP), limits, extensions, implicit TLS with StartTLS, or
// a Listener in memory, with which the server runs inside a testing/synctest bubble.
//
// [Server.Script] and [Server.Refuse] make it answer as the test needs: at the connection, at MAIL, at RCPT, at the end of the message or at any command, for one address
// or all, for the first few times or from some time on, with a delay or without.
//
//	srv.Refuse("full@example.org", 452, "4.2.2 mailbox full")
//	srv.Script(smtptest.Rule{On: smtptest.OnMail, Times: 2, Reply: smtptest.Reply(451, "4.7.1 greylisted")})
//
// A rule may also cut the connection, also within the message:
//
//	srv.Script(smtptest.Rule{On: smtptest.OnData, Octets: 1000, Times: 1, Drop: true})
//
// [Server.Faults] breaks the connection itself at an octet: it drops, stalls, slows or garbles. [Chaos] chooses by a seed, so that
// a failure can be had again.
//
// Received messages are held in memory, up to the size that the server's limits allow each. What the server offers is set by the fields of [Server.Config].
package smtptest
