package mailstore_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
)

var (
	_ imap.Authenticator = (*mailstore.Directory)(nil)
	_ imap.SCRAMKeys     = (*mailstore.Directory)(nil)
	_ mailstore.Resolver = (*mailstore.Directory)(nil)
)

func directory(t testing.TB) *mailstore.Directory {
	dir, err := mailstore.NewDirectory(mailstore.DirectoryConfig{
		Domains: []string{"example.com"},
		Users: []mailstore.User{
			{Name: "alice@example.org", Password: "päss", Addresses: []string{"a.lice@example.org", "Alice@bücher.example"}, Limits: mailstore.Limits{Octets: 1000}},
			{Name: "bob", Password: "builder"},
			{Name: "mute@example.org"},
		},
		Aliases: []mailstore.Alias{
			{Address: "sales@example.org", To: []string{"alice@example.org", "bob"}},
			{Address: "all@example.org", To: []string{"sales@example.org", "mute@example.org", "all@example.org"}},
			{Address: "*@example.com", To: []string{"bob"}},
		},
	})
	require.NoError(t, err)
	return dir
}

func TestResolve(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	for _, test := range []struct {
		local, domain string
		accounts      []string
		tag           string
		err           error
	}{
		{"alice", "example.org", []string{"alice@example.org"}, "", nil},
		{"ALICE", "Example.ORG.", []string{"alice@example.org"}, "", nil},
		{"a.lice", "example.org", []string{"alice@example.org"}, "", nil},
		{"alice+Shop+x", "example.org", []string{"alice@example.org"}, "Shop+x", nil},
		{"alice+", "example.org", []string{"alice@example.org"}, "", nil},
		{"+alice", "example.org", nil, "", mailstore.ErrUnknownUser},
		{"alice", "bücher.example", []string{"alice@example.org"}, "", nil},
		{"alice", "xn--bcher-kva.example", []string{"alice@example.org"}, "", nil},
		{"bob", "example.org", []string{"bob"}, "", nil},
		{"bob+tag", "bücher.example", []string{"bob"}, "tag", nil},
		{"sales", "example.org", []string{"alice@example.org", "bob"}, "", nil},
		{"sales+x", "example.org", []string{"alice@example.org", "bob"}, "x", nil},
		{"all", "example.org", []string{"alice@example.org", "bob", "mute@example.org"}, "", nil},
		{"whoever", "example.com", []string{"bob"}, "", nil},
		{"*", "example.org", nil, "", mailstore.ErrUnknownUser},
		{"whoever", "example.org", nil, "", mailstore.ErrUnknownUser},
		{"alice", "example.com", []string{"bob"}, "", nil},
		{"alice", "example.net", nil, "", mailstore.ErrNotLocal},
		{"alice", "", nil, "", mailstore.ErrNotLocal},
		{"postmaster", "example.org", []string{"alice@example.org"}, "", nil}, // RFC 5321 s4.5.1
		{"PostMaster", "example.com", []string{"alice@example.org"}, "", nil},
		{"Postmaster", "", []string{"alice@example.org"}, "", nil},
	} {
		t.Run(test.local+"@"+test.domain, func(t *testing.T) {
			t.Parallel()
			r, err := dir.Resolve(t.Context(), test.local, test.domain)
			require.ErrorIs(t, err, test.err)
			require.Equal(t, mailstore.Resolution{Accounts: test.accounts, Tag: test.tag}, r)
		})
	}
	require.Equal(t, []string{"example.com", "example.org", "xn--bcher-kva.example"}, dir.Domains())
}

func TestSeparator(t *testing.T) {
	t.Parallel()
	for separator, want := range map[string]string{"": "b-c", "-+": "b-c", "-": "c", "none": "unknown"} {
		dir, err := mailstore.NewDirectory(mailstore.DirectoryConfig{Users: []mailstore.User{{Name: "a@x.example"}, {Name: "a+b@x.example"}}, Separator: separator})
		require.NoError(t, err)
		r, err := dir.Resolve(t.Context(), "a+b-c", "x.example")
		switch separator {
		case "none":
			require.ErrorIs(t, err, mailstore.ErrUnknownUser)
		case "-":
			require.NoError(t, err)
			require.Equal(t, mailstore.Resolution{Accounts: []string{"a+b@x.example"}, Tag: want}, r)
		default:
			require.NoError(t, err)
			require.Equal(t, mailstore.Resolution{Accounts: []string{"a@x.example"}, Tag: want}, r)
		}
	}
}

