// Package queue holds outbound mail until it is delivered: on disk before it is acknowledged, over restarts, for days if need be.
//
//	store, err := queue.OpenLog("/var/spool/mailroom", queue.LogOptions{})
//	q := &queue.Queue{Store: store, Router: &queue.MXRouter{}, Hostname: "mx.example.org"}
//	go q.Run(ctx)
//	id, err := q.Enqueue(ctx, envelope, nil, message) // durable when err is nil
//
// A [Router] says where mail for a domain goes: [MXRouter] asks DNS, [RelayRouter] hands everything to one server. Recipients in one domain get one
// transaction. What cannot be delivered now is tried again as the [Schedule] says; what cannot be delivered at all is returned to the sender as a delivery status
// notification, and so are long delays and, if asked for, successes.
//
// # What is promised
//
// A message for which Enqueue returned nil is delivered or returned, whatever becomes of the process or the machine. It may be delivered twice: if
// the machine fails between the remote host's acknowledgement and the flush of the note about it, which takes about as long as one write to disk.
// A notification is durable before the failure that it reports is noted, so it may come twice as well, but is never missing. One that tells of a success comes at most once, and is missing if
// it could not be queued.
//
// What an operator asks for is durable when it returns: Reschedule of a [Store], to try a message now or to hold it back, and Remove. How often and when a message was tried
// reaches the disk with the next flush: after a crash it may be tried a little early. What is known of servers that are down ends with Run.
//
// A disk that is full or read-only, and a want of file descriptors, refuse new messages as long as they last; deliveries go on. After a flush that failed
// nobody knows what is on the disk: the log takes nothing any more until it is opened again, and deliveries go on from memory.
//
// # Servers that are down
//
// A server to which no connection can be made for now, or a domain about which the Router can find out nothing, is left alone for a minute, and the longer it is down, for up to 15: what is due for it meanwhile has failed with the same words, without another
// timeout. After that one message is the probe. So a long queue for a dead server takes one of the places for deliveries, now and then. Connections that are open are used all the same,
// and what Reschedule made due is always tried. The next host is tried after every failure to connect, also after a greeting of 5xx, which counts for the message that got it and no other; a refused password is a failure for now.
//
// # Mail for later, and in time
//
// HOLDFOR and HOLDUNTIL hold the first attempt back; delays, lifetime and retries count from the release. With BY and the mode R a message is returned (5.4.7) when its time is over, or
// at once by a host that does not know the parameter (5.3.3); with N the sender hears of the delay (4.4.7), or that the message was handed on to such a host. Each host is told the time that is
// left. MT-PRIORITY is handed on, and does not change the order.
//
// # TLS reports
//
// MXRouter.TLSOutcome is told how TLS went on each connection, which is what the daily reports of RFC 8460 are made of: give it Add of a tlsrpt.Collector, which package
// mxresolve/tlsrpt keeps and sends.
//
// # Limits
//
// 100 deliveries at a time and 5 to a domain, connections kept for 30 seconds and 100 messages, 5 addresses for each attempt, retries for 5 days. A message may have any size: texts beyond 1 MiB are streamed
// to a file of their own. A message of more than 256 KiB comes back as its header, unless the sender asked for all of it.
//
// A message for one recipient takes about 300 octets of memory, whatever its size: 1,000,000 of them 0.3 GB. Opening a log reads all of it, which takes about
// 20 seconds of one processor for 1,000,000 small messages. Nothing that is done for one message looks at all the others.
//
// # On disk
//
// The directory has the segments of the log (NNNNNNNN.log), which package internal/seglog describes, a file for each large text (ID.eml), and the file lock, which one process holds. Frames are of the kinds 1, a
// message: a version octet (1), the length of a JSON record as 4 octets, little-endian, the record (ID, envelope, time, states of all recipients, size, and the name of the text's file, if it has one), and the text; 2, states: the
// version octet and a JSON record with ID and the states that are new, by index of the recipient; and 3, a message that was removed. A later frame takes the place of
// an earlier one. Segments go when all of their messages are finished; when the log has grown to four times what is alive, the messages of the oldest segment are written again at the head.
// Octets that are damaged are skipped and reported to the Logger, and cost no more than what they hit.
//
// # Standards
//
//	RFC 5321 s4.5.4, s5.1   retries, order of hosts                       done
//	RFC 3461                delivery status notifications                 done; delivery reports of relayed mail are sent for hosts that do not offer DSN
//	RFC 3464, RFC 6522      their format                                  done, by package mime; without Deliver-By-Date and Future-Release-Request
//	RFC 6533                internationalized notifications               done, by package mime
//	RFC 2852                DELIVERBY                                     done
//	RFC 4865                FUTURERELEASE                                 done
//	RFC 6710                MT-PRIORITY                                   partly: handed on; the order of delivery is that of the times
//	RFC 8689                REQUIRETLS                                    done, without the header field TLS-Required
//	RFC 8460                TLS reports                                   what they tell, by MXRouter.TLSOutcome
package queue
