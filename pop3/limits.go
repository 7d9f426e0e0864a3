package pop3

import "time"

// Limits bound what a client may do. Zero fields take the defaults.
type Limits struct {
	Connections  int           // at a time; default 10,000
	PerAddress   int           // connections at a time from one address; default 500
	Login        time.Duration // from connection to login; default 1 minute
	Idle         time.Duration // between commands; default 10 minutes, the least of RFC 1939 s3
	Write        time.Duration // for a block of up to 64 KiB to be taken; default 5 minutes
	BadCommands  int           // unknown or malformed commands in a session; default 20
	AuthFailures int           // in a session; default 3

	AddressFailures int           // failed logins of an address (IPv6: a /64) in 15 minutes, before further ones are put off; default 30; negative: any number
	AccountFailures int           // those of an account; default 60; an address that lately got in is not locked out; negative: any number
	FailDelay       time.Duration // from a wrong proof to the answer, so that its time tells nothing; default 500 ms; negative: none
}

// maxCommand is the longest command line without CRLF, but for AUTH.
const maxCommand = 510

func (l Limits) withDefaults() Limits {
	or(&l.Connections, 10_000)
	or(&l.PerAddress, 500)
	or(&l.Login, time.Minute)
	or(&l.Idle, 10*time.Minute)
	or(&l.Write, 5*time.Minute)
	or(&l.BadCommands, 20)
	or(&l.AuthFailures, 3)
	if l.FailDelay == 0 {
		l.FailDelay = 500 * time.Millisecond
	}
	return l
}

func or[T int | time.Duration](v *T, byDefault T) {
	if *v <= 0 {
		*v = byDefault
	}
}
