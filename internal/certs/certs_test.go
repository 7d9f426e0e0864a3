package certs_test

import (
	"crypto/tls"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/internal/certs"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/stretchr/testify/require"
)

func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := memnet.Pipe()
	srv, cli := tls.Server(a, server), tls.Client(b, client)
	done := make(chan error, 1)
	go func() {
		done <- srv.Handshake()
		srv.Close()
	}()
	err := cli.Handshake()
	cli.Close()
	<-done
	return cli.ConnectionState(), err
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	ca := certs.NewCA()
	cases := []struct {
		issued, asked string
		ok            bool
	}{
		{"mx.example.org", "mx.example.org", true},
		{"*.example.org", "mx.example.org", true},
		{"192.0.2.1", "192.0.2.1", true},
		{"2001:db8::1", "2001:db8::1", true},
		{"mx.example.org", "mx.example.net", false},
	}
	for _, tt := range cases {
		t.Run(tt.issued+"/"+tt.asked, func(t *testing.T) {
			t.Parallel()
			client := ca.Client()
			client.ServerName = tt.asked
			_, err := handshake(t, ca.Server(tt.issued), client)
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
}

func TestInsideSynctest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := certs.NewCA()
		client := ca.Client()
		client.ServerName = "mx.example.org"
		client.Certificates = []tls.Certificate{ca.Issue("alice@example.org")}
		state, err := handshake(t, ca.Server("mx.example.org"), client)
		require.NoError(t, err)
		require.Equal(t, "mx.example.org", state.PeerCertificates[0].Subject.CommonName)
	})
}

func TestNotTrusted(t *testing.T) {
	t.Parallel()
	client := certs.NewCA().Client()
	client.ServerName = "mx.example.org"
	_, err := handshake(t, certs.NewCA().Server("mx.example.org"), client)
	require.Error(t, err)

	ca := certs.NewCA()
	client = ca.Client()
	client.ServerName = "mx.example.org"
	_, err = handshake(t, &tls.Config{Certificates: []tls.Certificate{ca.IssueExpired("mx.example.org")}}, client)
	require.Error(t, err, "expired")
}
