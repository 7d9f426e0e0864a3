package mta

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
	"github.com/stretchr/testify/require"
)

// house is an MTA for here.test with alice, bob and carol, whose mailbox is small, on a network of its own.
type house struct {
	t     *testing.T
	net   memnet.Network
	store *memstore.Store
	mta   *MTA
	queue *queue.Log
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir, err := mailstore.NewDirectory(mailstore.DirectoryConfig{
		Users: []mailstore.User{{Name: "alice@here.test", Password: "a"}, {Name: "bob@here.test", Password: "b"},
			{Name: "carol@here.test", Password: "c", Limits: mailstore.Limits{Octets: 2000}}},
		Aliases: []mailstore.Alias{{Address: "all@here.test", To: []string{"alice@here.test", "bob@here.test"}}},
	})
	require.NoError(t, err)
	h := &house{t: t, store: &memstore.Store{}, queue: queue.NewMemory()}
	require.NoError(t, dir.CreateAccounts(t.Context(), h.store))
	q := &queue.Queue{Store: h.queue, Router: &queue.RelayRouter{Addr: "192.0.2.99:25"}, Hostname: "mx.here.test", Dialer: smtp.Dialer{NetDial: h.net.DialContext}}
	h.mta = &MTA{Hostname: "mx.here.test", Store: h.store, Directory: dir, Queue: q}
	q.Return = h.mta.Return
	h.serve("192.0.2.1:25", &smtp.Server{Handler: h.mta, Hostname: "mx.here.test"})
	h.serve("192.0.2.1:587", &smtp.Server{Handler: h.mta, Hostname: "mx.here.test", Mode: smtp.Submission, Auth: dir, InsecureAuth: true, Offer: smtp.ExtFutureRelease | smtp.ExtDeliverBy})
	h.serve("192.0.2.1:24", &smtp.Server{Handler: h.mta.LMTP(), Hostname: "mx.here.test", Mode: smtp.LMTP})
	t.Cleanup(func() { h.queue.Close() })
	return h
}

func (h *house) serve(addr string, s *smtp.Server) {
	l, err := h.net.Listen("tcp", addr)
	require.NoError(h.t, err)
	go s.Serve(l)
	h.t.Cleanup(func() { s.Close() })
}

// send gives the conversation's result; user is who authenticates, with the first letter as password.
func (h *house) send(port, user, from, text string, to ...string) *smtp.Result {
	h.t.Helper()
	d := h.submitter(user)
	d.LMTP = port == "24"
	e, err := smtp.NewEnvelope(from, to...)
	require.NoError(h.t, err)
	r, err := smtp.SendMail(h.t.Context(), d, "192.0.2.1:"+port, e, smtp.StringContent(strings.ReplaceAll(text, "\n", "\r\n")))
	if err != nil {
		require.Error(h.t, r.Err())
	}
	return r
}

// submitter is the client of a user, or of nobody in particular.
func (h *house) submitter(user string) *smtp.Dialer {
	d := &smtp.Dialer{Hostname: "client.test", NetDial: h.net.Host("198.51.100.7").DialContext}
	if user != "" {
		d.Auth = &smtp.Credentials{Username: user, Password: user[:1], AllowPlaintext: true}
		d.TLS = smtp.TLSNever
	}
	return d
}

// replies gives the code of each recipient's outcome, 250 for those that were taken.
func replies(r *smtp.Result) []string {
	var list []string
	for _, rcpt := range r.Recipients {
		text := "250"
		if e, ok := errors.AsType[*smtp.Error](rcpt.Err); ok {
			text = fmt.Sprintf("%d %s", e.Code, e.Enhanced)
		}
		list = append(list, text)
	}
	return list
}

// box gives the messages of a mailbox.
func (h *house) box(account, name string) []string {
	h.t.Helper()
	a, err := h.store.Account(h.t.Context(), account)
	require.NoError(h.t, err)
	defer a.Close()
	m, err := a.Open(h.t.Context(), name)
	require.NoError(h.t, err)
	v, err := m.View(h.t.Context())
	require.NoError(h.t, err)
	var uids imap.UIDSet
	for _, msg := range v.All() {
		uids.Add(msg.UID)
	}
	var list []string
	for item, err := range m.Fetch(h.t.Context(), uids, imap.Want{Body: true}) {
		require.NoError(h.t, err)
		b, err := io.ReadAll(io.NewSectionReader(item.Body, 0, item.Body.Size()))
		require.NoError(h.t, err)
		list = append(list, string(b))
	}
	return list
}

// raw plays lines and gives all that the server says.
func (h *house) raw(port string, lines ...string) string {
	h.t.Helper()
	c, err := h.net.DialContext(h.t.Context(), "tcp", "192.0.2.1:"+port)
	require.NoError(h.t, err)
	defer c.Close()
	_, err = io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n")
	require.NoError(h.t, err)
	b, err := io.ReadAll(c)
	require.NoError(h.t, err)
	return string(b)
}
