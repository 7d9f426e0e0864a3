package mailstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// A Resolver says which accounts get the mail for an address: what a receiving server needs to know.
type Resolver interface {
	// Resolve gives the accounts behind local@domain. Errors are ErrNotLocal for a domain of somebody else, ErrUnknownUser, or temporary.
	Resolve(ctx context.Context, local, domain string) (Resolution, error)
}

// Resolution is where mail for an address goes.
type Resolution struct {
	Accounts []string // names of accounts; never empty
	Tag      string   // of bob+tag@; "" for none
}

// What a directory answers. They may be wrapped.
var (
	ErrNotLocal    = errors.New("mailstore: domain is not ours")
	ErrUnknownUser = errors.New("mailstore: no such user")
	ErrBadLogin    = errors.New("mailstore: user name or password is wrong")
)

// A User is an entry of a [Directory].
type User struct {
	Name      string   // of the account, and to log in with; an address such as "bob@example.org", or a bare name, which gets mail at every domain
	Password  string   // plain; "" for an account that nobody can log in to, unless Keys has something. It is not kept
	Keys      Keys     // instead of Password
	Addresses []string // further addresses; "*@example.org" catches what nobody else has
	Limits    Limits
}

// An Alias sends mail for an address on to accounts or addresses of the same directory.
type Alias struct {
	Address string   // "sales@example.org", or "*@example.org"
	To      []string // names of users, or other addresses, of aliases too
}

// DirectoryConfig is what NewDirectory makes a directory of.
type DirectoryConfig struct {
	Domains    []string // that are ours. Those of user names and addresses are added
	Users      []User
	Aliases    []Alias
	Postmaster string // the account that gets mail for postmaster, in every domain that has none of its own; default the first user (RFC 5321 s4.5.1)
	Separator  string // between local part and tag: one or more characters, each of which does it; default "+"; "none" for no subaddresses (RFC 5233)
	Iterations int    // of PBKDF2 for Password; default and least 4096
}

// A Directory knows users, passwords and addresses. It is an Authenticator and SCRAMKeys for smtp, imap and pop3, and a [Resolver]. It never changes, so it is safe for concurrent use; to change it, make a
// new one and swap. Passwords are kept as SCRAM keys, which do not reveal them; a right password that was seen before costs no second derivation.
//
// Names and domains compare without regard to case, in Unicode form NFC; domains in either form of IDNA.
type Directory struct {
	users      map[string]*user // by folded name
	names      []string
	addresses  map[string][]string // address → names of users
	domains    map[string]bool
	separator  string
	postmaster string
	verifier
}

type user struct {
	name   string
	keys   Keys
	limits Limits
}

// NewDirectory makes a directory, or says what in the configuration contradicts itself.
func NewDirectory(c DirectoryConfig) (*Directory, error) {
	d := &Directory{users: map[string]*user{}, addresses: map[string][]string{}, domains: map[string]bool{}, separator: c.Separator}
	switch d.separator {
	case "":
		d.separator = "+"
	case "none":
		d.separator = ""
	}
	d.verifier.init(c.Iterations)
	for _, domain := range c.Domains {
		d.domains[foldDomain(domain)] = true
	}
	for i, u := range c.Users {
		if err := d.addUser(&u); err != nil {
			return nil, fmt.Errorf("mailstore: user %d %q: %w", i, u.Name, err)
		}
	}
	if err := d.addAliases(c.Aliases); err != nil {
		return nil, err
	}
	if len(d.names) > 0 {
		postmaster := c.Postmaster
		if postmaster == "" {
			postmaster = d.names[0]
		}
		u := d.users[foldName(postmaster)]
		if u == nil {
			return nil, fmt.Errorf("mailstore: postmaster %q is no user", postmaster)
		}
		d.postmaster = u.name
		for domain := range d.domains {
			if key := "postmaster@" + domain; d.addresses[key] == nil {
				d.addresses[key] = []string{u.name}
			}
		}
	}
	return d, nil
}

func (d *Directory) addUser(u *User) error {
	key := foldName(u.Name)
	if key == "" || strings.ContainsFunc(u.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("a name is needed, without control characters")
	}
	if d.users[key] != nil {
		return errors.New("there is another of that name")
	}
	keys := u.Keys
	if u.Password != "" {
		var err error
		if keys, err = DeriveKeys(u.Password, d.iterations); err != nil {
			return err
		}
	}
	d.users[key] = &user{u.Name, keys, u.Limits}
	d.names = append(d.names, u.Name)
	addresses := slices.Clone(u.Addresses)
	if strings.Contains(u.Name, "@") {
		addresses = append(addresses, u.Name)
	}
	for _, address := range addresses {
		key, err := d.address(address)
		if err != nil {
			return err
		}
		if d.addresses[key] != nil {
			return fmt.Errorf("address %q belongs to %s", address, d.addresses[key][0])
		}
		d.addresses[key] = []string{u.Name}
	}
	return nil
}

// address folds an address and makes its domain ours.
func (d *Directory) address(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 {
		return "", fmt.Errorf("%q is no address", address)
	}
	domain := foldDomain(address[at+1:])
	d.domains[domain] = true
	return foldName(address[:at]) + "@" + domain, nil
}

