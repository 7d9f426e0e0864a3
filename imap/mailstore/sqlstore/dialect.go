package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
)

// A Dialect says which database is behind the *sql.DB. The driver is the caller's choice.
type Dialect uint8

// SQLite is SQLite 3.35 or newer, by any driver.
const SQLite Dialect = 1

// SQLiteDSN gives the data source name of a database file for the driver modernc.org/sqlite ("sqlite"): write-ahead log, a flush for each commit, ten seconds of patience with locks, a cache of 8 MiB for each connection. Other drivers spell
// the same settings in their own way; Open checks them.
func SQLiteDSN(path string) string {
	escaped := (&url.URL{Path: path}).EscapedPath()
	return "file:" + escaped + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-8192)&_txlock=immediate"
}

// All that differs between databases is in this file.

const (
	beginWrite = "BEGIN IMMEDIATE" // takes the write lock at once, so that no transaction fails half way
	beginRead  = "BEGIN DEFERRED"  // one snapshot for several queries

	// tableExists counts the tables of a name.
	tableExists = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"

	// otherWriters gives a number that changes when another connection has written.
	otherWriters = "PRAGMA data_version"
)

// prepareWriter sets up the connection that writes, and makes sure that its commits last. memory says that the database has no file.
func prepareWriter(ctx context.Context, c *sql.Conn) (memory bool, err error) {
	var seq, name, file sql.NullString
	if err := c.QueryRowContext(ctx, "PRAGMA database_list").Scan(&seq, &name, &file); err != nil {
		return false, fmt.Errorf("sqlstore: this is no SQLite database: %w", err)
	}
	memory = file.String == ""
	for _, pragma := range []string{"busy_timeout = 10000", "synchronous = FULL", "foreign_keys = OFF", "wal_autocheckpoint = 4000", "cache_size = -32768"} {
		if _, err := c.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return memory, fmt.Errorf("sqlstore: PRAGMA %s: %w", pragma, err)
		}
	}
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return memory, fmt.Errorf("sqlstore: PRAGMA journal_mode: %w", err)
	}
	var synchronous int
	if err := c.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return memory, fmt.Errorf("sqlstore: PRAGMA synchronous: %w", err)
	}
	var locking string
	if err := c.QueryRowContext(ctx, "PRAGMA locking_mode").Scan(&locking); err != nil {
		return memory, fmt.Errorf("sqlstore: PRAGMA locking_mode: %w", err)
	}
	switch {
	case memory:
	case !strings.EqualFold(mode, "wal"):
		return memory, fmt.Errorf("sqlstore: journal_mode is %q and cannot be WAL: commits would not last or readers would block; use a local file that nobody has open otherwise", mode)
	case synchronous < 2:
		return memory, fmt.Errorf("sqlstore: synchronous is %d and cannot be FULL (2): commits would not survive a power cut", synchronous)
	case !strings.EqualFold(locking, "normal"):
		return memory, fmt.Errorf("sqlstore: locking_mode is %q, must be NORMAL: other connections could not read", locking)
	}
	return memory, nil
}

// schemaV1 makes the tables of version 1.
var schemaV1 = []string{
	// One row. The counters are never given twice, so that what is deleted is not mistaken for what comes after.
	`CREATE TABLE mailroom (version INTEGER NOT NULL, next_account INTEGER NOT NULL, next_mailbox INTEGER NOT NULL, next_blob INTEGER NOT NULL)`,
	`INSERT INTO mailroom VALUES (1, 1, 1, 1)`,
	`CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, octets INTEGER NOT NULL, messages INTEGER NOT NULL,
		octet_limit INTEGER NOT NULL, message_limit INTEGER NOT NULL, uidvalidity INTEGER NOT NULL)`,
	`CREATE TABLE mailbox (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL, special_use TEXT NOT NULL, noselect INTEGER NOT NULL,
		uidvalidity INTEGER NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL, floor INTEGER NOT NULL, keywords TEXT NOT NULL, UNIQUE (account, name))`,
	`CREATE TABLE subscription (account INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, name)) WITHOUT ROWID`,
	// date has seconds in the upper 48 bits and the zone's minutes in the lower 16; email is mailbox<<32|uid of the place where the message was first.
	`CREATE TABLE message (mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL, flags INTEGER NOT NULL, size INTEGER NOT NULL, date INTEGER NOT NULL,
		saved INTEGER NOT NULL, email INTEGER NOT NULL, blob INTEGER NOT NULL, prefix BLOB, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID`,
	`CREATE TABLE expunged (mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (mailbox, modseq, first)) WITHOUT ROWID`,
	// data is NULL where the body is in chunks. refs counts messages; 0 is a body that is still on its way.
	`CREATE TABLE blob (id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, size INTEGER NOT NULL, created INTEGER NOT NULL, structure BLOB, data BLOB)`,
	`CREATE INDEX blob_staged ON blob (created) WHERE refs = 0`,
	`CREATE TABLE chunk (blob INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (blob, n))`,
}
