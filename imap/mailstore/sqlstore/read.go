package sqlstore

import (
	"context"
	"database/sql"

	"github.com/gomailroom/mailroom/imap/mailstore"
)

// reader runs queries that only read.
type reader interface {
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// pooled reads on any connection, each query for itself.
type pooled struct{ s *Store }

func (p pooled) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, ok := p.s.prepared.Load(query)
	if !ok {
		fresh, err := p.s.db.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		if stmt, ok = p.s.prepared.LoadOrStore(query, fresh); ok {
			_ = fresh.Close()
		}
	}
	return stmt.(*sql.Stmt).QueryContext(ctx, args...)
}

// single reads on one connection.
type single struct{ c *sql.Conn }

func (r single) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.c.QueryContext(ctx, query, args...)
}

// read runs f, which reads. It must not wait for anything else, and have closed its rows when it returns.
func (s *Store) read(ctx context.Context, f func(r reader) error) error {
	select {
	case <-s.closing:
		return mailstore.ErrClosed
	default:
	}
	if s.slot == nil {
		return f(pooled{s})
	}
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slot }()
	return f(single{s.writer})
}

// snapshot runs f, which reads, on one state of the database.
func (s *Store) snapshot(ctx context.Context, f func(r reader) error) error {
	if s.slot != nil {
		return s.read(ctx, f)
	}
	c, err := s.db.Conn(ctx)
	if err != nil {
		return temporary(err)
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, beginRead); err != nil {
		return temporary(err)
	}
	defer c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // it only read
	return f(single{c})
}

// each runs a query and scans its rows into dest, calling f after each.
func each(ctx context.Context, r reader, query string, args []any, dest []any, f func() error) error {
	rows, err := r.query(ctx, query, args...)
	if err != nil {
		return temporary(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return temporary(err)
		}
		if err := f(); err != nil {
			return err
		}
	}
	return temporary(rows.Err())
}

// one scans the first row and says whether there was one.
func one(ctx context.Context, r reader, query string, args []any, dest ...any) (found bool, err error) {
	err = each(ctx, r, query, args, dest, func() error { found = true; return nil })
	return found, err
}
