// Package smtp receives and sends mail by SMTP (RFC 5321), submission (RFC 6409) and LMTP (RFC 2033).
//
// # Receiving
//
// A server needs a [Handler]. The smallest one is a function that gets whole messages:
//
//	srv := &smtp.Server{
//		Hostname: "mx.example.org",
//		Handler: smtp.HandlerFunc(func(ctx context.Context, p *smtp.Peer, e *smtp.Envelope, message io.Reader) error {
//			body, err := io.ReadAll(message)
//			if err != nil {
//				return err
//			}
//			log.Printf("%s sent %d octets for %v", e.From, len(body), e.To[0].Path)
//			return nil
//		}),
//	}
//	l, err := net.Listen("tcp", ":25")
//	...
//	err = srv.Serve(l)
//
// Returning nil takes responsibility for the message. An [*Error] refuses it with a reply of the handler's choice; any other error
// is logged, and the client gets 451 and tries again later. A handler that wants to decide about senders and recipients
// before the message comes implements [Handler], [Session] and [Transaction]: Connect, Begin for MAIL, Rcpt for each RCPT, then
// exactly one of Data and Abort. It never sees the syntax of the protocol.
//
// Server.TLSConfig offers STARTTLS; [Server.ServeTLS] is for implicit TLS. AUTH is offered under TLS only, unless InsecureAuth is set; which mechanisms
// follows from what the server was given: Auth serves PLAIN and LOGIN, SCRAM serves SCRAM-SHA-256, SCRAM-SHA-1 and their -PLUS forms, Tokens serves OAUTHBEARER and XOAUTH2, Certificates serves EXTERNAL,
// and Secrets serves CRAM-MD5. Mode Submission demands AUTH; mode LMTP gives a reply for each recipient, from [Receipt]. [Server.Shutdown] lets
// transactions finish.
//
// A server behind a proxy learns of its clients by the PROXY protocol, from peers in Server.ProxyFrom, or by XCLIENT, from those in Server.XClientFrom.
//
// Policies that go around any handler (limits of rate and of connections, tarpit, lists of networks, the rules of submission) are in package
// smtp/middleware.
//
// # What a server does not put up with
//
// A message ends at CRLF.CRLF and nothing else. One with a bare CR, a bare LF or a NUL is read to its end and refused with 554 5.6.0, see
// [LinePolicy]. Command lines end in CRLF; a bare LF in one ends the session, and so do data behind STARTTLS, a BDAT whose size
// is not understood, HTTP, and a TLS handshake on the plain port. Whenever the server ends a session it says why, with code 421, or with 552 within
// a message that goes on far beyond its limit. Every command gets one reply, and an over-long line is one command. Before TLS, where the server requires it, and before AUTH in
// mode Submission everything that concerns mail gets 530. Who is turned away in place of the greeting gets 503 until QUIT, for which there are ten seconds.
//
// All that a client can make the server do is bounded by [Limits], whose zero value means these defaults:
//
//	MessageSize       64 MiB     552 5.3.4, at MAIL by SIZE and while the message comes
//	Recipients        1000       452 4.5.3
//	LineLength        2048       500 5.5.2; AUTH 12288; lines of messages may have any length
//	BadCommands       20         421 4.7.0
//	Refusals          200        421 4.7.0
//	Commands          200        421 4.7.0
//	AuthFailures      3          421 4.7.0
//	AddressFailures   30         454 4.7.0, failures of an address in 15 minutes
//	AccountFailures   60         454 4.7.0, of an account, from addresses that did not get in lately
//	FailDelay         500 ms     from a wrong password to 535, whatever was wrong
//	MaxHold           90 days    501 5.5.4, of FUTURERELEASE
//	Connections       20000      421 4.3.2
//	PerAddress        500        421 4.7.0, connections of an address; loopback ones are not counted
//	CommandTimeout    5 minutes  421 4.4.2, for a whole line
//	DataTimeout       3 minutes  421 4.4.2, of silence
//	MinRate           128        421 4.4.2, octets a second over a message
//	WriteTimeout      1 minute   the connection is cut
//	HandshakeTimeout  30 s       the connection is cut
//	PROXY header      10 s       the connection is cut
//
// An idle connection holds no buffers.
//
// # Logs
//
// Lines of a session have id (of the connection), remote, and user once somebody has logged in. The servers of imap and pop3 log alike.
//
//	INFO   connected                   local, proxied
//	INFO   XCLIENT                     what the proxy tells is in remote and user from now on
//	INFO   logged in                   mechanism
//	INFO   message, message refused    octets, recipients, error
//	INFO   disconnected                error, if there was one
//	WARN   connection refused          error: no room, or no PROXY header
//	WARN   authentication failed       mechanism, user, error
//	WARN   accept failed, ...          error, wait
//	ERROR  authentication not possible mechanism, user, error
//	ERROR  handler failed, handler panicked
//
// The context of a handler's calls does not end when the client leaves while the handler works: the end of the stream may as well be that of a client that has
// said all it had to say, and waits for the replies. Handlers that take long bound their work themselves.
//
// # Sending
//
// A [Dialer] connects, and [Conn.Send] sends an [Envelope] with a [Content]. The [Result] has the reply to each recipient; the error
// says that the conversation failed.
//
//	conn, err := new(smtp.Dialer).Dial(ctx, "mx.example.org:25")
//	...
//	defer conn.Close()
//	result, err := conn.Send(ctx, envelope, content)
//
// [SendMail] does it for one message, and a [Pool] keeps connections for many.
//
// Commands are pipelined and the message goes by BDAT where the server offers it. More recipients than the server takes at once get the message in further
// transactions. The phases have the timeouts of RFC 5321 s4.5.3.2, see [Timeouts], and the context ends all of them.
//
// [Dialer].TLS decides about TLS: [TLSNever], [TLSOpportunistic], [TLSRequired], or a function such as the method of mxresolve's hosts that brings the rules of DANE and MTA-STS. [Result].TLS says
// what came of it. With credentials TLS is required, except to this machine.
//
// What comes from a server is bounded: 4096 octets a line, 256 lines and 64 KiB a reply. A reply that nobody asked for, or of the wrong kind, ends the connection.
//
// # What went wrong
//
// Every failure of sending is an [*Error], for errors.As. Its Code tells who says so, its method Temporary whether to try again, and errors.Is what it was:
//
//	Code 400-599                        the server refused: Code, Enhanced and Text are its words, Command is what it refused
//	Code 0                              the client says it, and Err has the cause; Command is where it happened
//
//	errors.Is(err, ...)                 Temporary  what to do
//	ErrMaybeDelivered                   yes        try again and risk that it comes twice, or ask the recipient
//	context.Canceled, DeadlineExceeded  yes        give it more time
//	os.ErrDeadlineExceeded              yes        a phase took longer than Timeouts allows
//	io.ErrUnexpectedEOF                 yes        the server hung up; try again later
//	ErrTLSRequired                      yes        look at the certificate, or what stands between
//	ErrBadReply, ErrInjection           yes        it is no mail server, or somebody is between
//	ErrNoMechanism                      yes        compare Credentials with what the server offers
//	ErrTooManyMails, ErrConnUnusable    yes        dial again
//	ErrMessageTooBig                    no         send less, or elsewhere
//	ErrNo8BitMIME, ErrNoBinaryMIME      no         set Dialer.Reencode
//	ErrNoSMTPUTF8                       no         use an address and a header in ASCII
//	ErrNoRequireTLS, ErrNoDeliverBy,    no         leave the parameter out, if you may
//	ErrNoFutureRelease, ErrNoXClient
//	ErrBadAddress                       no         correct the address
//
// What is not in the table is an error of the system, such as a *net.OpError or *net.DNSError from dialing, or, with the Enhanced code 4.3.5, a Dialer that cannot
// work, such as one whose Hostname is no domain. All of them are temporary.
//
// # Addresses
//
// A [Mailbox] keeps the local part decoded; its String method puts quotes back where they are needed, so nothing in an
// address can become a parameter or a command. Addresses outside ASCII are accepted and sent with SMTPUTF8 only.
//
// # Standards
//
//	RFC 5321  SMTP                   done; source routes are read and dropped, general address literals are not taken
//	RFC 1870  SIZE                   done
//	RFC 2033  LMTP                   done
//	RFC 2034  ENHANCEDSTATUSCODES    done (codes: RFC 3463, RFC 5248)
//	RFC 2920  PIPELINING             done
//	RFC 3030  CHUNKING, BINARYMIME   done; BINARYMIME where Server.Offer has it
//	RFC 3207  STARTTLS               done
//	RFC 3461  DSN                    done: parameters; the reports are the handler's
//	RFC 4954  AUTH                   done: PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1 and -PLUS (RFC 5802, 7677, 5929, 9266), OAUTHBEARER (RFC 7628), XOAUTH2, EXTERNAL, CRAM-MD5 (RFC 2195)
//	RFC 6152  8BITMIME               done; what is declared 7BIT is not checked
//	RFC 6409  submission             done: AUTH; domains, header, Date and Message-ID by middleware.Submission; rights to an address (s6.1) are the handler's
//	RFC 6531  SMTPUTF8               done
//	RFC 6533  internationalized DSN  partly: ORCPT of type utf-8
//	RFC 8314  implicit TLS           done
//	RFC 9422  LIMITS                 done: the client keeps to RCPTMAX, RCPTDOMAINMAX, MAILMAX; the server names RCPTMAX
//	RFC 8689  REQUIRETLS             done: parameter, where Server.Offer has it
//	RFC 6710  MT-PRIORITY            done: parameter, where Server.Offer has it
//	RFC 2852  DELIVERBY              done: parameter, where Server.Offer has it
//	RFC 4865  FUTURERELEASE          done: parameters, where Server.Offer has it
//	RFC 7293  RRVS                   done: parameter, where Server.Offer has it
//	PROXY protocol 1 and 2           server: from Server.ProxyFrom; addresses, facts of TLS and the checksum; other fields are passed over
//	XCLIENT (Postfix)                server: from Server.XClientFrom, all attributes
//	RFC 1985  ETRN                   not: it is for queues that dial in
//	RFC 4468  BURL                   not: nobody sends it
package smtp
