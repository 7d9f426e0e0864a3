package smtp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestClientAuth(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("t", 600)
	token := func(token string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return token, nil }
	}
	for _, c := range []struct {
		name, script string
		auth         smtp.Credentials
		host         string
		want         string // what the error says
		sentinel     error
	}{
		{name: "PLAIN", script: hello("AUTH LOGIN PLAIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 235 2.7.0 ok"},
		{name: "LOGIN", script: hello("AUTH LOGIN") + "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + b64("u") + "\nS: 334 UGFzc3dvcmQ6\nC: " + b64("secret") + "\nS: 235 ok"},
		{name: "LOGIN asked in clear", script: hello("AUTH LOGIN") + "C: AUTH LOGIN\nS: 334 Username:\nC: " + b64("u") + "\nS: 334 Password:\nC: " + b64("secret") + "\nS: 235 ok"},
		{name: "AUTH=", script: hello("AUTH=LOGIN PLAIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 235 ok"},
		{name: "as somebody else", auth: smtp.Credentials{Identity: "boss"}, script: hello("AUTH PLAIN") + "C: AUTH PLAIN " + b64("boss\x00u\x00secret") + "\nS: 235 ok"},
		{name: "refused", script: hello("AUTH PLAIN LOGIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 535 5.7.8 no",
			want: "AUTH PLAIN: 535 5.7.8 no"},
		{name: "refused for now", script: hello("AUTH PLAIN LOGIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 454 4.7.0 later",
			want: "AUTH PLAIN: 454 4.7.0 later"},
		{name: "the next mechanism", script: hello("AUTH CRAM-MD5 PLAIN") + "C: AUTH CRAM-MD5\nS: 504 5.5.4 no\nC: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 235 ok"},
		{name: "CRAM-MD5", auth: smtp.Credentials{Username: "tim", Password: "tanstaaftanstaaf"}, // RFC 2195 s2
			script: hello("AUTH CRAM-MD5") + "C: AUTH CRAM-MD5\nS: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n" +
				"C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\nS: 235 ok"},
		{name: "token", auth: smtp.Credentials{Token: token("t0k3n")}, script: hello("AUTH OAUTHBEARER") +
			"C: AUTH OAUTHBEARER " + b64("n,a=u,\x01auth=Bearer t0k3n\x01\x01") + "\nS: 235 ok"},
		{name: "long token", auth: smtp.Credentials{Token: token(long)}, script: hello("AUTH XOAUTH2") + // RFC 4954 s4
			"C: AUTH XOAUTH2\nS: 334 \nC: " + b64("user=u\x01auth=Bearer "+long+"\x01\x01") + "\nS: 235 ok"},
		{name: "token refused", auth: smtp.Credentials{Token: token("t0k3n")}, script: hello("AUTH OAUTHBEARER") +
			"C: AUTH OAUTHBEARER " + b64("n,a=u,\x01auth=Bearer t0k3n\x01\x01") + "\nS: 334 " + b64(`{"status":"401"}`) + "\nC: AQ==\nS: 535 5.7.8 no", want: "535 5.7.8 no"},
		{name: "no token", auth: smtp.Credentials{Token: func(context.Context) (string, error) { return "", errDisk }}, script: hello("AUTH OAUTHBEARER"),
			sentinel: errDisk},
		{name: "nothing in common", script: hello("AUTH GSSAPI NTLM"), sentinel: smtp.ErrNoMechanism},
		{name: "not offered", script: hello("SIZE"), sentinel: smtp.ErrNoMechanism},
		{name: "not in clear", host: "mx.test", script: hello("AUTH PLAIN LOGIN"), sentinel: smtp.ErrNoMechanism},
		{name: "in clear, if it must be", host: "mx.test", auth: smtp.Credentials{AllowPlaintext: true},
			script: hello("AUTH PLAIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 235 ok"},
		{name: "only those allowed", auth: smtp.Credentials{Mechanisms: []string{"xoauth2"}}, script: hello("AUTH PLAIN"), sentinel: smtp.ErrNoMechanism},
		{name: "challenge that is no base64", script: hello("AUTH CRAM-MD5") + "C: AUTH CRAM-MD5\nS: 334 ***\nC: *\nS: 501 5.7.0 cancelled", want: "AUTH CRAM-MD5: sasl: response is not base64 [4.7.0]"},
		{name: "success before the exchange", script: hello("AUTH SCRAM-SHA-256") + "C: AUTH SCRAM-SHA-256 ~\nS: 235 trust me", want: "AUTH SCRAM-SHA-256: sasl: the server did not prove that it knows the password [4.7.0]"},
		{name: "success before the exchange, CRAM-MD5", script: hello("AUTH CRAM-MD5") + "C: AUTH CRAM-MD5\nS: 235 trust me", want: "AUTH CRAM-MD5: sasl: success before the exchange [4.7.0]"},
		{name: "421", script: hello("AUTH PLAIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 421 4.3.2 bye\nX:", want: "AUTH PLAIN: 421 4.3.2 bye"},
		{name: "challenges without end", script: hello("AUTH PLAIN") + "C: AUTH PLAIN " + b64("\x00u\x00secret") + "\nS: 334 \nC: *\nS: 501 no", want: "unexpected challenge"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var trace strings.Builder
			d := client()
			d.TLS = smtp.TLSNever
			d.Auth = &c.auth
			if d.Auth.Username == "" {
				d.Auth.Username, d.Auth.Password = "u", "secret"
			}
			d.Trace = &smtp.ClientTrace{Sent: func(line string) { trace.WriteString(line + "\n") }}
			host := c.host
			if host == "" {
				host = "localhost"
			}
			conn, err := d.NewConn(background, peer(t, script(c.script)), host)
			if c.want == "" && c.sentinel == nil {
				require.NoError(t, err)
				conn.Close()
			} else {
				if c.sentinel != nil {
					require.ErrorIs(t, err, c.sentinel)
				}
				require.Contains(t, shown(err), c.want)
				_, ok := errors.AsType[*smtp.Error](err)
				require.True(t, ok)
			}
			for _, secret := range []string{"secret", b64("secret"), b64("\x00u\x00secret"), "t0k3n", b64("Bearer")[:4], long} {
				require.NotContains(t, trace.String(), secret)
				require.NotContains(t, fmt.Sprint(err), secret)
			}
		})
	}
}

func TestCredentialsKeepTheirSecret(t *testing.T) {
	t.Parallel()
	c := smtp.Credentials{Username: "u", Password: "secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, c), "secret")
		require.NotContains(t, fmt.Sprintf(format, &c), "secret")
	}
}
