// Package imap serves mail to IMAP clients.
//
// A [Server] speaks the protocol over accounts and mailboxes that a [Backend] holds. The backend knows messages, UIDs, flags and modification
// sequences; sequence numbers, searching, body sections, LIST patterns and the wire are the server's work, so that a new backend gets every extension for nothing. Package
// mailstore and its subpackages have backends to use as they are.
//
//	store := &memstore.Store{}
//	srv := &imap.Server{
//		Backend:   store,
//		Auth:      directory, // checks passwords
//		TLSConfig: tlsConfig, // offers STARTTLS
//	}
//	l, err := net.Listen("tcp", ":143")
//	...
//	go srv.Serve(l)      // and srv.ServeTLS for port 993
//	...
//	srv.Shutdown(ctx)    // each client is told BYE after the command that it is at
//
// # Sessions and views
//
// A [View] is a picture of a mailbox at one modification sequence. It never changes; changes make a new one, which shares nearly all memory with the old. A session holds a view,
// moves to the newest after every command, and tells its client what lies between: EXPUNGE from the highest number down, then EXISTS, then flags. Expunges that may not be told
// yet (RFC 3501 s7.4.1) keep their places in the numbering, and HIGHESTMODSEQ stays below them.
//
// A session is one goroutine. While it waits, in IDLE or between commands, it holds no buffers: about 4 KiB in all. Messages are copied between connection and store, both ways, in blocks
// of 32 KiB, whatever their size.
//
// \Recent is not kept: RECENT is always 0, as RFC 9051 does away with it.
//
// # Backends
//
// A backend implements [Backend], [Account], [Mailbox] and [Appending]. [Live] keeps the newest view of a mailbox and has its View method; [View.Apply] makes the next one.
// It answers with the errors of this package, with an [*Error] to choose what is sent, or with any other error, which is logged and answered with NO [SERVERBUG].
//
// # Security
//
// Without TLS no password is taken, unless Server.InsecureAuth is set: LOGIN is disabled, and SASL offers SCRAM-SHA-256 at most. What follows STARTTLS in the clear ends the
// connection. Failed logins are counted by address and account. Passwords are neither logged nor traced.
//
// # Limits
//
// All that a client can make the server do is bounded by [Limits], whose zero value means these defaults:
//
//	LineLength        64 KiB      BAD [TOOBIG]; 16 KiB before login
//	LiteralSize       64 KiB      NO [TOOBIG]; 1 KiB before login
//	CommandSize       256 KiB     BAD or NO [TOOBIG]; 20 KiB before login
//	MessageSize       64 MiB      NO [TOOBIG]
//	Depth             32          NO [LIMIT], of SEARCH
//	SearchKeys        1000        NO [LIMIT]
//	PendingExpunges   100,000     BYE
//	BadCommands       20          BYE; 5 before login
//	AuthFailures      3           BYE
//	AddressFailures   30          NO [UNAVAILABLE], failures of an address in 15 minutes
//	AccountFailures   60          NO [UNAVAILABLE], of an account, from addresses that did not get in lately
//	FailDelay         500 ms      from a wrong password to NO [AUTHENTICATIONFAILED], whatever was wrong
//	Connections       20000       BYE [UNAVAILABLE]
//	PerAddress        500         BYE [LIMIT], connections of an address; loopback ones are not counted
//	LoginTimeout      1 minute    BYE
//	CommandTimeout    30 minutes  BYE, for a whole line, or in IDLE
//	WriteTimeout      2 minutes   the connection is cut
//	HandshakeTimeout  30 s        the connection is cut
//	PROXY header      10 s        the connection is cut
//
// A refused literal that the client sends without waiting is skipped, never read as commands. What looks like HTTP or a TLS handshake on the plain port ends the connection, and a TLS client that
// names another protocol (ALPN) is turned away.
//
// # Logs
//
// Lines of a session have id (of the connection), remote, and user once somebody has logged in. The servers of smtp and pop3 log alike.
//
//	DEBUG  command failed              command, error
//	INFO   connected                   local, proxied
//	INFO   logged in                   mechanism
//	INFO   client told of itself       fields, of the command ID
//	INFO   disconnected                error, if there was one
//	WARN   connection refused          error: no room, or no PROXY header
//	WARN   authentication failed       mechanism, user, error
//	WARN   accept failed, ...          error, wait
//	ERROR  authentication not possible mechanism, user, error
//	ERROR  account not ..., mailbox not read, command failed, backend panicked
//
// # Standards
//
//	RFC 2087, 9208  QUOTA                        not yet
//	RFC 2177        IDLE                         done
//	RFC 2221        LOGIN-REFERRALS              not: there is one server
//	RFC 2342        NAMESPACE                    done: one personal namespace
//	RFC 2971        ID                           done
//	RFC 3348        CHILDREN                     done
//	RFC 3501        IMAP4rev1                    done; \Recent is never set
//	RFC 3502        MULTIAPPEND                  done
//	RFC 3516        BINARY                       not yet
//	RFC 3691        UNSELECT                     done
//	RFC 4314        ACL                          not yet
//	RFC 4315        UIDPLUS                      done
//	RFC 4466        extended syntax              done as far as used
//	RFC 4469        CATENATE                     not yet
//	RFC 4731        ESEARCH                      done
//	RFC 4959        SASL-IR                      done
//	RFC 4978        COMPRESS                     not yet
//	RFC 5032        WITHIN                       done
//	RFC 5161        ENABLE                       done
//	RFC 5182        SEARCHRES                    not yet
//	RFC 5255        I18NLEVEL, LANGUAGE          not
//	RFC 5256        SORT, THREAD                 not yet
//	RFC 5258        LIST-EXTENDED                done; there are no remote mailboxes
//	RFC 5464        METADATA                     not yet
//	RFC 5465        NOTIFY                       not yet
//	RFC 5530        response codes               done
//	RFC 5802, 7677  SCRAM                        SCRAM-SHA-256, SCRAM-SHA-1 and -PLUS; also OAUTHBEARER, XOAUTH2, EXTERNAL, CRAM-MD5
//	PROXY protocol 1 and 2                       from Server.ProxyFrom
//	RFC 5819        LIST-STATUS                  done
//	RFC 6154        SPECIAL-USE                  done; CREATE-SPECIAL-USE but for \All and \Flagged
//	RFC 6851        MOVE                         done
//	RFC 6855        UTF8=ACCEPT                  not yet
//	RFC 7162        CONDSTORE, QRESYNC           CONDSTORE; QRESYNC not yet
//	RFC 7888        LITERAL+                     done
//	RFC 7889        APPENDLIMIT                  done: one limit for all mailboxes
//	RFC 8314        TLS                          done: ServeTLS
//	RFC 8438        STATUS=SIZE                  done
//	RFC 8474        OBJECTID                     not yet
//	RFC 8508        REPLACE                      not yet
//	RFC 8514        SAVEDATE                     not yet
//	RFC 8970        PREVIEW                      not yet
//	RFC 9051        IMAP4rev2                    not yet
//	RFC 9394        PARTIAL                      not yet
package imap
