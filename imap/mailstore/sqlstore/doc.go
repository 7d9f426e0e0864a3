// Package sqlstore is a [github.com/gomailroom/mailroom/imap/mailstore.Store] in an SQL database: SQLite for now. The driver is the caller's choice.
//
//	import _ "modernc.org/sqlite"
//
//	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN("/var/mail/mail.db"))
//	db.SetMaxOpenConns(9) // one writes, eight read
//	db.SetMaxIdleConns(9)
//	store, err := sqlstore.Open(ctx, db, sqlstore.SQLite)
//	defer store.Close()
//
// # What lasts
//
// What was acknowledged is on disk: the write-ahead log is flushed for each commit. Open sets this up on the connection that writes, and refuses a database where it cannot.
// One goroutine writes. It takes up to 256 waiting operations into one transaction and answers them after the commit; so many writers share a flush. An
// operation that fails does not disturb the others. After a commit that failed, everything that was in memory is read again.
//
// # How it is kept
//
// A message's text is kept once for all its recipients and copies, as it came; header fields that are a recipient's own are kept apart as a prefix. Texts of up to 64 KiB are in a row, larger ones
// in rows of 256 KiB, written while they arrive: memory stays small. The parsed structure is kept beside the text. What was expunged is remembered for QRESYNC, 50,000 ranges of UIDs in each mailbox,
// then the older half is forgotten. UIDs, modification sequences and ids are never given twice.
//
// A mailbox's picture is loaded when it is first looked at, shared by all who have the mailbox open, and kept up by the writer.
//
// One process at a time may use a database. A database in memory (":memory:") works on one connection, for tests.
package sqlstore
