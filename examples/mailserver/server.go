package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/imapdrop"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/mta"
	"github.com/gomailroom/mailroom/smtp/queue"
)

// server is everything that runs.
type server struct {
	config    *config
	log       *slog.Logger
	listeners []listener
	data      *data
	queue     *queue.Queue // nil: nothing goes elsewhere
	servers   map[string]protocol
	tls       *tls.Config
	resolver  *mxresolve.Resolver // nil: DNS is not asked
}

// listener is an open listener and the flag that asked for it.
type listener struct {
	net.Listener
	name string
}

// protocol is what the servers of smtp, imap and pop3 have in common.
type protocol interface {
	Serve(net.Listener) error
	ServeTLS(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// overTLS names the listeners that begin with TLS.
var overTLS = map[string]bool{"submissions": true, "imaps": true, "pop3s": true}

// start opens everything, or gives back what it took. What does not touch the disk comes first.
func start(ctx context.Context, c *config, stderr io.Writer) (_ *server, err error) {
	s := &server{config: c, log: newLogger(c.log, stderr)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	var given *tls.Certificate
	if c.cert != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("-cert and -key: %w", err)
		}
		given = &pair
	}
	directory, err := newDirectory(c)
	if err != nil {
		return nil, err
	}
	for _, l := range c.listen {
		if l.addr == "" {
			continue
		}
		open, err := net.Listen("tcp", l.addr)
		if err != nil {
			return nil, fmt.Errorf("-%s: %w", l.name, err)
		}
		s.listeners = append(s.listeners, listener{open, l.name})
	}
	if s.data, err = openData(ctx, c, s.log); err != nil {
		return nil, err
	}
	if err := directory.CreateAccounts(ctx, s.data.store); err != nil {
		return nil, fmt.Errorf("-dir %s: %w", c.dir, err)
	}
	certificate, err := certificate(c, given, s.log)
	if err != nil {
		return nil, err
	}
	if s.resolver, err = newResolver(c, s.log); err != nil {
		return nil, err
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	s.build(directory)
	return s, nil
}

// build wires the parts together. Channel binding is left out: mutt, as Debian has it, chooses it where it is offered, and then cannot do it.
func (s *server) build(directory *mailstore.Directory) {
	c := s.config
	agent := &mta.MTA{Hostname: c.domain, Store: s.data.store, Directory: directory, Scorer: newScorer(c, s.resolver, s.data.filter, s.log), Logger: s.log}
	var offer smtp.Extensions // what the queue can do
	if router := newRouter(c, s.resolver); router != nil {
		s.queue = &queue.Queue{Store: s.data.queue, Router: agent.Router(router), Hostname: c.domain, Return: agent.Return, Logger: s.log, Drain: 4 * time.Second}
		agent.Queue = s.queue
		offer = smtp.ExtFutureRelease | smtp.ExtDeliverBy
	}
	transfer := &smtp.Server{Handler: agent, Hostname: c.domain, TLSConfig: s.tls, Logger: s.log}
	submission := &smtp.Server{Handler: agent, Hostname: c.domain, Mode: smtp.Submission, Offer: offer, TLSConfig: s.tls, Auth: directory, SCRAM: directory, NoBinding: true, InsecureAuth: c.plaintextAuth, Logger: s.log}
	lmtp := &smtp.Server{Handler: agent.LMTP(), Hostname: c.domain, Mode: smtp.LMTP, TLSConfig: s.tls, Logger: s.log}
	mailboxes := &imap.Server{Backend: s.data.store, TLSConfig: s.tls, Auth: directory, SCRAM: directory, NoBinding: true, InsecureAuth: c.plaintextAuth, Logger: s.log}
	maildrops := &pop3.Server{Backend: imapdrop.New(s.data.store), Hostname: c.domain, TLSConfig: s.tls, Auth: directory, SCRAM: directory, NoBinding: true, InsecureAuth: c.plaintextAuth, Logger: s.log}
	s.servers = map[string]protocol{"smtp": transfer, "submission": submission, "submissions": submission, "lmtp": lmtp,
		"imap": mailboxes, "imaps": mailboxes, "pop3": maildrops, "pop3s": maildrops}
}

// serve runs until the context ends, then drains: within eight seconds, and what is left is cut.
func (s *server) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running, delivering sync.WaitGroup
	for _, l := range s.listeners {
		serve := s.servers[l.name].Serve
		if overTLS[l.name] {
			serve = s.servers[l.name].ServeTLS
		}
		running.Go(func() {
			if err := serve(l.Listener); !isClosed(err) {
				cancel(fmt.Errorf("%s: %w", l.name, err))
			}
		})
	}
	if s.queue != nil {
		delivering.Go(func() {
			if err := s.queue.Run(ctx); err != nil {
				cancel(fmt.Errorf("queue: %w", err))
			}
		})
	}
	if s.resolver != nil {
		delivering.Go(func() { refreshPolicies(ctx, s.resolver, s.log) })
	}
	delivering.Go(func() {
		if err := s.data.filter.run(ctx, s); err != nil {
			cancel(fmt.Errorf("filter: %w", err))
		}
	})
	<-ctx.Done()
	s.log.Info("draining")
	drain, stop := context.WithTimeout(context.Background(), 8*time.Second)
	defer stop()
	var draining sync.WaitGroup
	for name, p := range s.servers {
		draining.Go(func() {
			if err := p.Shutdown(drain); err != nil {
				s.log.Warn("connections were cut", "listener", name, "error", err)
				p.Close()
			}
		})
	}
	draining.Wait()
	running.Wait()
	delivering.Wait()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.data.close())
}

func isClosed(err error) bool {
	return errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, imap.ErrServerClosed) || errors.Is(err, pop3.ErrServerClosed)
}

// close gives back what start took before it failed.
func (s *server) close() {
	for _, l := range s.listeners {
		l.Close()
	}
	if s.data != nil {
		s.data.close()
	}
}

func newLogger(level string, w io.Writer) *slog.Logger {
	if level == "off" {
		return slog.New(slog.DiscardHandler)
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l}))
}
