package sasl_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/stretchr/testify/require"
)

const password = "pass wörd 🔑"

var remote = netip.MustParseAddr("192.0.2.1")

var errNoUser = errors.New("no such user")

type tempError struct{}

func (tempError) Error() string   { return "directory is away" }
func (tempError) Temporary() bool { return true }

// directory answers everything for the user "jörg", whose account is "J".
func directory(t testing.TB) *sasl.Config {
	known := func(username string) (string, error) {
		switch username {
		case "jörg":
			return "J", nil
		case "temp":
			return "", tempError{}
		}
		return "", errNoUser
	}
	return &sasl.Config{
		VerifyPassword: func(_ context.Context, r netip.Addr, authzid, username, pw string) (string, error) {
			require.Equal(t, remote, r)
			id, err := known(username)
			if err == nil && pw != password {
				err = errNoUser
			}
			return id, err
		},
		SCRAM: func(_ context.Context, _ netip.Addr, authzid, username, hash string) (string, []byte, int, []byte, []byte, error) {
			id, err := known(username)
			if err != nil {
				return "", nil, 0, nil, nil, err
			}
			salt := []byte("0123456789abcdef")
			stored, server, err := sasl.DeriveSCRAM(hash, password, salt, 4096)
			return id, salt, 4096, stored, server, err
		},
		SCRAMHashes: []string{"SHA-256", "SHA-1"},
		Bearer: func(_ context.Context, _ netip.Addr, authzid, token string) (string, error) {
			id, err := known(authzid)
			if err == nil && token != "token" {
				err = errNoUser
			}
			return id, err
		},
		External: func(_ context.Context, _ netip.Addr, authzid string, state tls.ConnectionState) (string, error) {
			require.Equal(t, "joerg@example.org", state.PeerCertificates[0].EmailAddresses[0])
			return known("jörg")
		},
		Secret: func(_ context.Context, _ netip.Addr, username string) (string, string, error) {
			id, err := known(username)
			return id, password, err
		},
	}
}

// run carries messages until either side is done.
func run(s sasl.Server, c sasl.Client, initial bool) error {
	response, err := c.Start()
	if err != nil {
		return err
	}
	held := response
	if !initial && response != nil {
		response = nil
	}
	for range 10 {
		challenge, done, err := s.Next(response)
		if err != nil {
			return err
		}
		if done {
			return c.Finish()
		}
		if response == nil && held != nil {
			response, held = held, nil
			continue
		}
		held = nil
		if response, err = c.Next(challenge); err != nil {
			return err
		}
		if response == nil {
			response = []byte{}
		}
	}
	return errors.New("exchange does not end")
}

// tlsPair returns what each side knows of a TLS connection.
func tlsPair(t *testing.T, version uint16) (server, client sasl.Channel) {
	t.Helper()
	ca := certs.NewCA()
	a, b := memnet.Pipe()
	scfg, ccfg := ca.Server("mx.example.org"), ca.Client()
	scfg.MaxVersion = version
	ccfg.ServerName = "mx.example.org"
	ccfg.Certificates = []tls.Certificate{ca.Issue("joerg@example.org")}
	ts, tc := tls.Server(a, scfg), tls.Client(b, ccfg)
	done := make(chan error, 1)
	go func() { done <- ts.Handshake() }()
	require.NoError(t, tc.Handshake())
	require.NoError(t, <-done)
	ss, cs := ts.ConnectionState(), tc.ConnectionState()
	return sasl.Channel{TLS: &ss, Remote: remote, Certificate: sasl.ServerCertificate(scfg)}, sasl.Channel{TLS: &cs, Remote: remote}
}

var all = []string{"EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", "CRAM-MD5", "PLAIN", "LOGIN"}

func TestMechanisms(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := tlsPair(t, version)
		cfg := directory(t)
		require.Equal(t, all, cfg.Mechanisms(server))
		for _, name := range all {
			for _, initial := range []bool{true, false} {
				t.Run(name, func(t *testing.T) {
					good := sasl.Credentials{Username: "jo\u0308rg", Password: password, Token: "token", External: true}
					attempt := func(c sasl.Credentials) (sasl.Server, error) {
						s, err := cfg.Start(t.Context(), name, server)
						require.NoError(t, err)
						cl, err := sasl.NewClient(name, c, client)
						require.NoError(t, err)
						require.Equal(t, name, cl.Mechanism())
						return s, run(s, cl, initial && name != "CRAM-MD5")
					}
					s, err := attempt(good)
					require.NoError(t, err)
					require.Equal(t, "J", s.Identity())
					if name == "EXTERNAL" {
						return
					}
					bad := good
					bad.Password, bad.Token = "x"+password, "x"
					s, err = attempt(bad)
					require.Equal(t, sasl.ErrFailed, err)
					require.Empty(t, s.Identity())
					bad = good
					bad.Username = "nobody"
					s, err = attempt(bad)
					require.Equal(t, sasl.ErrFailed, err)
					require.Empty(t, s.Identity())
					bad.Username = "temp"
					s, err = attempt(bad)
					require.True(t, sasl.IsTemporary(err), "%v", err)
					require.NotErrorIs(t, err, sasl.ErrFailed)
					require.Empty(t, s.Identity())
				})
			}
		}
	}
}

func TestOffered(t *testing.T) {
	t.Parallel()
	cfg := directory(t)
	plain := sasl.Channel{Remote: remote}
	require.Equal(t, []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}, cfg.Mechanisms(plain))
	_, err := cfg.Start(t.Context(), "PLAIN", plain)
	require.ErrorIs(t, err, sasl.ErrFailed)
	cfg.AllowPlaintext = true
	require.Equal(t, []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "OAUTHBEARER", "XOAUTH2", "CRAM-MD5", "PLAIN", "LOGIN"}, cfg.Mechanisms(plain))
	require.Empty(t, new(sasl.Config).Mechanisms(plain))
	only := &sasl.Config{SCRAM: cfg.SCRAM}
	require.Equal(t, []string{"SCRAM-SHA-256"}, only.Mechanisms(plain))
}

