package smtp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

type dialog struct {
	name   string
	script string
	dialer func(d *smtp.Dialer)
	envel  func(e *smtp.Envelope)
	to     []string
	body   smtp.Content
	want   string
	check  func(t *testing.T, r *smtp.Result, err error)
	twice  bool // a second message over the same connection
}

func allParams(e *smtp.Envelope) {
	priority, auth := 3, ""
	e.Params = smtp.MailParams{Return: smtp.ReturnHeaders, EnvelopeID: "q+1", Priority: &priority, Auth: &auth}
	e.To[0].Params = smtp.RcptParams{Notify: smtp.NotifySuccess | smtp.NotifyDelay,
		OriginalRecipient: smtp.OriginalRecipient{Type: "rfc822", Address: "bob=@b.test"}}
}

// run plays one dialog; at and every say where the client's reads are cut.
func (d dialog) run(t *testing.T, at int, every bool) {
	dialer := client()
	if d.dialer != nil {
		d.dialer(dialer)
	}
	body := d.body
	if body == nil {
		body = letter
	}
	e := envelope(t, "alice@a.test", d.to...)
	if d.envel != nil {
		d.envel(e)
	}
	conn, err := dialer.NewConn(background, &splitConn{peer(t, script(d.script)), at, every}, "mx.test")
	require.NoError(t, err)
	defer conn.Close()
	r, err := conn.Send(background, e, body)
	require.Equal(t, d.want, outcome(r, err))
	if d.check != nil {
		d.check(t, r, err)
	}
	if d.twice {
		synctest.Wait()
		r, err = conn.Send(background, e, body)
		require.NoError(t, err)
		require.NoError(t, r.Err())
	}
}

func TestClientDialogs(t *testing.T) {
	t.Parallel()
	for _, d := range dialogs {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { d.run(t, 0, false) })
		})
	}
}

// The dialogs go the same way wherever the server's octets are cut.
func TestClientDialogsSplit(t *testing.T) {
	t.Parallel()
	for _, d := range dialogs {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { d.run(t, 0, true) })
			for at := 1; at < serverOctets(d.script); at++ {
				ok := t.Run(fmt.Sprint(at), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { d.run(t, at, false) })
				})
				if !ok {
					return
				}
			}
		})
	}
}

func serverOctets(s string) int {
	n := 0
	for line := range strings.Lines(s) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "S: "); ok {
			n += len(text) + 2
		}
	}
	return n
}
