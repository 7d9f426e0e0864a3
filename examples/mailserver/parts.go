package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"

	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
	"github.com/gomailroom/mailroom/imap/mailstore/sqlstore"
	"github.com/gomailroom/mailroom/mxresolve"
	"github.com/gomailroom/mailroom/smtp/queue"
	"github.com/gomailroom/mailroom/spam"
	"github.com/gomailroom/mailroom/spam/auth"
	"github.com/gomailroom/mailroom/spam/heuristics"
)

func newDirectory(c *config) (*mailstore.Directory, error) {
	dc := mailstore.DirectoryConfig{Domains: []string{c.domain}, Postmaster: c.users[0].name}
	for _, u := range c.users {
		dc.Users = append(dc.Users, mailstore.User{Name: u.name, Password: u.password, Addresses: []string{u.name + "@" + c.domain}, Limits: mailstore.Limits{Octets: c.quota}})
	}
	d, err := mailstore.NewDirectory(dc)
	if err != nil {
		return nil, fmt.Errorf("-user: %w", err)
	}
	return d, nil
}

// data is what is kept: mail and queue.
type data struct {
	store  mailstore.Store
	queue  *queue.Log
	db     *sql.DB // nil in memory
	filter *filter
}

// openData opens mail and queue in -dir.
func openData(ctx context.Context, c *config, log *slog.Logger) (_ *data, err error) {
	if c.dir == memory {
		return &data{store: &memstore.Store{}, queue: queue.NewMemory(), filter: newFilter("", log)}, nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("-dir: %w", err)
	}
	d := &data{}
	defer func() {
		if err != nil {
			err = fmt.Errorf("-dir %s: %w", c.dir, errors.Join(err, d.close()))
		}
	}()
	// The queue's lock keeps a second server off the whole directory.
	if d.queue, err = queue.OpenLog(filepath.Join(c.dir, "queue"), queue.LogOptions{Logger: log}); err != nil {
		return nil, err
	}
	name := filepath.Join(c.dir, "mail.db")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600) // SQLite would make it readable for all
	if err != nil {
		return nil, err
	}
	file.Close()
	if d.db, err = sql.Open("sqlite", sqlstore.SQLiteDSN(name)); err != nil {
		return nil, err
	}
	d.db.SetMaxOpenConns(9) // one writes, eight read
	d.db.SetMaxIdleConns(9)
	store, err := sqlstore.Open(ctx, d.db, sqlstore.SQLite)
	if err != nil {
		return nil, err
	}
	d.store = store
	d.filter = newFilter(filepath.Join(c.dir, "filter"), log)
	if err := d.filter.load(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *data) close() error {
	var errs []error
	if d.filter != nil {
		errs = append(errs, d.filter.save())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.queue != nil {
		errs = append(errs, d.queue.Close())
	}
	return errors.Join(errs...)
}

// newScorer gives what judges strangers' mail. Without a resolver checks know nothing of the network.
func newScorer(c *config, resolver *mxresolve.Resolver, filter *filter, log *slog.Logger) spam.Scorer {
	var r spam.Resolver = noDNS{}
	if resolver != nil {
		r = resolver
	}
	checks := heuristics.Checks(heuristics.Options{Resolver: r, Names: []string{c.domain}})
	return &spam.Engine{First: auth.Checks(r), Checks: append(checks, filter.Classifier), Logger: log}
}

// newRouter says how mail for other domains leaves; nil when it cannot.
func newRouter(c *config, resolver *mxresolve.Resolver) queue.Router {
	switch {
	case c.relay != "":
		return &queue.RelayRouter{Addr: c.relay}
	case resolver == nil:
		return nil
	default:
		return &queue.MXRouter{Resolver: resolver}
	}
}

// newResolver gives the one resolver of all parts, which obeys DANE and MTA-STS; nil when DNS is not to be asked.
func newResolver(c *config, log *slog.Logger) (*mxresolve.Resolver, error) {
	if c.resolver == "none" {
		return nil, nil
	}
	r := &mxresolve.Resolver{Names: []string{c.domain}, STS: &mxresolve.STS{}, Logger: log}
	if addr, err := resolverAddr(c.resolver); err == nil {
		r.Upstreams = []mxresolve.Upstream{{Addr: addr}}
	}
	if c.dir != memory {
		store, err := mxresolve.STSDir(filepath.Join(c.dir, "mta-sts"))
		if err != nil {
			return nil, fmt.Errorf("-dir %s: %w", c.dir, err)
		}
		r.STS.Store = store
	}
	return r, nil
}

// refreshPolicies keeps MTA-STS policies alive until the context ends (RFC 8461 s10.2).
func refreshPolicies(ctx context.Context, r *mxresolve.Resolver, log *slog.Logger) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.RefreshPolicies(ctx); err != nil && ctx.Err() == nil {
				log.Warn("cannot refresh MTA-STS policies", "error", err)
			}
		}
	}
}

// noDNS answers every question with a temporary error: checks then know nothing, and say so.
type noDNS struct{}

func (noDNS) err(name string) error {
	return &net.DNSError{Err: "DNS is not asked (-resolver none)", Name: name, IsTemporary: true}
}
func (n noDNS) LookupTXT(_ context.Context, name string) ([]string, error)  { return nil, n.err(name) }
func (n noDNS) LookupMX(_ context.Context, name string) ([]*net.MX, error)  { return nil, n.err(name) }
func (n noDNS) LookupAddr(_ context.Context, addr string) ([]string, error) { return nil, n.err(addr) }
func (n noDNS) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	return nil, n.err(name)
}
