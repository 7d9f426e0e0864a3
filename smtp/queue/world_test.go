package queue

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// world is a network with mail hosts, and a queue that delivers to them.
type world struct {
	t     *testing.T
	net   memnet.Network
	queue *Queue
	store *Log

	mu     sync.Mutex
	routes map[string][]Host
	got    []delivered
	began  time.Time
}

type delivered struct {
	host string
	to   []string
	text string
	at   time.Duration
}

func newWorld(t *testing.T, store *Log) *world {
	w := &world{t: t, store: store, routes: map[string][]Host{}, began: time.Now()}
	w.queue = &Queue{Store: store, Router: w, Hostname: "mx.sender.test", Dialer: smtp.Dialer{NetDial: w.net.DialContext}}
	return w
}

func (w *world) Route(_ context.Context, domain string, _ int) ([]Host, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hosts, ok := w.routes[domain]
	if !ok {
		return nil, &smtp.Error{Code: 550, Enhanced: smtp.EnhancedCode{5, 1, 2}, Text: "no such domain"}
	}
	return hosts, nil
}

// host starts a server. answer decides about each recipient; nil takes all.
func (w *world) host(name, addr string, answer func(to string, attempt int) error) {
	l, err := w.net.Listen("tcp", addr)
	require.NoError(w.t, err)
	s := &smtp.Server{Hostname: name, Handler: &host{w: w, name: name, answer: answer, seen: map[string]int{}}}
	go s.Serve(l)
	w.t.Cleanup(func() { s.Close() })
}

type host struct {
	w      *world
	name   string
	answer func(to string, attempt int) error
	mu     sync.Mutex
	seen   map[string]int
}

func (h *host) Connect(context.Context, *smtp.Peer) (smtp.Session, error) { return h, nil }
func (h *host) Begin(_ context.Context, _ *smtp.Peer, _ smtp.ReversePath, _ smtp.MailParams) (smtp.Transaction, error) {
	return &hostTransaction{h: h}, nil
}

type hostTransaction struct {
	h  *host
	to []string
}

func (t *hostTransaction) Rcpt(_ context.Context, to smtp.ForwardPath, _ smtp.RcptParams) error {
	t.h.mu.Lock()
	t.h.seen[to.Local]++
	n := t.h.seen[to.Local]
	t.h.mu.Unlock()
	if t.h.answer != nil {
		if err := t.h.answer(to.Local, n); err != nil {
			return err
		}
	}
	t.to = append(t.to, to.Local)
	return nil
}

func (t *hostTransaction) Data(_ context.Context, r io.Reader) (smtp.Receipt, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return smtp.Receipt{}, err
	}
	t.h.w.mu.Lock()
	defer t.h.w.mu.Unlock()
	t.h.w.got = append(t.h.w.got, delivered{t.h.name, t.to, string(b), time.Since(t.h.w.began)})
	return smtp.Receipt{}, nil
}

func (t *hostTransaction) Abort() {}

// run delivers until nothing waits any more.
func (w *world) run() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- w.queue.Run(ctx) }()
	for {
		list := all(w.t, w.store)
		if len(list) == 0 {
			break
		}
		time.Sleep(5 * time.Minute)
	}
	cancel()
	require.NoError(w.t, <-done)
}

func (w *world) send(from string, to ...string) ID {
	w.t.Helper()
	e, err := smtp.NewEnvelope(from, to...)
	require.NoError(w.t, err)
	id, err := w.queue.Enqueue(w.t.Context(), e, []byte("Received: by mx.sender.test\r\n"), smtp.StringContent("Subject: hi\r\n\r\nhello\r\n"))
	require.NoError(w.t, err)
	return id
}

// mail gives the messages that a host got, DSNs told apart by their status lines.
func (w *world) mail(host string) []delivered {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []delivered
	for _, d := range w.got {
		if d.host == host {
			list = append(list, d)
		}
	}
	return list
}
