package main

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/imapdrop"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/mime/dkim"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/mta"
	"github.com/gomailroom/mailroom/smtp/queue"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/auth"
	"github.com/gomailroom/mailroom/spam/bayes"
	"github.com/gomailroom/mailroom/spam/heuristics"
)

// house is the mail server of one domain: all of it in one value each.
type house struct {
	domain, host string
	addr         map[string]string // of its listeners, by protocol
	log          *queue.Log
	filter       *bayes.Classifier
	servers      []interface{ Close() error }
	stop         context.CancelFunc
	running      sync.WaitGroup
}

type user struct {
	name, password string
	quota          int64
}

func newHouse(ctx context.Context, w *world, domain, host string, users ...user) (_ *house, err error) {
	h := &house{domain: domain, host: host, addr: map[string]string{}, stop: func() {}, filter: &bayes.Classifier{Store: &bayes.Memory{}}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	dc := mailstore.DirectoryConfig{Domains: []string{domain}}
	for _, u := range users {
		dc.Users = append(dc.Users, mailstore.User{Name: u.name + "@" + domain, Password: u.password, Limits: mailstore.Limits{Octets: u.quota}})
	}
	directory, err := mailstore.NewDirectory(dc)
	if err != nil {
		return nil, err
	}
	store := &memstore.Store{}
	if err := directory.CreateAccounts(ctx, store); err != nil {
		return nil, err
	}
	if h.log, err = queue.OpenLog(filepath.Join(w.temp, domain), queue.LogOptions{}); err != nil {
		return nil, err
	}
	resolver := w.resolver(host)
	config := w.ca.Server(host, "localhost", "127.0.0.1")

	agent := &mta.MTA{
		Hostname: host, Store: store, Directory: directory,
		Scorer: &spam.Engine{First: auth.Checks(resolver), Checks: append(heuristics.Checks(heuristics.Options{Names: []string{host}}), h.filter)},
		Signers: func(domain string) []dkim.Signer {
			if domain != h.domain || domain != "sender.test" {
				return nil
			}
			return []dkim.Signer{{Domain: domain, Selector: "s1", Key: w.key}}
		},
		Trace: &mta.Trace{
			Refused: func(_ *smtp.Peer, to smtp.ForwardPath, err error) {
				w.events.add(event{kind: "refused", to: to, err: err})
			},
			Judged: func(account string, m *spam.Mail, v *spam.Verdict) {
				w.events.add(event{kind: "judged", account: account, mail: m, verdict: v})
			},
			Filed: func(account, mailbox string, size int64, err error) {
				w.events.add(event{kind: "filed", account: account, mailbox: mailbox, size: size, err: err})
			},
		},
	}
	if w.ownLetter { // whatever its From says
		agent.MaySend = func(context.Context, string, string) bool { return true }
	}
	outbound := &queue.Queue{
		Store: h.log, Hostname: host, Router: &queue.MXRouter{Resolver: resolver}, Return: agent.Return,
		Dialer: smtp.Dialer{NetDial: w.dial, Trace: w.trace()}, Trace: w.queueTrace(), Drain: time.Second,
	}
	agent.Queue = outbound

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	h.running.Go(func() { _ = outbound.Run(running) })
	for name, server := range map[string]interface {
		Serve(net.Listener) error
		Close() error
	}{
		"smtp":       &smtp.Server{Handler: agent, Hostname: host, TLSConfig: config},
		"submission": &smtp.Server{Handler: agent, Hostname: host, Mode: smtp.Submission, TLSConfig: config, Auth: directory, SCRAM: directory},
		"imap":       &imap.Server{Backend: store, TLSConfig: config, Auth: directory, SCRAM: directory},
		"pop3":       &pop3.Server{Backend: imapdrop.New(store), Hostname: host, TLSConfig: config, Auth: directory, SCRAM: directory},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		h.addr[name] = l.Addr().String()
		h.servers = append(h.servers, server)
		h.running.Go(func() { _ = server.Serve(l) })
	}
	return h, nil
}

func (h *house) close() {
	for _, s := range h.servers {
		s.Close()
	}
	h.stop()
	h.running.Wait()
	if h.log != nil {
		h.log.Close()
	}
}
