package queue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/smtp"
)

// A Queue accepts messages and delivers them. Store and Router are required; other zero fields have the defaults that stand
// beside them. The fields must not change after the first call of a method.
type Queue struct {
	Store  Store
	Router Router

	Hostname string      // of this server, in EHLO and in notifications; default os.Hostname
	Dialer   smtp.Dialer // how connections are made; what a Host says goes before it, and Reencode has mime.ReEncode as default

	Schedule     Schedule      // default DefaultSchedule
	DelayNotice  time.Duration // after how long a sender is told that a message is delayed; default 4 hours, negative: never
	MaxParallel  int           // deliveries at the same time; default 100
	MaxPerDomain int           // deliveries to one domain, and connections to one host, at the same time; default 5
	Drain        time.Duration // how long deliveries may go on when Run is told to end; default 5 seconds

	// Return sends a notification to the sender of a message. It must be durable when it returns nil. Default: Enqueue.
	Return func(ctx context.Context, e *smtp.Envelope, c smtp.Content) error

	Logger *slog.Logger // nil: silent
	Trace  *Trace

	once    sync.Once
	pool    *smtp.Pool // of the Run that is active
	mu      sync.Mutex
	domains map[string]int // deliveries under way
	total   int
	outages *outages // what the Run that is active has found out
}

// Trace has hooks that are called as things happen. They must not block. Each may be nil.
type Trace struct {
	Queued    func(id ID, e *smtp.Envelope)
	Route     func(id ID, domain string, hosts []Host, err error)
	Attempt   func(id ID, host Host, addr string, err error) // one server was tried, or left alone since it is down; err is why it could not be talked to
	Recipient func(id ID, to smtp.ForwardPath, s State, err error)
	Notified  func(id ID, to smtp.ReversePath, dsn smtp.Content)
}

func (q *Queue) setup() {
	q.once.Do(func() {
		q.domains = map[string]int{}
		if q.Hostname == "" {
			if q.Hostname, _ = os.Hostname(); q.Hostname == "" {
				q.Hostname = "localhost"
			}
		}
		if q.Schedule == nil {
			q.Schedule = DefaultSchedule
		}
		if q.Logger == nil {
			q.Logger = slog.New(slog.DiscardHandler)
		}
		if q.Trace == nil {
			q.Trace = &Trace{}
		}
		q.DelayNotice = cmp.Or(q.DelayNotice, 4*time.Hour)
		q.MaxParallel = cmp.Or(q.MaxParallel, 100)
		q.MaxPerDomain = cmp.Or(q.MaxPerDomain, 5)
		q.Drain = cmp.Or(q.Drain, 5*time.Second)
		if q.Return == nil {
			q.Return = func(ctx context.Context, e *smtp.Envelope, c smtp.Content) error {
				_, err := q.Enqueue(ctx, e, nil, c)
				return err
			}
		}
	})
}

// Enqueue takes responsibility for a message: when it returns nil, the message and all recipients are on disk. prefix are header fields
// to stand before the content, such as Received, each line with its CRLF.
func (q *Queue) Enqueue(ctx context.Context, e *smtp.Envelope, prefix []byte, c smtp.Content) (ID, error) {
	q.setup()
	now := time.Now()
	m := Message{Envelope: *e, Queued: now}
	id, err := q.Store.Add(ctx, m, prefix, c)
	if err != nil {
		q.Logger.LogAttrs(ctx, slog.LevelError, "cannot queue a message", slog.String("from", e.From.String()), slog.Any("error", err))
		return 0, err
	}
	q.Logger.LogAttrs(ctx, slog.LevelInfo, "queued", slog.String("id", id.String()), slog.String("from", e.From.String()), slog.Int("recipients", len(e.To)))
	if q.Trace.Queued != nil {
		q.Trace.Queued(id, e)
	}
	return id, nil
}

// Run delivers until the context ends. Deliveries that are under way then get Drain to come to an end. It returns nil after that. Errors of the store are logged, and what failed is tried again.
// Only one Run may be active.
func (q *Queue) Run(ctx context.Context) error {
	q.setup()
	if q.Store == nil || q.Router == nil {
		return errors.New("queue: Store and Router are required")
	}
	q.pool, q.outages = &smtp.Pool{MaxConns: q.MaxPerDomain}, &outages{}
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var jobs sync.WaitGroup
	finished := make(chan struct{}, 1)
	for ctx.Err() == nil {
		var next time.Time
		if !q.full() { // or the store would look at everything that is due, and find nothing that may go
			job, at, err := q.Store.Claim(ctx, time.Now(), q.free)
			if next = at; err != nil {
				q.Logger.LogAttrs(ctx, slog.LevelError, "the queue's store failed", slog.Any("error", err))
				next = time.Now().Add(time.Second)
			}
			if job != nil {
				q.count(job.Domain, 1)
				jobs.Go(func() {
					q.deliver(work, job)
					q.count(job.Domain, -1)
					select {
					case finished <- struct{}{}:
					default:
					}
				})
				continue
			}
		}
		timer := time.NewTimer(untilNext(next))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-finished:
		case <-q.Store.Changed():
		}
		timer.Stop()
	}
	drained := make(chan struct{})
	go func() { jobs.Wait(); close(drained) }()
	timer := time.NewTimer(q.Drain)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		cut()
		<-drained
	}
	return q.pool.Close()
}

// untilNext is how long to sleep; with nothing to wait for an hour does no harm.
func untilNext(next time.Time) time.Duration {
	if next.IsZero() {
		return time.Hour
	}
	return max(0, time.Until(next))
}

// free tells whether one more delivery to a domain may begin.
func (q *Queue) free(domain string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.domains[domain] < q.MaxPerDomain
}

// full tells whether as many deliveries as may be are under way.
func (q *Queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total >= q.MaxParallel
}

func (q *Queue) count(domain string, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total += n
	if q.domains[domain] += n; q.domains[domain] == 0 {
		delete(q.domains, domain)
	}
}
