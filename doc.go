// Package mailroom is the map of a library of mail building blocks; it holds no code. Every package can be imported alone, and together they carry a
// message from a composer to a mailbox.
//
//   - [github.com/gomailroom/mailroom/mime]: messages, written and read; [github.com/gomailroom/mailroom/mime/dkim] signs and verifies them.
//   - [github.com/gomailroom/mailroom/mxresolve]: where mail for a domain goes; beside it tlsrpt keeps and sends TLS reports, and dnstest
//     is a DNS server for tests.
//   - [github.com/gomailroom/mailroom/smtp]: SMTP, submission and LMTP, client and server.
//   - [github.com/gomailroom/mailroom/smtp/queue]: a durable outbound queue with retries and delivery status notifications.
//   - [github.com/gomailroom/mailroom/smtp/mta]: receives, judges, files and relays: one value to embed.
//   - [github.com/gomailroom/mailroom/smtp/smtptest]: for tests of code that sends mail, what net/http/httptest is for HTTP.
//   - [github.com/gomailroom/mailroom/imap] and [github.com/gomailroom/mailroom/pop3]: servers over small interfaces.
//   - [github.com/gomailroom/mailroom/imap/mailstore]: accounts and stores, in memory and in SQL.
//   - [github.com/gomailroom/mailroom/spam]: a scorer with SPF, DKIM, DMARC, heuristics and a classifier that learns.
//
// Two programs show the whole: examples/journey carries letters through all of it and prints each step, and
// examples/mailserver is a working mail server.
package mailroom