func TestDirectoryRefuses(t *testing.T) {
	t.Parallel()
	alice := mailstore.User{Name: "alice@example.org"}
	for name, c := range map[string]mailstore.DirectoryConfig{
		"no name":          {Users: []mailstore.User{{}}},
		"control":          {Users: []mailstore.User{{Name: "a\r\nb"}}},
		"twice":            {Users: []mailstore.User{alice, {Name: "ALICE@example.org"}}},
		"no address":       {Users: []mailstore.User{{Name: "bob", Addresses: []string{"bob"}}}},
		"address taken":    {Users: []mailstore.User{alice, {Name: "bob", Addresses: []string{"alice@example.org"}}}},
		"alias taken":      {Users: []mailstore.User{alice}, Aliases: []mailstore.Alias{{Address: "alice@example.org", To: []string{"alice@example.org"}}}},
		"alias to nobody":  {Users: []mailstore.User{alice}, Aliases: []mailstore.Alias{{Address: "x@example.org", To: []string{"bob@example.org"}}}},
		"alias to nothing": {Users: []mailstore.User{alice}, Aliases: []mailstore.Alias{{Address: "x@example.org"}}},
		"alias to itself":  {Aliases: []mailstore.Alias{{Address: "x@example.org", To: []string{"y@example.org"}}, {Address: "y@example.org", To: []string{"x@example.org"}}}},
		"postmaster":       {Users: []mailstore.User{alice}, Postmaster: "bob"},
		"password":         {Users: []mailstore.User{{Name: "a", Password: "x\x00"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mailstore.NewDirectory(c)
			require.Error(t, err)
		})
	}
}

func TestVerifyPassword(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	for _, test := range []struct{ authzid, username, password, identity string }{
		{"", "alice@example.org", "päss", "alice@example.org"},
		{"", "Alice@Example.org", "päss", "alice@example.org"},
		{"", "a.lice@example.org", "päss", "alice@example.org"},
		{"", "alice@bücher.example", "pa\u0308ss", "alice@example.org"}, // NFKC
		{"alice@example.org", "alice@example.org", "päss", "alice@example.org"},
		{"bob", "alice@example.org", "päss", ""},
		{"nobody", "alice@example.org", "päss", ""},
		{"", "bob", "builder", "bob"},
		{"", "bob", "Builder", ""},
		{"", "bob", "", ""},
		{"", "bob", "builder\x00", ""},
		{"", "bob", string(make([]byte, 5000)), ""},
		{"", "mute@example.org", "", ""},
		{"", "sales@example.org", "builder", ""},   // several people's
		{"", "postmaster@example.org", "päss", ""}, // a role is no login
		{"", "whoever@example.com", "builder", ""}, // caught by a catch-all
		{"", "*@example.com", "builder", ""},
		{"", "nobody", "builder", ""},
		{"", "", "", ""},
	} {
		t.Run(test.username+"/"+test.password[:min(len(test.password), 9)], func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second time out of memory
				identity, err := dir.VerifyPassword(t.Context(), netip.Addr{}, test.authzid, test.username, test.password)
				require.Equal(t, test.identity, identity)
				if test.identity == "" {
					require.ErrorIs(t, err, mailstore.ErrBadLogin)
				} else {
					require.NoError(t, err)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := dir.VerifyPassword(ctx, netip.Addr{}, "", "bob", "builder")
	var temporary interface{ Temporary() bool }
	require.ErrorAs(t, err, &temporary)
}

// A wrong password costs the same for those who exist and those who do not.
func TestVerifyCost(t *testing.T) {
	dir, err := mailstore.NewDirectory(mailstore.DirectoryConfig{Users: []mailstore.User{{Name: "bob", Password: "x"}, {Name: "mute"}}, Iterations: 20_000})
	require.NoError(t, err)
	took := map[string]time.Duration{}
	for range 5 { // the best of some
		for _, name := range []string{"bob", "mute", "nobody"} {
			start := time.Now()
			_, err := dir.VerifyPassword(t.Context(), netip.Addr{}, "", name, "wrong")
			require.ErrorIs(t, err, mailstore.ErrBadLogin)
			if d := time.Since(start); took[name] == 0 || d < took[name] {
				took[name] = d
			}
		}
	}
	for _, name := range []string{"mute", "nobody"} {
		ratio := float64(took[name]) / float64(took["bob"])
		require.True(t, ratio > 0.1 && ratio < 10, "%v", took)
	}
}

// A password that was right stays right without a derivation for ten minutes, and is right after that too.
func TestVerifyCacheEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := directory(t)
		for range 5 {
			for password, ok := range map[string]bool{"builder": true, "wrong": false} {
				_, err := dir.VerifyPassword(t.Context(), netip.Addr{}, "", "bob", password)
				require.Equal(t, ok, err == nil)
			}
			time.Sleep(4 * time.Minute) // virtual
		}
	})
}

func TestSCRAMKeys(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	for _, hash := range []string{"SHA-1", "SHA-256"} {
		identity, salt, iterations, stored, server, err := dir.SCRAMKeys(t.Context(), netip.Addr{}, "", "BOB", hash)
		require.NoError(t, err)
		require.Equal(t, "bob", identity)
		require.GreaterOrEqual(t, iterations, 4096)
		require.GreaterOrEqual(t, len(salt), 16)
		require.NotEqual(t, stored, server)
	}
	for _, bad := range [][3]string{{"", "bob", "MD5"}, {"", "nobody", "SHA-256"}, {"alice@example.org", "bob", "SHA-256"}, {"", "mute@example.org", "SHA-256"}} {
		_, _, _, _, _, err := dir.SCRAMKeys(t.Context(), netip.Addr{}, bad[0], bad[1], bad[2])
		require.ErrorIs(t, err, mailstore.ErrBadLogin)
	}
	// Keys can be kept in place of passwords.
	keys, err := mailstore.DeriveKeys("secret", 0)
	require.NoError(t, err)
	again, err := mailstore.NewDirectory(mailstore.DirectoryConfig{Users: []mailstore.User{{Name: "x", Keys: keys}}})
	require.NoError(t, err)
	_, err = again.VerifyPassword(t.Context(), netip.Addr{}, "", "x", "secret")
	require.NoError(t, err)
}

func TestCreateAccounts(t *testing.T) {
	t.Parallel()
	dir, store := directory(t), new(memstore.Store)
	require.NoError(t, store.CreateAccount(t.Context(), "alice@example.org", mailstore.Limits{}))
	for range 2 {
		require.NoError(t, dir.CreateAccounts(t.Context(), store))
	}
	names, err := store.Accounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"alice@example.org", "bob", "mute@example.org"}, names)
	q, err := store.Usage(t.Context(), "alice@example.org")
	require.NoError(t, err)
	require.EqualValues(t, 1000, q.OctetLimit)
}