// addAliases adds all aliases, then follows those that lead to others.
func (d *Directory) addAliases(aliases []Alias) error {
	open := map[string][]string{}
	for _, a := range aliases {
		key, err := d.address(a.Address)
		if err != nil {
			return fmt.Errorf("mailstore: alias: %w", err)
		}
		if d.addresses[key] != nil || open[key] != nil {
			return fmt.Errorf("mailstore: alias %q: the address belongs to somebody", a.Address)
		}
		if len(a.To) == 0 {
			return fmt.Errorf("mailstore: alias %q leads nowhere", a.Address)
		}
		open[key] = a.To
	}
	for key, to := range open {
		var names []string
		seen := map[string]bool{key: true}
		for len(to) > 0 {
			next := to[0]
			to = to[1:]
			folded := foldAddress(next)
			switch {
			case seen[folded]:
				continue
			case d.users[foldName(next)] != nil:
				names = append(names, d.users[foldName(next)].name)
			case open[folded] != nil:
				to = append(slices.Clone(to), open[folded]...)
			case d.addresses[folded] != nil:
				names = append(names, d.addresses[folded]...)
			default:
				return fmt.Errorf("mailstore: alias %q: %q is neither user nor address", key, next)
			}
			seen[folded] = true
		}
		if len(names) == 0 {
			return fmt.Errorf("mailstore: alias %q leads to itself alone", key)
		}
		slices.Sort(names)
		open[key] = slices.Compact(names)
	}
	for key, names := range open {
		d.addresses[key] = names
	}
	return nil
}

// Resolve gives the accounts for an address: the whole local part, then without its tag, then a user of that bare name, then the catch-all.
func (d *Directory) Resolve(ctx context.Context, local, domain string) (Resolution, error) {
	domain = foldDomain(domain)
	if domain == "" && strings.EqualFold(local, "postmaster") && len(d.names) > 0 { // RFC 5321 s4.5.1: RCPT TO:<Postmaster>
		return Resolution{Accounts: []string{d.postmaster}}, nil
	}
	if !d.domains[domain] {
		return Resolution{}, fmt.Errorf("%w: %s", ErrNotLocal, domain)
	}
	folded := foldName(local)
	if names := d.exact(folded, domain); names != nil {
		return Resolution{Accounts: names}, nil
	}
	if i := strings.IndexAny(folded, d.separator); i > 0 {
		if names := d.exact(folded[:i], domain); names != nil {
			local = norm.NFC.String(local)
			return Resolution{Accounts: names, Tag: local[strings.IndexAny(local, d.separator)+1:]}, nil
		}
	}
	if names := d.addresses["*@"+domain]; names != nil {
		return Resolution{Accounts: slices.Clone(names)}, nil
	}
	return Resolution{}, fmt.Errorf("%w: %s@%s", ErrUnknownUser, local, domain)
}

func (d *Directory) exact(local, domain string) []string {
	if names := d.addresses[local+"@"+domain]; names != nil && local != "*" {
		return slices.Clone(names)
	}
	if u := d.users[local]; u != nil && !strings.Contains(u.name, "@") {
		return []string{u.name}
	}
	return nil
}

// Users gives the names of all users in the order given, which are also the names of their accounts.
func (d *Directory) Users() []string { return slices.Clone(d.names) }

// Domains gives the domains that are ours, sorted.
func (d *Directory) Domains() []string {
	all := make([]string, 0, len(d.domains))
	for domain := range d.domains {
		all = append(all, domain)
	}
	slices.Sort(all)
	return all
}

// CreateAccounts makes in a store the accounts of users that are not there yet, and sets the limits of the others.
func (d *Directory) CreateAccounts(ctx context.Context, store Store) error {
	for _, name := range d.names {
		limits := d.users[foldName(name)].limits
		err := store.CreateAccount(ctx, name, limits)
		if errors.Is(err, ErrAccountExists) {
			err = store.SetLimits(ctx, name, limits)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// VerifyPassword checks a password; see imap.Authenticator, smtp and pop3, which it satisfies. Nobody may act as another. The work is the same whether the user exists or not.
func (d *Directory) VerifyPassword(ctx context.Context, remote netip.Addr, authzid, username, password string) (identity string, err error) {
	if err := ctx.Err(); err != nil {
		return "", &TemporaryError{err}
	}
	u := d.login(username)
	var keys *Keys
	if u != nil {
		keys = &u.keys
	}
	if !d.verify(password, keys) || authzid != "" && d.login(authzid) != u {
		return "", ErrBadLogin
	}
	return u.name, nil
}

// SCRAMKeys looks up SCRAM keys; see imap.SCRAMKeys.
func (d *Directory) SCRAMKeys(ctx context.Context, remote netip.Addr, authzid, username, hash string) (identity string, salt []byte, iterations int, storedKey, serverKey []byte, err error) {
	u := d.login(username)
	if u == nil || authzid != "" && d.login(authzid) != u {
		return "", nil, 0, nil, nil, ErrBadLogin
	}
	k := u.keys.SHA256
	if hash == "SHA-1" {
		k = u.keys.SHA1
	}
	if hash != "SHA-1" && hash != "SHA-256" || len(k.StoredKey) == 0 {
		return "", nil, 0, nil, nil, ErrBadLogin
	}
	return u.name, slices.Clone(k.Salt), k.Iterations, slices.Clone(k.StoredKey), slices.Clone(k.ServerKey), nil
}

// login gives the user of a name or an address that is one user's alone.
func (d *Directory) login(username string) *user {
	if u := d.users[foldName(username)]; u != nil {
		return u
	}
	key := foldAddress(username)
	if names := d.addresses[key]; len(names) == 1 && !strings.HasPrefix(key, "*@") && !strings.HasPrefix(key, "postmaster@") {
		return d.users[foldName(names[0])]
	}
	return nil
}

func foldName(name string) string { return strings.ToLower(norm.NFC.String(name)) }

func foldAddress(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return foldName(address[:at]) + "@" + foldDomain(address[at+1:])
	}
	return foldName(address)
}

// foldDomain gives a domain in A-labels and small letters.
func foldDomain(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return strings.ToLower(domain)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
