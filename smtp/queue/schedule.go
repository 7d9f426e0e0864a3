package queue

import "time"

// A Schedule says when to try a recipient again that could not be reached: after wait, or never. attempt is how many attempts there were, 1 after the
// first; age is how long ago the message was queued, or released if it was held. It is a pure function; the queue adds a little chance to wait, so that what failed together does not come back together.
type Schedule func(attempt int, age time.Duration, err error) (wait time.Duration, giveUp bool)

// Retry gives the schedule that doubles the wait from first up to most, and gives up when the message is older than lifetime.
func Retry(first, most, lifetime time.Duration) Schedule {
	return func(attempt int, age time.Duration, _ error) (time.Duration, bool) {
		wait := most
		if shift := attempt - 1; shift < 32 && first<<shift > 0 {
			wait = min(most, first<<shift)
		}
		// The last attempt comes when the lifetime ends, not up to most later.
		if age+wait > lifetime && age < lifetime {
			wait = lifetime - age
		}
		return wait, age >= lifetime
	}
}

// DefaultSchedule tries after 5 minutes, 10, 20 and so on up to every 4 hours, for 5 days (RFC 5321 s4.5.4.1 asks for at least 4 to 5).
func DefaultSchedule(attempt int, age time.Duration, err error) (wait time.Duration, giveUp bool) {
	return Retry(5*time.Minute, 4*time.Hour, 5*24*time.Hour)(attempt, age, err)
}
