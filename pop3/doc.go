// Package pop3 is a POP3 server (RFC 1939 with the extensions that are in use).
// It speaks the protocol; a [Backend] has the messages and an [Authenticator]
// knows the passwords.
//
//	srv := &pop3.Server{
//		Backend:   store,     // finds the maildrop of an identity
//		Auth:      directory, // checks names and passwords
//		TLSConfig: tlsConfig, // offers STLS
//	}
//	go srv.ServeTLS(implicit)       // port 995
//	err := srv.Serve(listener)      // port 110
//
// # The maildrop
//
// At login the server asks the maildrop once for its messages; numbers, sizes
// and identifiers then stay as they are for the session, whatever happens to
// the mailbox. Messages that the client deletes are given to Commit, all
// together, and only when the client says QUIT: a session that breaks, times
// out or is cut deletes nothing (RFC 1939 s6). Messages are streamed; bare LF
// becomes CRLF on the way, and lines that begin with a dot are stuffed.
//
// Package pop3test has a suite for implementations of Backend, and one in
// memory.
//
// # Authentication
//
// Plaintext passwords (USER and PASS, AUTH PLAIN and LOGIN) are taken under TLS
// only, unless InsecureAuth is set. SCRAM and APOP are offered when the server
// has what they need. Unknown users and wrong passwords get the same answer.
// Failures are counted by address and account: after 30 in a quarter of an hour
// from an address, or 60 for an account, further attempts get [SYS/TEMP].
//
// What follows STLS in the clear ends the session.
//
// # Limits
//
// A command line has 512 octets at most (RFC 2449 s4 asks for 255), lines of a
// SASL exchange 12,288. Lines may end with LF alone. What looks like HTTP or a TLS handshake on
// the plain port ends the connection, and a TLS client that names another
// protocol (ALPN) is turned away. All else is bounded by [Limits], whose zero value means these defaults:
//
//	BadCommands       20          the session ends
//	AuthFailures      3           the session ends
//	AddressFailures   30          -ERR [SYS/TEMP], failures of an address in 15 minutes
//	AccountFailures   60          -ERR [SYS/TEMP], of an account, from addresses that did not get in lately
//	FailDelay         500 ms      from a wrong password to -ERR [AUTH], whatever was wrong
//	Connections       20000       -ERR [SYS/TEMP]
//	PerAddress        500         -ERR [SYS/TEMP], connections of an address; loopback ones are not counted
//	LoginTimeout      1 minute    the connection is cut
//	CommandTimeout    10 minutes  the connection is cut, and nothing is deleted
//	WriteTimeout      5 minutes   the connection is cut
//	HandshakeTimeout  30 s        the connection is cut
//	PROXY header      10 s        the connection is cut
//
// # Logs
//
// Lines of a session have id (of the connection), remote, and user once somebody has logged in. The servers of smtp and imap log alike.
//
//	INFO   connected                   local, proxied
//	INFO   logged in                   mechanism, messages
//	INFO   messages deleted            count
//	INFO   disconnected                error, if there was one
//	WARN   connection refused          error: no room, or no PROXY header
//	WARN   authentication failed       mechanism, user, error
//	WARN   accept failed, ...          error, wait
//	WARN   maildrop or message not opened  error
//	ERROR  authentication not possible mechanism, user, error
//	ERROR  maildrop not ..., message not read, backend panicked
//
// # Standards
//
//	RFC 1939  POP3                           done; APOP only where Server.Secrets is set
//	RFC 2449  CAPA, RESP-CODES, PIPELINING,  done; EXPIRE where Server.ExpireDays is set,
//	          EXPIRE, LOGIN-DELAY            LOGIN-DELAY where Server.LoginDelay is set
//	RFC 2595  STLS                           done
//	RFC 3206  AUTH-RESP-CODE, SYS, AUTH      done
//	RFC 5034  AUTH with initial response     done: PLAIN, LOGIN, SCRAM-SHA-256 and -SHA-1 (-PLUS), OAUTHBEARER,
//	                                         XOAUTH2, EXTERNAL, CRAM-MD5
//	PROXY protocol 1 and 2                   done: from Server.ProxyFrom
//	RFC 6856  UTF8, LANG                     UTF8 done, without surrogates: a message that needs it gets
//	                                         [UTF8] until the client has asked for it; LANG has i-default alone
//	RFC 8314  implicit TLS                   done, ServeTLS
package pop3