func ExampleDirectory() {
	dir, _ := mailstore.NewDirectory(mailstore.DirectoryConfig{
		Users: []mailstore.User{
			{Name: "alice@example.org", Password: "correct horse"},
			{Name: "bob@example.org", Password: "battery staple"},
		},
		Aliases: []mailstore.Alias{{Address: "sales@example.org", To: []string{"alice@example.org", "bob@example.org"}}},
	})
	ctx := context.Background()
	fmt.Println(dir.Resolve(ctx, "Alice+shop", "example.org"))
	fmt.Println(dir.Resolve(ctx, "sales", "example.org"))
	fmt.Println(dir.Resolve(ctx, "eve", "example.org"))
	fmt.Println(dir.VerifyPassword(ctx, netip.Addr{}, "", "alice@example.org", "correct horse"))
	// Output:
	// {[alice@example.org] shop} <nil>
	// {[alice@example.org bob@example.org] } <nil>
	// {[] } mailstore: no such user: eve@example.org
	// alice@example.org <nil>
}

func BenchmarkVerifyPassword(b *testing.B) {
	dir := directory(b)
	for name, password := range map[string]string{"right": "builder", "wrong": "x"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = dir.VerifyPassword(b.Context(), netip.Addr{}, "", "bob", password)
			}
		})
	}
}
