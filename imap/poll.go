package imap

import (
	"errors"
	"os"
	"time"
)

const (
	pollEvery = 250 * time.Millisecond
	maxEarly  = 4096 // octets that may come while a command runs, before it is no longer looked whether there is more
)

// poll is called by commands that may take long. Its error says that the client has gone, for whom nobody needs to work any more.
func (s *session) poll() error {
	if time.Since(s.polled) < pollEvery || len(s.early) >= maxEarly {
		return nil
	}
	s.polled = time.Now()
	var p [512]byte
	s.raw.SetReadDeadline(time.Now().Add(time.Millisecond)) // one that is over already would not look at all
	n, err := s.conn.Read(p[:])
	s.early = append(s.early, p[:n]...)
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return &fatalError{err}
}
