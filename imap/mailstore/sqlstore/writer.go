package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
)

// maxGroup is how many operations share one transaction, and so one flush of the disk.
const maxGroup = 256

// An operation is a piece of a transaction. run checks first and writes then: when it fails before it wrote anything, only it is refused. When it fails after that, the transaction is
// rolled back and all its operations run again, each in a transaction of its own; so run may be called more than once.
type operation struct {
	ctx  context.Context
	run  func(w *writeTx) error
	done chan error
}

// write has the writer run an operation. When it returns nil, the operation is durable.
func (s *Store) write(ctx context.Context, run func(w *writeTx) error) error {
	o := operation{ctx, run, make(chan error, 1)}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.closing:
		return mailstore.ErrClosed
	default:
	}
	select {
	case s.ops <- o:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return mailstore.ErrClosed
	}
	// From here on only the writer knows how it ends.
	select {
	case err := <-o.done:
		return err
	case <-s.exited:
		select {
		case err := <-o.done:
			return err
		default:
			return mailstore.ErrClosed
		}
	}
}

// writeLoop is the writer: the only goroutine that changes the database.
func (s *Store) writeLoop() {
	defer close(s.exited)
	w := &writeTx{s: s, conn: s.writer, statements: map[string]*sql.Stmt{}}
	w.forget()
	defer w.close()
	group := make([]operation, 0, maxGroup)
	for {
		select {
		case o := <-s.ops:
			group = append(group[:0], o)
		case <-s.closing:
			select {
			case o := <-s.ops: // what came before
				group = append(group[:0], o)
			default:
				return
			}
		}
		runtime.Gosched() // those who were answered just now get to ask again: a third fewer flushes with 16 writers
	drain:
		for len(group) < maxGroup {
			select {
			case o := <-s.ops:
				group = append(group, o)
			default:
				break drain
			}
		}
		w.runGroup(group)
		clear(group)
	}
}

// writeTx is the writer's transaction, with what it remembers from one to the next.
type writeTx struct {
	s          *Store
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	wrote      bool // since the operation began
	cache
	changes
}

func (w *writeTx) close() {
	for _, stmt := range w.statements {
		_ = stmt.Close()
	}
	_ = w.conn.Close()
}

// query makes a writeTx a reader of its own transaction.
func (w *writeTx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := w.statement(query)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

func (w *writeTx) statement(query string) (*sql.Stmt, error) {
	if stmt := w.statements[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.statements[query] = stmt
	}
	return stmt, err
}

// exec changes something.
func (w *writeTx) exec(query string, args ...any) error {
	_, err := w.execN(query, args...)
	return err
}

// execN is exec that gives the number of rows changed.
func (w *writeTx) execN(query string, args ...any) (int64, error) {
	w.wrote = true
	stmt, err := w.statement(query)
	if err != nil {
		return 0, temporary(err)
	}
	r, err := stmt.Exec(args...)
	if err != nil {
		return 0, temporary(err)
	}
	n, err := r.RowsAffected()
	return n, temporary(err)
}

// each and one are those of readers, in the transaction.
func (w *writeTx) each(query string, args []any, dest []any, f func() error) error {
	return each(context.Background(), w, query, args, dest, f)
}

func (w *writeTx) one(query string, args []any, dest ...any) (bool, error) {
	return one(context.Background(), w, query, args, dest...)
}

// runGroup runs operations in one transaction and answers them after the commit.
func (w *writeTx) runGroup(group []operation) {
	if w.s.slot != nil {
		w.s.slot <- struct{}{}
		defer func() { <-w.s.slot }()
	}
	results, again := w.try(group)
	if again {
		for _, o := range group {
			one, _ := w.try([]operation{o})
			o.done <- one[0]
		}
		return
	}
	for i, o := range group {
		o.done <- results[i]
	}
}

// try runs a transaction. again says that it was rolled back because one of several operations failed.
func (w *writeTx) try(group []operation) (results []error, again bool) {
	results = make([]error, len(group))
	fail := func(err error) ([]error, bool) {
		w.rollback()
		for i := range results {
			if results[i] == nil {
				results[i] = temporary(err)
			}
		}
		return results, false
	}
	w.changes.reset()
	if err := w.begin(); err != nil {
		return fail(err)
	}
	for i, o := range group {
		if results[i] = o.ctx.Err(); results[i] != nil {
			continue
		}
		w.wrote = false
		if results[i] = o.run(w); results[i] == nil || !w.wrote {
			continue
		}
		if len(group) > 1 {
			w.rollback()
			return results, true
		}
		return fail(results[i])
	}
	if err := w.flush(); err != nil {
		return fail(err)
	}
	if err := w.exec("COMMIT"); err != nil {
		w.s.log.Error("mailstore: commit failed", "error", err)
		return fail(fmt.Errorf("commit: %w", err))
	}
	w.publish()
	return results, false
}

func (w *writeTx) begin() error {
	if err := w.exec(beginWrite); err != nil {
		return err
	}
	var version int64
	if _, err := w.one(otherWriters, nil, &version); err != nil {
		return err
	}
	if version != w.version {
		w.forget()
		w.version = version
	}
	if !w.counters.loaded {
		found, err := w.one("SELECT next_account, next_mailbox, next_blob FROM mailroom", nil, &w.counters.account, &w.counters.mailbox, &w.counters.blob)
		if err == nil && !found {
			err = errors.New("the table mailroom is empty")
		}
		if err != nil {
			return err
		}
		w.counters.loaded = true
	}
	return nil
}

// rollback undoes the transaction. What happened may be unclear, so nothing that was remembered is trusted any more.
func (w *writeTx) rollback() {
	if stmt, err := w.statement("ROLLBACK"); err == nil {
		_, _ = stmt.Exec() // fails when there is no transaction
	}
	w.forget()
}

// flush writes the rows that change once per transaction.
func (w *writeTx) flush() error {
	for b := range w.touched {
		if b.deleted {
			continue
		}
		if err := w.exec("UPDATE mailbox SET uidnext = ?, modseq = ?, floor = ?, keywords = ? WHERE id = ?", b.uidNext, b.modseq, b.floor, b.joined(), b.id); err != nil {
			return err
		}
	}
	for a, used := range w.used {
		if a.deleted {
			continue
		}
		if err := w.exec("UPDATE account SET octets = octets + ?, messages = messages + ?, uidvalidity = ? WHERE id = ?", used.octets, used.messages, a.validity, a.id); err != nil {
			return err
		}
	}
	if w.counters.dirty {
		if err := w.exec("UPDATE mailroom SET next_account = ?, next_mailbox = ?, next_blob = ?", w.counters.account, w.counters.mailbox, w.counters.blob); err != nil {
			return err
		}
		w.counters.dirty = false
	}
	return nil
}

// publish tells everybody what is now in the database.
func (w *writeTx) publish() {
	for b, c := range w.touched {
		w.s.lives.publish(b, c, w.s.log)
		w.hint(b.account.id, boxID(b.id))
	}
	for _, h := range w.hints {
		w.s.watchers.tell(h.account, h.box)
	}
	if len(w.boxes) > maxCached || len(w.accounts) > maxCached {
		w.boxes, w.accounts = map[int64]*box{}, map[string]*accountRow{}
	}
}

func (w *writeTx) hint(account int64, id imap.MailboxID) {
	h := hint{account, id}
	for _, other := range w.hints {
		if other == h {
			return
		}
	}
	w.hints = append(w.hints, h)
}
