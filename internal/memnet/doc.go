// Package memnet is a network inside the process, for tests.
//
// Its connections are buffered (64 KiB each way, with back-pressure), have
// deadlines and half-close, and end as TCP connections do. Waiting is always on
// channels, so that testing/synctest sees it: days of timeouts and retries run
// in milliseconds. A [Network] has listeners and packet connections by address;
// its zero value is ready for use:
//
//	var n memnet.Network
//	l, err := n.Listen("tcp", "192.0.2.1:25")
//	c, err := n.Host("198.51.100.7").DialContext(ctx, "tcp", "192.0.2.1:25")
//
// Errors are those of package net: *net.OpError with ECONNREFUSED, ECONNRESET,
// EPIPE, net.ErrClosed, os.ErrDeadlineExceeded. [Network.Link] gives latency,
// dead addresses and connections that break after a number of octets.
//
// Make connections inside the synctest bubble that uses them.
package memnet
