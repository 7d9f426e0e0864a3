// Package memstore is a [github.com/gomailroom/mailroom/imap/mailstore.Store] in memory: for tests, and for mail that need not last.
//
//	var store memstore.Store
//	err := store.CreateAccount(ctx, "alice@example.org", mailstore.Limits{})
//
// A message's text is kept once for all its recipients. Expunges are remembered for QRESYNC, 5,000 at least in each mailbox.
package memstore
