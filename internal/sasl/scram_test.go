package sasl_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/internal/sasl"
	"github.com/stretchr/testify/require"
)

// Somebody in the middle hides the -PLUS mechanisms.
func TestDowngradeIsDetected(t *testing.T) {
	t.Parallel()
	server, client := tlsPair(t, tls.VersionTLS13)
	cfg := directory(t)
	c, err := sasl.Pick([]string{"SCRAM-SHA-256"}, sasl.Credentials{Username: "jörg", Password: password}, client)
	require.NoError(t, err)
	s, err := cfg.Start(t.Context(), "SCRAM-SHA-256", server)
	require.NoError(t, err)
	require.ErrorIs(t, run(s, c, true), sasl.ErrFailed)

	// A relay: the client's TLS is not the server's.
	_, other := tlsPair(t, tls.VersionTLS13)
	c, err = sasl.NewClient("SCRAM-SHA-256-PLUS", sasl.Credentials{Username: "jörg", Password: password}, other)
	require.NoError(t, err)
	s, err = cfg.Start(t.Context(), "SCRAM-SHA-256-PLUS", server)
	require.NoError(t, err)
	require.ErrorIs(t, run(s, c, true), sasl.ErrFailed)
}

// The server's first SCRAM message must not tell whether a user exists.
func TestSCRAMUnknownUser(t *testing.T) {
	t.Parallel()
	cfg := directory(t)
	first := func(user string) string {
		s, err := cfg.Start(t.Context(), "SCRAM-SHA-256", sasl.Channel{Remote: remote})
		require.NoError(t, err)
		ch, done, err := s.Next([]byte("n,,n=" + user + ",r=abc"))
		require.NoError(t, err)
		require.False(t, done)
		_, rest, _ := strings.Cut(string(ch), ",")
		return rest
	}
	require.Equal(t, first("nobody"), first("nobody"), "stable")
	require.NotEqual(t, first("nobody"), first("somebody"))
	require.Equal(t, len(first("jörg")), len(first("nobody")))
}

type impostor struct{ step int }

func (i *impostor) Identity() string { return "" }
func (i *impostor) User() string     { return "" }
func (i *impostor) Next(r []byte) ([]byte, bool, error) {
	i.step++
	if i.step == 1 {
		_, nonce, _ := strings.Cut(string(r), "r=")
		return []byte("r=" + nonce + "x,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"), false, nil
	}
	return nil, true, nil // success without a proof
}

func TestClientTrustsNoImpostor(t *testing.T) {
	t.Parallel()
	c, err := sasl.NewClient("SCRAM-SHA-256", sasl.Credentials{Username: "u", Password: "p"}, sasl.Channel{})
	require.NoError(t, err)
	require.ErrorContains(t, run(&impostor{}, c, true), "did not prove")

	c, err = sasl.NewClient("SCRAM-SHA-256", sasl.Credentials{Username: "u", Password: "p"}, sasl.Channel{})
	require.NoError(t, err)
	first, err := c.Start()
	require.NoError(t, err)
	_, nonce, _ := strings.Cut(string(first), "r=")
	_, err = c.Next([]byte("r=" + nonce + "x,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=2000000000"))
	require.ErrorContains(t, err, "iterations")
}

func TestDeriveSCRAM(t *testing.T) {
	t.Parallel()
	// The user of RFC 7677 s3.
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	stored, server, err := sasl.DeriveSCRAM("SHA-256", "pencil", salt, 4096)
	require.NoError(t, err)
	require.Equal(t, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", base64.StdEncoding.EncodeToString(stored))
	require.Equal(t, "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", base64.StdEncoding.EncodeToString(server))
	_, _, err = sasl.DeriveSCRAM("MD5", "pencil", salt, 4096)
	require.Error(t, err)
	_, _, err = sasl.DeriveSCRAM("SHA-1", "pencil", salt, 0)
	require.Error(t, err)
}

// TestNoBinding leaves the -PLUS forms out, and takes clients that notice (the "y" of RFC 5802 s6).
func TestNoBinding(t *testing.T) {
	t.Parallel()
	state := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
	c := &sasl.Config{SCRAM: func(context.Context, netip.Addr, string, string, string) (string, []byte, int, []byte, []byte, error) {
		return "", nil, 0, nil, nil, sasl.ErrFailed
	}, NoBinding: true}
	require.Equal(t, []string{"SCRAM-SHA-256"}, c.Mechanisms(sasl.Channel{TLS: state}))
	x, err := c.Start(t.Context(), "SCRAM-SHA-256", sasl.Channel{TLS: state})
	require.NoError(t, err)
	challenge, _, err := x.Next([]byte("y,,n=bob,r=abcdef"))
	require.NoError(t, err)
	require.Contains(t, string(challenge), "r=abcdef")
}
