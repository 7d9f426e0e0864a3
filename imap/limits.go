package imap

import (
	"math"
	"time"
)

// Limits bound what one client can take of a server. A zero field means its default, a negative one "no limit", which is meant for tests and trusted networks. Fields that smtp and pop3 have too mean
// the same there.
type Limits struct {
	LineLength      int   // octets of a command line; default 64 KiB, and at most 16 KiB before login
	LiteralSize     int64 // octets of a literal that is not a message; default 64 KiB, and at most 1 KiB before login
	CommandSize     int   // octets of a command with its literals; default 256 KiB, and at most 20 KiB before login
	MessageSize     int64 // octets of an appended message, told as APPENDLIMIT (RFC 7889); default 64 MiB
	Depth           int   // nesting of SEARCH keys; default 32
	SearchKeys      int   // keys of a SEARCH, and patterns of a LIST; default 1,000
	PendingExpunges int   // expunges that a client has left no chance to report; default 100,000

	BadCommands  int // BAD in a row, before BYE; default 20, and at most 5 before login
	AuthFailures int // failed authentications of a connection, before BYE; default 3

	AddressFailures int           // failed authentications of an address (IPv6: a /64) in 15 minutes, before further ones get NO [UNAVAILABLE]; default 30
	AccountFailures int           // those of an account; default 60; an address that lately got in is not locked out
	FailDelay       time.Duration // from a wrong proof to the reply, so that its time tells nothing of accounts; default 500 ms

	Connections int // at the same time, of the whole server; further ones get BYE [UNAVAILABLE]; default 20000
	PerAddress  int // at the same time from one address (IPv6: a /64), the client's behind a proxy; further ones get BYE [LIMIT]; default 500, more than one site needs. Loopback addresses are not counted

	LoginTimeout     time.Duration // from the connection to the login, a handshake included; default 1 minute
	CommandTimeout   time.Duration // for the whole of the next command line, in IDLE, and of silence within a message; default 30 minutes, which RFC 3501 s5.4 wants at least
	WriteTimeout     time.Duration // for a client to take a block of 32 KiB; default 2 minutes
	HandshakeTimeout time.Duration // of TLS; default 30 seconds
	ReportEvery      time.Duration // changes told in IDLE are gathered for so long; default 100 ms
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.LineLength, 64<<10, unlimitedSize)
	orDefault(&l.LiteralSize, 64<<10, unlimitedSize)
	orDefault(&l.CommandSize, 256<<10, unlimitedSize)
	orDefault(&l.MessageSize, 64<<20, -1)
	orDefault(&l.Depth, 32, unlimitedDepth)
	orDefault(&l.SearchKeys, 1000, math.MaxInt)
	orDefault(&l.PendingExpunges, 100_000, -1)
	orDefault(&l.BadCommands, 20, -1)
	orDefault(&l.AuthFailures, 3, math.MaxInt)
	orDefault(&l.FailDelay, 500*time.Millisecond, -1)
	orDefault(&l.Connections, 20_000, -1)
	orDefault(&l.PerAddress, 500, -1)
	orDefault(&l.LoginTimeout, time.Minute, forever)
	orDefault(&l.CommandTimeout, 30*time.Minute, forever)
	orDefault(&l.WriteTimeout, 2*time.Minute, forever)
	orDefault(&l.HandshakeTimeout, 30*time.Second, forever)
	orDefault(&l.ReportEvery, 100*time.Millisecond, 0)
	return l
}

// What there is even without a limit, since lengths are added up and stacks are finite.
const (
	unlimitedSize  = 1 << 30
	unlimitedDepth = 100_000
	forever        = 100 * 365 * 24 * time.Hour
)

// orDefault puts the default in the place of zero, and what stands for "no limit" in that of a negative value.
func orDefault[T int | int64 | time.Duration](v *T, byDefault, unlimited T) {
	switch {
	case *v == 0:
		*v = byDefault
	case *v < 0:
		*v = unlimited
	}
}
