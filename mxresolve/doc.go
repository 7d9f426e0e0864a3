// Package mxresolve says where mail for a domain goes.
//
// One call takes what stands after the @ of an address and gives a [Plan]: the mail hosts in the order to try, each with
// its addresses, and why other hosts are not among them. Where there is no plan, the [Error] says whether to bounce or to
// come again later, with the codes for the reply or the report:
//
//	var r mxresolve.Resolver // asks the name servers of /etc/resolv.conf
//
//	plan, err := r.Resolve(ctx, "example.org")
//	var e *mxresolve.Error
//	switch {
//	case errors.As(err, &e) && e.Temporary:
//		retryLater(e.Enhanced, e) // "4.4.3"
//	case errors.As(err, &e):
//		bounce(e.Code, e.Enhanced, e) // 556 "5.1.10": the domain takes no mail
//	default:
//		for _, host := range plan.Hosts {
//			for _, addr := range host.Addrs {
//				config, required := host.TLS.Config(nil)
//				// connect to port 25 of addr; the next one if that fails
//			}
//		}
//	}
//
// Do keep to the order of hosts, and try at least two addresses (RFC 5321 s5.1). Ask anew for each message and each
// retry: it costs no more than a look into the cache, and shuffles hosts of equal preference each time.
//
// The difference between a name that does not exist (bounce at once), one without MX records (its own address is its mail
// host) and one that cannot be looked up now (never a bounce, and never its own address) is what mail depends on, and what
// package net does not tell.
//
// # Other lookups
//
// LookupTXT, LookupMX, LookupNetIP and LookupAddr have the shapes of those of [net.Resolver], so that an interface of
// these methods is satisfied by both; they share the cache and the failure handling. Their errors have a *net.DNSError
// inside, with IsNotFound for what does not exist and IsTemporary for what could not be found out.
//
// # How questions are asked
//
// A few UDP sockets per name server are shared by all questions, and replaced by ones on other ports after some seconds or
// a thousand questions. Answers must have the right id, question and mixture of upper and lower case: a
// forger who cannot see the questions has to guess 16 bits of the id, some 14 of the port and one for each letter of the
// name (draft-vixie-dnsext-dns0x20), for each question anew since there is never more than one about the same thing, and
// 64 wrong guesses close a socket. Against those who can see them only TLS or DNSSEC helps. Unanswered questions
// are repeated on a timer that follows the measured round trip, at the other name servers in turn; those that are dead or
// clearly slower than others are left aside and tried again now and then. Truncated answers are fetched by TCP, over one
// connection that is used again. A question that many ask at the same time is asked once.
//
// Answers are trusted to be validated by DNSSEC (Plan.Secure, Host.Secure) where the AD bit is set by a name server
// on a loopback address, by one asked over TLS, or by one with Upstream.TrustAD. Nothing is validated here. Where MX and
// address answers are secure, TLSA records are asked for, and Host.TLS demands what they say (DANE). Plan.Insecure says
// why a plan is not secure, and [Resolver.Diagnose] whether the name servers are able to give secure answers at all.
//
// # MTA-STS and TLS reports
//
// With [STS] in Resolver.STS, the MTA-STS policy of the recipient's domain is looked up, fetched over HTTPS, kept, and
// obeyed: in the mode enforce, hosts that it does not name are skipped, and Host.TLS demands a certificate that is valid
// for the host's name. It is off by default, since it makes HTTPS connections to hosts that strangers name; a mail server
// should turn it on and keep the policies on disk, so that a restart does not open the door to whoever suppresses them:
//
//	store, err := mxresolve.STSDir("/var/lib/mail/sts")
//	r := &mxresolve.Resolver{STS: &mxresolve.STS{Store: store}}
//
// A first fetch is waited for, up to STS.Timeout; policies of known domains are refreshed once a day in the background, and by
// RefreshPolicies.
//
// Plan.Failures and TLSRequirement.Outcome say what package tlsrpt needs for the daily TLS reports.
//
// # Which TLS rule applies to a host
//
// From the first line that fits (RFC 7672 s2.2, RFC 8461 s2):
//
//	not named by an enforced MTA-STS policy   the host is skipped, also where it has TLSA records
//	TLSA lookup failed                        the host is skipped for now: never opportunistic
//	usable TLSA records, secure               TLS with a certificate that they match; what MTA-STS
//	                                          says of certificates does not count, nor rescue a failure
//	Resolver.RequireDANE demands them         the host is skipped (RFC 7672 s6)
//	enforced MTA-STS policy                   TLS with a certificate that is valid for the host's name
//	TLSA records, none usable                 TLS with any certificate
//	none of that                              opportunistic: TLS when offered, with any certificate
//
// Where no host is left, mail is deferred, never bounced: the cause may be mended before the message gets too old.
//
// # Limits
//
//	one question, with all repetitions      10 s               Limits.Timeout
//	least wait before a repetition          100 ms             Limits.MinWait
//	questions outstanding per name server   100                Limits.InFlight
//	first timer; then by round trip         300 ms; 0.1 to 3 s
//	links of a CNAME chain                  16                 Limits.MaxCNAME
//	MX hosts looked up                      16                 Limits.MaxHosts
//	addresses per host                      8                  Limits.MaxAddrs
//	cache: answers and plans, each          32 MiB             Limits.CacheBytes
//	time in the cache                       TTL, at most 24 h; negative answers 3 h; failures 5 s to 5 min
//	fetch of an MTA-STS policy              1 min, 64 KiB      STS.Timeout
//	  after a failure, not again for        5 min
//	  at the same time                      100
//	  policies kept without a store         32 MiB
//	addresses in plans                      not loopback, unspecified, multicast, link-local: AllowLoopback, Refuse
//
// # Standards
//
//   - RFC 5321 s5.1, s4.1.3 (choosing a host, address literals): done
//   - RFC 7505 (null MX): done
//   - RFC 1035, 2181, 2308 (DNS, negative caching), 6604, 6672 (aliases), 8020 (NXDOMAIN): done, as a client of recursive servers
//   - RFC 9520 (caching of failures), 8767 (serving stale answers, see ServeStale): done
//   - RFC 6891 (EDNS), 7766 (TCP), 7858 (TLS), 8914 (extended errors): done; no padding of TLS queries
//   - RFC 5891, 6531 (internationalized domains): done
//   - RFC 6840 s5.7, s5.8 (the AD bit): done; own validation of DNSSEC is not
//   - RFC 7672, 6698 (DANE for SMTP): done, for port 25, opportunistic and mandatory (s6); see TLSRequirement
//   - RFC 8461 (MTA-STS): done; certificates are not tested for revocation
//   - RFC 8460 (TLS reports): done; see package tlsrpt
//   - RFC 9460 (SVCB) has no meaning for mail: its records are not asked for
package mxresolve
