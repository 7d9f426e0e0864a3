package imap

import "time"

// Limits bound what a client can cost. A zero field takes its default; a negative one means no limit where that makes sense.
type Limits struct {
	Connections     int   // at a time; default 20,000; negative: any number
	Line            int   // octets of a command line; default 64 KiB, and at most 16 KiB before login
	Literal         int64 // octets of a literal that is not a message; default 64 KiB, and at most 1 KiB before login
	Command         int   // octets of a command with its literals; default 256 KiB, and at most 20 KiB before login
	Message         int64 // octets of an appended message, told as APPENDLIMIT (RFC 7889); default 64 MiB
	Depth           int   // nesting of SEARCH keys; default 32
	SearchKeys      int   // keys of a SEARCH, and patterns of a LIST; default 1,000
	PendingExpunges int   // expunges that a client has left no chance to report; default 100,000
	BadCommands     int   // BAD in a row; default 20, and at most 5 before login
	LoginAttempts   int   // failed logins on a connection; default 5

	AddressFailures int           // failed logins of an address (IPv6: a /64) in 15 minutes, before further ones are put off; default 30; negative: any number
	AccountFailures int           // those of an account; default 60; an address that lately got in is not locked out; negative: any number
	FailDelay       time.Duration // from a wrong proof to the answer, so that its time tells nothing; default 500 ms; negative: none

	LoginTimeout time.Duration // until login; default 1 minute
	IdleTimeout  time.Duration // between commands and in IDLE; default 30 minutes, which RFC 3501 s5.4 wants at least
	WriteTimeout time.Duration // for a client to take a block of 32 KiB; default 2 minutes
	ReportEvery  time.Duration // changes told in IDLE are gathered for so long; default 100 ms
}

func (l Limits) withDefaults() Limits {
	def(&l.Connections, 20_000)
	def(&l.Line, 64<<10)
	def(&l.Literal, 64<<10)
	def(&l.Command, 256<<10)
	def(&l.Message, 64<<20)
	def(&l.Depth, 32)
	def(&l.SearchKeys, 1000)
	def(&l.PendingExpunges, 100_000)
	def(&l.BadCommands, 20)
	def(&l.LoginAttempts, 5)
	def(&l.FailDelay, 500*time.Millisecond)
	def(&l.LoginTimeout, time.Minute)
	def(&l.IdleTimeout, 30*time.Minute)
	def(&l.WriteTimeout, 2*time.Minute)
	def(&l.ReportEvery, 100*time.Millisecond)
	return l
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
