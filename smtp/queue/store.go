package queue

import (
	"context"
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
	// List gives all messages that are not finished, oldest first.
	List(ctx context.Context) ([]Status, error)
	// Retry makes all waiting recipients of a message due now, for as long as the store is open: it need not outlast a restart. Remove drops a message without a notification. Both give ErrNotFound where
	// there is no such message; Remove gives ErrBusy while the message is on its way.
	Retry(ctx context.Context, id ID) error
	Remove(ctx context.Context, id ID) error
}

// A Message is what a [Store] keeps of a message beside its text.
type Message struct {
	Envelope smtp.Envelope
	Queued   time.Time
}

// A Job is one delivery: recipients of one message whose addresses have the same domain.
type Job struct {
	ID      ID
	Domain  string // lower case
	Message Message
	Indexes []int   // into Message.Envelope.To
	States  []State // as they were, one for each of Indexes
	Content smtp.Content
}

// A State is how far delivery to one recipient has come.
type State struct {
	Phase    Phase
	Attempts int
	Due      time.Time // for Waiting: when to try next
	Code     int       // the last negative reply, 0 for none
	Enhanced smtp.EnhancedCode
	Text     string
	Remote   string // the host that gave it
	Delayed  bool   // the sender was told of the delay
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
