// Package mta is a mail transfer agent to embed: one [smtp.Handler] that receives, judges, files and relays.
//
//	m := &mta.MTA{Hostname: "mx.example.org", Store: store, Directory: dir, Queue: q, Scorer: engine}
//	q.Return = m.Return                     // notifications for our own users are filed, not sent
//	q.Router = m.Router(&queue.MXRouter{}) // and so is mail for them that was held for a later time
//	server := &smtp.Server{Handler: m, TLSConfig: config}
//	submission := &smtp.Server{Handler: m, TLSConfig: config, Mode: smtp.Submission, Auth: dir}
//	lmtp := &smtp.Server{Handler: m.LMTP(), Mode: smtp.LMTP}
//
// # What comes in from strangers
//
// RCPT is refused for addresses that do not exist (550 5.1.1), for domains that are not ours (550 5.7.1), and for mailboxes that are full (552 5.2.2), and where
// the scorer says so. The message is spooled, judged as a whole and then for each mailbox, and filed into INBOX or Junk with Return-Path, Delivered-To, Received,
// Authentication-Results and X-Spam-Status before it. Fields that claim to be our own Authentication-Results are taken out. The answer 250 comes after the store has
// the message on disk.
//
// # What comes in from users
//
// A user may use only the own addresses, in MAIL and in From, Sender and Resent-From; a message that is resent keeps its author, unless that is another user of ours. There is at most one
// From and one Sender. From, Date and Message-ID are added where they are missing, Bcc is taken out. Mail for our own users is filed at once;
// mail for others is signed, and queued, on disk before the answer. A server that submission goes to may offer FUTURERELEASE and DELIVERBY (smtp.Server.Offer): mail that is to be
// held goes to the queue for all its recipients.
//
// # What is promised
//
// What was answered with 250 is filed, queued or returned to its sender. When one of several mailboxes cannot be written for now, the answer is 451 for all: those who have the message get
// it again. When one of several is refused for good, the sender gets a delivery status notification.
//
// # Standards
//
//	RFC 5321 s4.4, s6.3   trace fields, loop detection        done
//	RFC 6409 s6.1, s8     submission: who may send as whom, completing the message   done
//	RFC 8601 s5           foreign Authentication-Results      done
//	RFC 3461 s5.2         DSN for local deliveries            done
//	RFC 4865, RFC 2852    FUTURERELEASE, DELIVERBY            done, with package queue
//	RFC 3848, RFC 6531    names of protocols in Received      done
package mta
