package pop3

import (
	"math"
	"time"
)

// Limits bound what one client can take of a server. A zero field means its default, a negative one "no limit", which is meant for tests and trusted
// networks. Fields that smtp and imap have too mean the same there.
type Limits struct {
	BadCommands  int // unknown or malformed commands in a session, before it ends; default 20
	AuthFailures int // failed authentications of a connection, before it ends; default 3

	AddressFailures int           // failed authentications of an address (IPv6: a /64) in 15 minutes, before further ones get [SYS/TEMP]; default 30
	AccountFailures int           // those of an account; default 60; an address that lately got in is not locked out
	FailDelay       time.Duration // from a wrong proof to the reply, so that its time tells nothing of accounts; default 500 ms

	Connections int // at the same time, of the whole server; further ones get [SYS/TEMP]; default 20000
	PerAddress  int // at the same time from one address (IPv6: a /64), the client's behind a proxy; default 500, more than one site needs. Loopback addresses are not counted

	LoginTimeout     time.Duration // from the connection to the login, a handshake included; default 1 minute
	CommandTimeout   time.Duration // for the whole of the next command line; default 10 minutes, the least of RFC 1939 s3
	WriteTimeout     time.Duration // for a client to take a block of up to 64 KiB; default 5 minutes
	HandshakeTimeout time.Duration // of TLS; default 30 seconds
}

// maxCommand is the longest command line without CRLF, but for AUTH.
const maxCommand = 510

func (l Limits) withDefaults() Limits {
	orDefault(&l.BadCommands, 20, math.MaxInt)
	orDefault(&l.AuthFailures, 3, math.MaxInt)
	orDefault(&l.FailDelay, 500*time.Millisecond, -1)
	orDefault(&l.Connections, 20_000, -1)
	orDefault(&l.PerAddress, 500, -1)
	orDefault(&l.LoginTimeout, time.Minute, forever)
	orDefault(&l.CommandTimeout, 10*time.Minute, forever)
	orDefault(&l.WriteTimeout, 5*time.Minute, forever)
	orDefault(&l.HandshakeTimeout, 30*time.Second, forever)
	return l
}

const forever = 100 * 365 * 24 * time.Hour

// orDefault puts the default in the place of zero, and what stands for "no limit" in that of a negative value.
func orDefault[T int | time.Duration](v *T, byDefault, unlimited T) {
	switch {
	case *v == 0:
		*v = byDefault
	case *v < 0:
		*v = unlimited
	}
}
