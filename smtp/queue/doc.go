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
// A notification is durable before the failure that it reports is noted, so it may come twice as well, but is never missing.
//
// # Limits
//
// 100 deliveries at a time and 5 to a domain, connections kept for 30 seconds and 100 messages, 5 addresses for each attempt, retries for 5 days. A message may have any size: texts beyond 1 MiB are streamed
// to a file of their own. Memory is about 200 octets a message and 150 a waiting recipient.
//
// # Standards
//
//	RFC 5321 s4.5.4, s5.1   retries, order of hosts                       done
//	RFC 3461                delivery status notifications                 done; delivery reports of relayed mail are sent for hosts that do not offer DSN
//	RFC 3464, RFC 6522      their format                                  done, by package mime
//	RFC 6533                internationalized notifications               done, by package mime
//	RFC 2852, RFC 4865      DELIVERBY, FUTURERELEASE                      not yet: the parameters are kept and passed on
package queue
