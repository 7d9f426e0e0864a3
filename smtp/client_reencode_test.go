package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/smtptest"
	"github.com/stretchr/testify/require"
)

// A server that takes only 7-bit messages gets another form of the message, made by package mime.
func ExampleDialer_reencode() {
	srv := smtptest.NewUnstartedServer(nil)
	srv.Config.Withhold = smtp.Ext8BitMIME
	srv.Start()
	defer srv.Close()
	dialer := srv.Dialer()
	dialer.Reencode = func(c smtp.Content, caps smtp.Capabilities) (smtp.Content, error) {
		encoded, err := mime.ReEncode(c, mime.Capabilities{EightBit: caps.Has("8BITMIME"), UTF8: caps.Has("SMTPUTF8")})
		if _, ok := errors.AsType[*mime.PartError](err); ok { // the message cannot have another form, now or later
			err = &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 6, 3}, Command: "MAIL", Err: err} // RFC 3463 X.6.3
		}
		return encoded, err
	}
	e, _ := smtp.NewEnvelope("alice@example.org", "bob@example.net")
	_, err := smtp.SendMail(context.Background(), dialer, srv.Addr, e, smtp.StringContent(
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"))
	fmt.Println(err)
	_, body, _ := strings.Cut(string(srv.Messages()[0].Data), "\r\n\r\n")
	fmt.Println(strings.TrimSpace(body))
	// Output:
	// <nil>
	// Gr=C3=BC=C3=9Fe
}

// A hook says with an error of its own that no attempt will succeed.
func TestReencodeRefuses(t *testing.T) {
	t.Parallel()
	srv := smtptest.NewUnstartedServer(t)
	srv.Config.Withhold = smtp.Ext8BitMIME
	srv.Start()
	for _, c := range []struct {
		err       error
		temporary bool
	}{{io.ErrUnexpectedEOF, true}, {fmt.Errorf("hook: %w", &smtp.Error{Code: 554, Enhanced: smtp.EnhancedCode{5, 6, 3}, Text: "signed"}), false}} {
		d := srv.Dialer()
		d.Reencode = func(smtp.Content, smtp.Capabilities) (smtp.Content, error) { return nil, c.err }
		_, err := smtp.SendMail(t.Context(), d, srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent("\r\nGrüße\r\n"))
		e, ok := errors.AsType[*smtp.Error](err)
		require.True(t, ok)
		require.Equal(t, c.temporary, e.Temporary())
	}
}

// closing counts how often what a hook gave is opened, and closed.
type closing struct {
	smtp.StringContent
	opened, closed int
	broken         error
}

func (c *closing) Close() error { c.closed++; return nil }

func (c *closing) Open() (io.ReadCloser, error) {
	c.opened++
	if c.broken != nil {
		return nil, c.broken
	}
	return c.StringContent.Open()
}

func TestReencodedIsClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message closing
		want    string
	}{
		"sent":       {closing{StringContent: letter}, ""},
		"unreadable": {closing{broken: io.ErrUnexpectedEOF}, "reading the message: unexpected EOF"},
		"still 8-bit": {closing{StringContent: "Subject: hi\r\n\r\nGrüße\r\n"},
			"MAIL: the server does not take 8-bit messages"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := smtptest.NewUnstartedServer(t)
			srv.Config.Withhold = smtp.Ext8BitMIME
			srv.Start()
			d := srv.Dialer()
			d.Reencode = func(smtp.Content, smtp.Capabilities) (smtp.Content, error) { return &c.message, nil }
			_, err := smtp.SendMail(t.Context(), d, srv.Addr, envelope(t, "alice@a.test", "bob@b.test"), smtp.StringContent("Subject: hi\r\n\r\nGrüße\r\n"))
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.want)
			}
			require.Equal(t, 1, c.message.opened)
			require.Equal(t, 1, c.message.closed)
		})
	}
}
