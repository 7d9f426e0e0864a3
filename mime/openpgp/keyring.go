package openpgp

import (
	"context"
	"slices"

	"github.com/gomailroom/mailroom/mime/internal/protect"
)

// A Lookup finds the keys of an address: a directory, a database, WKD, what Autocrypt headers said. What it returns for an address is taken to belong to it: whether the key's
// user ids say so too, or who vouches for them, is for the Lookup to judge. No key is no error. It is used by several goroutines at once.
type Lookup interface {
	Keys(ctx context.Context, address string) ([]Key, error)
}

// LookupFunc makes a function a [Lookup].
type LookupFunc func(ctx context.Context, address string) ([]Key, error)

// Keys calls the function.
func (f LookupFunc) Keys(ctx context.Context, address string) ([]Key, error) { return f(ctx, address) }

// A Keyring is a list of keys that are all trusted to belong to the addresses in their user ids.
type Keyring []Key

// Keys returns the keys that have the address in a user id. Only ASCII letters match in either case.
func (r Keyring) Keys(_ context.Context, address string) ([]Key, error) {
	var found []Key
	for _, k := range r {
		if slices.ContainsFunc(k.Addresses(), func(a string) bool { return protect.SameAddress(a, address) }) {
			found = append(found, k)
		}
	}
	return found, nil
}

// Recipients finds a key to encrypt to for every address: the newest that can be used now. If there is none for one of them, the error is [NoKey] or [BadKey] with that address, and
// nobody gets the message: it is for people to decide whether it goes in clear.
func Recipients(ctx context.Context, l Lookup, addresses ...string) ([]Key, error) {
	var all []Key
	for _, address := range addresses {
		keys, err := l.Keys(ctx, address)
		if err != nil {
			return nil, err
		}
		var best Key
		var why error
		for _, k := range keys {
			if err := k.CanEncrypt(); err != nil {
				why = err
			} else if best.IsZero() || k.Created().After(best.Created()) {
				best = k
			}
		}
		switch {
		case !best.IsZero():
			all = append(all, best)
		case why != nil:
			return nil, &Error{Kind: BadKey, Address: address, Err: why}
		default:
			return nil, &Error{Kind: NoKey, Address: address}
		}
	}
	return all, nil
}