func TestPick(t *testing.T) {
	t.Parallel()
	server, client := tlsPair(t, tls.VersionTLS13)
	_ = server
	pw := sasl.Credentials{Username: "u", Password: "p"}
	away := sasl.Channel{Remote: remote}
	loopback := sasl.Channel{Remote: netip.MustParseAddr("127.0.0.1")}
	cases := []struct {
		name    string
		c       sasl.Credentials
		ch      sasl.Channel
		offered string
		want    string
	}{
		{"strongest", pw, client, "PLAIN SCRAM-SHA-1 SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"},
		{"no TLS, no PLUS", pw, away, "PLAIN SCRAM-SHA-1 SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256"},
		{"no TLS, no plaintext", pw, away, "PLAIN LOGIN", ""},
		{"loopback", pw, loopback, "login plain", "PLAIN"},
		{"TLS", pw, client, "LOGIN", "LOGIN"},
		{"challenge before plaintext", pw, client, "PLAIN CRAM-MD5", "CRAM-MD5"},
		{"token", sasl.Credentials{Username: "u", Token: "t"}, client, "PLAIN XOAUTH2 OAUTHBEARER", "OAUTHBEARER"},
		{"token never in the clear", sasl.Credentials{Username: "u", Token: "t"}, away, "XOAUTH2", ""},
		{"certificate", sasl.Credentials{External: true}, client, "PLAIN EXTERNAL", "EXTERNAL"},
		{"nothing to show", sasl.Credentials{}, client, "PLAIN", ""},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			c, err := sasl.Pick(strings.Fields(tt.offered), tt.c, tt.ch)
			if tt.want == "" {
				require.ErrorIs(t, err, sasl.ErrNoMechanism)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, c.Mechanism())
		})
	}
	_, err := sasl.NewClient("PLAIN", pw, away)
	require.Error(t, err)
}

func TestCRAMExample(t *testing.T) { // RFC 2195 s2
	t.Parallel()
	c, err := sasl.NewClient("CRAM-MD5", sasl.Credentials{Username: "tim", Password: "tanstaaftanstaaf"}, sasl.Channel{})
	require.NoError(t, err)
	r, err := c.Next([]byte("<1896.697170952@postoffice.reston.mci.net>"))
	require.NoError(t, err)
	require.Equal(t, "tim b913a602c7eda7a495b4e6e7334d3890", string(r))
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	cases := []struct {
		in, want string
		ok       bool
	}{
		{"I\u00adX", "IX", true}, // RFC 4013 s3
		{"user", "user", true},
		{"USER", "USER", true},
		{"\u00aa", "a", true},
		{"\u2168", "IX", true},
		{"\u0007", "", false},
		{"a\u00a0b", "a b", true},
		{"jo\u0308rg", "jörg", true},
		{"🔑", "🔑", true},
		{"a\xffb", "", false},
		{"a\u202eb", "", false},
		{"a\x00b", "", false},
		{"", "", true},
	}
	for _, tt := range cases {
		got, err := sasl.Prepare(tt.in)
		require.Equal(t, tt.ok, err == nil, "%q", tt.in)
		require.Equal(t, tt.want, got, "%q", tt.in)
	}
}

func TestBase64(t *testing.T) {
	t.Parallel()
	_, err := sasl.DecodeResponse([]byte("*"))
	require.ErrorIs(t, err, sasl.ErrCanceled)
	for _, bad := range []string{"a", "YQ", "YQ=", "YR==", "Y Q=", "Y\nQ==", strings.Repeat("A", sasl.MaxResponse+4)} {
		_, err = sasl.DecodeResponse([]byte(bad))
		require.ErrorIs(t, err, sasl.ErrSyntax, "%q", bad[:min(len(bad), 20)])
	}
	p, err := sasl.DecodeInitial([]byte("="))
	require.NoError(t, err)
	require.NotNil(t, p)
	require.Empty(t, p)
	p, err = sasl.DecodeResponse(nil)
	require.NoError(t, err)
	require.NotNil(t, p)
	require.Equal(t, "=", sasl.EncodeInitial([]byte{}))
}

// No sequence of octets authenticates anybody, or does worse.
func FuzzServer(f *testing.F) {
	f.Add(uint8(8), []byte("\x00jörg\x00x"), []byte(""), []byte(""))
	f.Add(uint8(3), []byte("n,,n=jörg,r=abc"), []byte("c=biws,r=abc,p=AAAA"), []byte(""))
	f.Add(uint8(5), []byte("n,a=jörg,\x01auth=Bearer x\x01\x01"), []byte("\x01"), []byte(""))
	f.Add(uint8(6), []byte("user=jörg\x01auth=Bearer x\x01\x01"), []byte(""), []byte(""))
	f.Add(uint8(7), []byte(nil), []byte("jörg 0"), []byte(""))
	f.Fuzz(func(t *testing.T, m uint8, a, b, c []byte) {
		cfg := directory(t)
		cfg.AllowPlaintext = true
		s, err := cfg.Start(t.Context(), all[int(m)%len(all)], sasl.Channel{Remote: remote})
		if err != nil {
			return
		}
		for _, r := range [][]byte{a, b, c} {
			if strings.Contains(string(r), password) || strings.Contains(string(r), "token") {
				return
			}
			_, done, err := s.Next(r)
			require.False(t, done)
			if err != nil {
				return
			}
		}
	})
}
