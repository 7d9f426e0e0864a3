package imap

import (
	"bytes"
	"errors"
	"time"
)

// cmdIdle is RFC 2177. While it waits, a session holds no buffer: a change of the mailbox, seen by the account's Watch, cuts the reading short. The first change is told at once, and those that
// follow are gathered for Limits.ReportEvery.
func (s *session) cmdIdle(c *command) error {
	if err := c.p.end(); err != nil {
		return err
	}
	tag := c.tag
	c.p = parser{}
	s.out.str("+ idling\r\n")
	s.waiting.Store(true)
	defer s.waiting.Store(false)
	end := time.Now().Add(s.cfg.limits.CommandTimeout)
	var quiet time.Time // nothing is told before
	for {
		line, ok, tooLong := s.in.line()
		if tooLong {
			return bye("TOOBIG", "Line too long")
		}
		if ok {
			c.tag = tag
			if !bytes.EqualFold(bytes.TrimRight(line, " "), []byte("DONE")) {
				return bad("Expected DONE")
			}
			return nil
		}
		now := time.Now()
		until, deadline := stops|wakes, end
		if now.Before(quiet) {
			until, deadline = stops, minTime(quiet, end)
		} else if s.changed.Load() && s.box != nil {
			if err := s.update(true); err != nil {
				return &fatalError{err}
			}
			quiet = now.Add(s.cfg.limits.ReportEvery)
			continue
		}
		err := s.fill(deadline, until)
		switch {
		case err == nil || errors.Is(err, errWoken):
		case deadline.Before(end) && !time.Now().Before(deadline) && isTimeout(err):
		default:
			return &fatalError{err}
		}
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
