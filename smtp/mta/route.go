package mta

import (
	"context"
	"errors"
	"net"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/gomailroom/mailroom/smtp/queue"
)

// Router gives the router for this MTA's Queue. Mail for our own users is in the queue when its sender wanted it to be held (RFC 4865): it is handed to the MTA itself when its time has come.
// Everything else goes where next says.
func (m *MTA) Router(next queue.Router) queue.Router {
	return &router{next: next, directory: m.Directory, own: queue.Host{
		Name: m.hostname(), Addrs: []string{"/mta"}, Key: "mta", LMTP: true, TLS: smtp.TLSNever,
		NetDial: func(context.Context, string, string) (net.Conn, error) {
			near, far := memnet.Pipe()
			server := &smtp.Server{Handler: lmtpHandler{m, anySize}, Hostname: m.hostname(), Mode: smtp.LMTP, Logger: m.Logger, Limits: smtp.Limits{MessageSize: anySize}}
			go server.ServeConn(context.Background(), far) // it ends when the queue hangs up
			return near, nil
		},
	}}
}

type router struct {
	next      queue.Router
	directory mailstore.Resolver
	own       queue.Host
}

// Route implements [queue.Router].
func (r *router) Route(ctx context.Context, domain string, attempt int) ([]queue.Host, error) {
	switch ours, err := isOurs(ctx, r.directory, domain); {
	case err != nil:
		return nil, &smtp.Error{Code: 451, Enhanced: smtp.EnhancedCode{4, 3, 0}, Text: "the directory cannot be asked now", Err: err}
	case ours:
		return []queue.Host{r.own}, nil
	}
	return r.next.Route(ctx, domain, attempt)
}

// isOurs tells whether a domain is one of the directory.
func isOurs(ctx context.Context, directory mailstore.Resolver, domain string) (bool, error) {
	_, err := directory.Resolve(ctx, "postmaster", domain) // RFC 5321 s4.5.1
	switch {
	case errors.Is(err, mailstore.ErrNotLocal):
		return false, nil
	case err == nil, errors.Is(err, mailstore.ErrUnknownUser):
		return true, nil
	}
	return false, err
}
