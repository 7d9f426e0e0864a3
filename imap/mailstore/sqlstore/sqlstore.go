package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
)

const (
	schemaVersion = 1

	inlineBlob = 64 << 10  // bodies up to this size are in their row
	chunkSize  = 256 << 10 // of larger bodies

	defaultMaxMessage     = 64 << 20
	defaultExpungedRanges = 50_000
	defaultCachedMessages = 1_000_000
	stagedFor             = 24 * time.Hour // a body without a message is dropped after that
)

// Options are the choices of a store. The zero value is good.
type Options struct {
	MaxMessage     int64        // largest message in octets; default 64 MiB
	ExpungedRanges int          // ranges of expunged UIDs remembered in a mailbox for QRESYNC; default 50,000
	CachedMessages int          // messages of mailboxes that nobody has open whose pictures stay in memory, at 37 bytes each; default 1,000,000
	Logger         *slog.Logger // nil: silent
}

// A Store is a [mailstore.Store] in an SQL database. Make one with [Open].
type Store struct {
	db      *sql.DB
	options Options
	log     *slog.Logger

	// In a database without a file there is one connection for all; slot is held by who uses it. Else slot is nil.
	slot   chan struct{}
	writer *sql.Conn // the writer's alone, or all that there is

	ops     chan operation
	closing chan struct{} // closed by Close
	exited  chan struct{} // closed by the writer
	once    sync.Once

	prepared sync.Map // query → *sql.Stmt, for readers
	lives    lives
	watchers watchers
}

var _ mailstore.Store = (*Store)(nil)

// Open opens a store in a database and makes its tables if there are none. db is the caller's, who closes it after the store. Give it several open and as many idle
// connections: the store writes on one and reads on the others. It must not be used by two processes at once.
func Open(ctx context.Context, db *sql.DB, d Dialect) (*Store, error) {
	return Options{}.Open(ctx, db, d)
}

// Open is [Open] with options.
func (o Options) Open(ctx context.Context, db *sql.DB, d Dialect) (*Store, error) {
	if d != SQLite {
		return nil, fmt.Errorf("sqlstore: unknown dialect %d", d)
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = defaultMaxMessage
	}
	if o.ExpungedRanges <= 0 {
		o.ExpungedRanges = defaultExpungedRanges
	}
	if o.CachedMessages <= 0 {
		o.CachedMessages = defaultCachedMessages
	}
	s := &Store{db: db, options: o, log: o.Logger, ops: make(chan operation, maxGroup), closing: make(chan struct{}), exited: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.lives.init(o.CachedMessages)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	memory, err := prepareWriter(ctx, conn)
	if err == nil {
		err = migrate(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if s.writer = conn; memory {
		s.slot = make(chan struct{}, 1)
	} else if db.Stats().MaxOpenConnections == 1 {
		return nil, errors.Join(errors.New("sqlstore: the *sql.DB allows one connection, two or more are needed"), conn.Close())
	}
	go s.writeLoop()
	if err := s.sweep(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// migrate makes the tables, or brings older ones up to date.
func migrate(ctx context.Context, c *sql.Conn) (err error) {
	if _, err := c.ExecContext(ctx, beginWrite); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	defer func() {
		if err != nil {
			_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	var tables, version int
	if err := c.QueryRowContext(ctx, tableExists, "mailroom").Scan(&tables); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	if tables == 0 {
		for _, statement := range schemaV1 {
			if _, err := c.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("sqlstore: make the tables: %w", err)
			}
		}
	}
	if err := c.QueryRowContext(ctx, "SELECT version FROM mailroom").Scan(&version); err != nil {
		return fmt.Errorf("sqlstore: read the version: %w", err)
	}
	if version != schemaVersion {
		return fmt.Errorf("sqlstore: the database has schema version %d, this program knows up to %d", version, schemaVersion)
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	return nil
}

// Close ends the store once what is under way is done. The *sql.DB stays open.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.exited
	s.prepared.Range(func(_, stmt any) bool {
		_ = stmt.(*sql.Stmt).Close()
		return true
	})
	return nil
}

// Capabilities says that all but threads is kept.
func (s *Store) Capabilities() imap.Capabilities {
	return imap.Capabilities{SaveDate: true, ObjectID: true, Quota: true}
}

// temporary marks an error of the database.
func temporary(err error) error {
	var already *mailstore.TemporaryError
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &already) {
		return err
	}
	return &mailstore.TemporaryError{Err: err}
}
