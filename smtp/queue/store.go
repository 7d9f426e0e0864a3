package queue

import (
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// ID names a message in a queue. Later messages have greater ones, also after a restart.
type ID uint64

// String gives the ID in 13 letters and digits or fewer, as replies and logs show it.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 36) }

// A Store keeps what is queued. It must be safe for concurrent use. [OpenLog] and [NewMemory] give the ones that come with this package.
type Store interface {
	// Add takes responsibility for a message: when it returns nil, the message survives a crash.
	Add(ctx context.Context, m Message, prefix []byte, c smtp.Content) (ID, error)
	// Claim hands out what is due next: recipients of one message in one domain. free tells whether a domain may have one more
	// delivery at this time; domains for which it is false are passed over. When nothing is due it gives nil and the time when something will be, zero if nothing waits.
	// A job is given to nobody else until it is settled.
	Claim(ctx context.Context, now time.Time, free func(domain string) bool) (*Job, time.Time, error)
	// Settle records what became of a job's recipients, and gives the job back. States are durable when it returns.
	Settle(ctx context.Context, j *Job, states []State) error
	// Changed gets a value after something was added or changed from outside.
	Changed() <-chan struct{}
	// All gives the messages that are not finished, oldest first. One that cannot be read comes with an error and without its Message; others follow it.
	All(ctx context.Context) iter.Seq2[Status, error]
	// Reschedule sets the time when all waiting recipients of a message are due: now, or later to hold it back. It is durable when it returns. Recipients that are
	// on their way are left as they are; when there are no others it gives ErrBusy.
	Reschedule(ctx context.Context, id ID, due time.Time) error
	// Remove drops a message without a notification, for good. It gives ErrBusy while the message is on its way.
	// Both give ErrNotFound where there is no such message.
	Remove(ctx context.Context, id ID) error
}

// A Message is what a [Store] keeps of a message beside its text.
type Message struct {
	Envelope smtp.Envelope
	Queued   time.Time
}

// release is when the first attempt is due (RFC 4865 s3): what was asked to be held lies until then.
func (m *Message) release() time.Time {
	if p := m.Envelope.Params; p.HoldUntil.After(m.Queued) {
		return p.HoldUntil
	}
	return m.Queued.Add(m.Envelope.Params.HoldFor)
}

// deadline is when delivery must have happened (RFC 2852 s4); ok is false where nothing was asked.
func (m *Message) deadline() (t time.Time, ok bool) {
	if m.Envelope.Params.DeliverBy == nil {
		return t, false
	}
	return m.Queued.Add(m.Envelope.Params.DeliverBy.Within), true
}

// A Job is one delivery: recipients of one message whose addresses have the same domain.
type Job struct {
	ID      ID
	Domain  string // lower case
	Message Message
	Indexes []int   // into Message.Envelope.To
	States  []State // as they were, one for each of Indexes
	Asked   bool    // Reschedule made it due: it is worth an attempt even where others have just failed
	Content smtp.Content
}

// A State is how far delivery to one recipient has come.
type State struct {
	Phase    Phase             `json:",omitzero"`
	Attempts int               `json:",omitzero"`
	Due      time.Time         `json:",omitzero"` // for Waiting: when to try next
	Code     int               `json:",omitzero"` // the last negative reply; 0 when there was none, and Enhanced and Text say what went wrong here
	Enhanced smtp.EnhancedCode `json:",omitzero"`
	Text     string            `json:",omitzero"`
	Remote   string            `json:",omitzero"` // the host that gave it, or with which it went wrong
	Delayed  bool              `json:",omitzero"` // the sender was told of the delay
}

// A Phase of delivery to one recipient.
type Phase uint8

// The phases. All but Waiting are final.
const (
	Waiting   Phase = iota
	Delivered       // the next host took responsibility
	Failed          // the sender was told, or did not want to know
)

// Status is a message and the states of its recipients.
type Status struct {
	ID      ID
	Message Message
	Size    int64
	States  []State // one for each recipient
}
