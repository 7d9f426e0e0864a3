package smtp

import "time"

// Limits bound what one peer can take of a server. A zero field means its default, a negative one "no limit", which is
// meant for tests and trusted networks. Fields that imap and pop3 have too mean the same there.
type Limits struct {
	MessageSize int64 // octets of a message, told in SIZE; default 64 MiB. RFC 1870
	Recipients  int   // accepted recipients of a message; further ones get 452; default 1000. RFC 5321 s4.5.3.1.8
	LineLength  int   // octets of a command line with its CRLF; default 2048, at most 16384. AUTH lines may have 12288. RFC 5321 s4.5.3.1.4, RFC 4954 s4

	BadCommands  int // commands that were wrong in themselves, since the last accepted message; the last of them gets 421; default 20
	Refusals     int // MAIL and RCPT that the handler refused, since the last accepted message, before 421; default 200
	Commands     int // commands other than RCPT and BDAT, and BDAT without content, since the last accepted message before 421; default 200
	AuthFailures int // failed authentications of a connection before 421; default 3. RFC 4954 s4

	AddressFailures int           // failed authentications of an address (IPv6: a /64) in 15 minutes, before further ones get 454; default 30
	AccountFailures int           // those of an account; default 60; an address that lately got in is not locked out
	FailDelay       time.Duration // from a wrong proof to the reply, so that its time tells nothing of accounts; default 500 ms

	MaxHold time.Duration // the longest that FUTURERELEASE may ask for; default 90 days. RFC 4865 s3

	Connections int // at the same time, of the whole server; further ones get 421 4.3.2; default 20000
	PerAddress  int // at the same time from one address (IPv6: a /64), the client's behind a proxy; further ones get 421 4.7.0; default 500, more than one site needs. Loopback addresses are not counted

	CommandTimeout   time.Duration // for the whole of the next command line; default 5 minutes. RFC 5321 s4.5.3.2.7
	DataTimeout      time.Duration // silence within a message; default 3 minutes
	WriteTimeout     time.Duration // for a peer to take a batch of replies; default 1 minute
	HandshakeTimeout time.Duration // of TLS; default 30 seconds

	// MinRate is the least average of octets a second at which a message may come; default 128. A peer may
	// keep the server waiting within one message for DataTimeout, and a second more for each MinRate octets that came.
	MinRate int64
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.MessageSize, 64<<20)
	orDefault(&l.Recipients, 1000)
	orDefault(&l.LineLength, 2048)
	orDefault(&l.BadCommands, 20)
	orDefault(&l.Refusals, 200)
	orDefault(&l.Commands, 200)
	orDefault(&l.AuthFailures, 3)
	orDefault(&l.AddressFailures, 30)
	orDefault(&l.AccountFailures, 60)
	orDefault(&l.FailDelay, 500*time.Millisecond)
	orDefault(&l.MaxHold, 90*24*time.Hour)
	orDefault(&l.Connections, 20000)
	orDefault(&l.PerAddress, 500)
	orDefault(&l.CommandTimeout, 5*time.Minute)
	orDefault(&l.DataTimeout, 3*time.Minute)
	orDefault(&l.WriteTimeout, time.Minute)
	orDefault(&l.HandshakeTimeout, 30*time.Second)
	orDefault(&l.MinRate, 128)
	return l
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// over tells whether n is more than the limit allows.
func over[T int | int64](n, limit T) bool { return limit >= 0 && n > limit }

const (
	maxAuthLine   = 12288 // RFC 4954 s4
	smallBuffer   = 8 << 10
	largeBuffer   = 32 << 10
	maxSkipped    = 1 << 20          // of an over-long line
	idleAfter     = time.Second / 20 // a connection that is silent for so long gives its buffers back
	drainAllowed  = 1 << 20          // what may follow behind an over-large message, besides once more its limit
	flushAt       = 8 << 10          // replies are written when they come to this, or when input is needed
	rcptsPerLimit = 10               // RCPT commands of a transaction, in multiples of Limits.Recipients
)
