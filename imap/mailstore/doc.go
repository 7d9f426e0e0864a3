// Package mailstore keeps mail: accounts with mailboxes, delivery into them, quotas, and a directory of users and addresses.
//
// [Store] is what a mail server needs of a store: it is an [imap.Backend], takes in messages for many recipients at once, and manages accounts. There are two
// of them: memstore, in memory, and sqlstore, in an SQL database. imapdrop lets POP3 read any of them.
//
// [Directory] is a ready list of users, passwords, addresses and aliases. It satisfies the Authenticator and SCRAMKeys interfaces of smtp, imap and pop3. A server over
// LDAP or a service of its own implements those and [Resolver] instead.
//
//	dir, err := mailstore.NewDirectory(mailstore.DirectoryConfig{
//		Users:   []mailstore.User{{Name: "alice@example.org", Password: "..."}},
//		Aliases: []mailstore.Alias{{Address: "sales@example.org", To: []string{"alice@example.org"}}},
//	})
//	store := new(memstore.Store)
//	err = dir.CreateAccounts(ctx, store)
//	r, err := dir.Resolve(ctx, "alice+shop", "example.org") // Accounts: alice@example.org; Tag: shop
//	errs := store.Deliver(ctx, mailstore.Incoming{Content: spooled}, []mailstore.Target{{Account: r.Accounts[0], Prefix: trace}})
//
// # Limits
//
// A message has at most 64 MiB (MaxMessage of each store), an account 10,000 mailboxes and 10,000 subscriptions, a name 1,000 octets and 50 levels, a mailbox 59
// keywords. Octets and messages of an account are limited by [Limits].
//
// # Standards
//
//   - RFC 5321 s4.5.1: done; mail for postmaster always reaches somebody.
//   - RFC 5233 (subaddresses): done; Directory splits, what to do with the tag is the caller's.
//   - RFC 5802, RFC 7677 (SCRAM keys): done.
//   - RFC 6154 (special use): done, but for \All and \Flagged.
//   - RFC 7162 (modification sequences, expunged UIDs): done.
//   - RFC 8474 (object ids): mailboxes and messages; no threads.
//   - RFC 8514 (save date), RFC 9208 (quota): done.
package mailstore
