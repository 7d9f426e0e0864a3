package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomailroom/mailroom/smtp"
	"golang.org/x/net/idna"
)

// config is what the command line says.
type config struct {
	domain        string
	users         []user
	dir           string
	listen        []listenFlag
	resolver      string
	relay         string
	cert, key     string
	plaintextAuth bool
	quota         int64
	log           string
}

type user struct{ name, password string }

// listenFlag is one of the addresses to listen on.
type listenFlag struct {
	name, addr, help string
}

const memory = ":memory:"

var errHelp = errors.New("help was asked for")

const usage = `A mail server for one domain: receives by SMTP and LMTP, takes mail of its users by submission, serves it by IMAP and POP3, and
queues what goes elsewhere until it is delivered.

  mailserver -domain example.test -user alice:wonderland -user bob:builder

Users log in as "alice" or "alice@example.test", and have mail at alice@example.test and alice+anything@example.test. The first
user gets mail for postmaster. When everything listens it prints "listening NAME ADDR" for each listener, then "ready". SIGINT and SIGTERM end
it after what is under way, within ten seconds. Exit codes: 0 ended as asked, 1 failed while serving, 2 could not start.

Flags:
`

func parseFlags(args []string, stderr io.Writer) (*config, error) {
	c := &config{listen: []listenFlag{
		{"smtp", "127.0.0.1:2525", "SMTP, where other servers deliver mail for the domain"},
		{"submission", "127.0.0.1:2587", "submission with STARTTLS, where users send"},
		{"submissions", "127.0.0.1:2465", "submission over TLS"},
		{"lmtp", "", "LMTP, for a mail server in front (default off)"},
		{"imap", "127.0.0.1:2143", "IMAP with STARTTLS"},
		{"imaps", "127.0.0.1:2993", "IMAP over TLS"},
		{"pop3", "127.0.0.1:2110", "POP3 with STLS"},
		{"pop3s", "127.0.0.1:2995", "POP3 over TLS"},
	}}
	f := flag.NewFlagSet("mailserver", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&c.domain, "domain", "", "the `DOMAIN` to take mail for; also the name of the server (required)")
	f.Func("user", "a user as `NAME:PASSWORD`; may be given many times (required)", c.addUser)
	f.StringVar(&c.dir, "dir", "./mailroom-data", "where mail, queue and certificate are kept; "+memory+" keeps nothing")
	for i := range c.listen {
		l := &c.listen[i]
		f.StringVar(&l.addr, l.name, l.addr, "`ADDR` for "+l.help+"; empty: off; port 0: any")
	}
	f.StringVar(&c.resolver, "resolver", "system", "the DNS server to ask, as `ADDR` or ADDR:PORT; system: those of this machine; none: DNS is not asked, checks that need it report temperror, and mail for other domains needs -relay")
	f.StringVar(&c.relay, "relay", "", "`HOST:PORT` to hand all mail for other domains to, instead of their own servers")
	f.StringVar(&c.cert, "cert", "", "`FILE` with the certificate chain, PEM; default: a self-signed one is made and kept in -dir")
	f.StringVar(&c.key, "key", "", "`FILE` with the certificate's key, PEM")
	f.BoolVar(&c.plaintextAuth, "plaintext-auth", false, "take passwords without TLS; only if all listeners are on loopback")
	f.Int64Var(&c.quota, "quota", 0, "most `BYTES` that each user may keep; 0: no limit")
	f.StringVar(&c.log, "log", "info", "what to log on standard error: debug, info, warn, error or off")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage)
		f.SetOutput(stderr)
		f.PrintDefaults()
		return nil, errHelp
	case err != nil:
		return nil, fmt.Errorf("%w (-h explains the flags)", err)
	case f.NArg() > 0:
		return nil, fmt.Errorf("argument %q is not understood: there are only flags (-h explains them)", f.Arg(0))
	}
	return c, c.check()
}

func (c *config) addUser(s string) error {
	name, password, ok := strings.Cut(s, ":")
	if !ok || name == "" || password == "" {
		return errors.New("want NAME:PASSWORD, neither of them empty")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`@+"<>(),;:\/*`, r) }) {
		return fmt.Errorf("name %q: want the part before the @ of an address, without spaces and signs such as + and /", name)
	}
	c.users = append(c.users, user{name, password})
	return nil
}

func (c *config) check() error {
	if c.domain == "" {
		return errors.New("-domain is required, for example -domain example.test (-h explains the flags)")
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(c.domain, "."))
	_, invalid := smtp.ParseMailbox("postmaster@" + ascii)
	if _, number := netip.ParseAddr(ascii); err != nil || invalid != nil || number == nil || strings.HasPrefix(ascii, "[") {
		return fmt.Errorf("-domain %q is no domain name", c.domain)
	}
	c.domain = ascii // greetings and certificates want A-labels
	if len(c.users) == 0 {
		return errors.New("at least one -user NAME:PASSWORD is required (-h explains the flags)")
	}
	for _, u := range c.users {
		if _, err := smtp.ParseMailbox(u.name + "@" + c.domain); err != nil {
			return fmt.Errorf("-user: name %q: want the part before the @ of an address", u.name)
		}
	}
	if c.dir == "" {
		return errors.New("-dir is empty; give " + memory + " for a server that keeps nothing")
	}
	if (c.cert == "") != (c.key == "") {
		return errors.New("-cert and -key belong together")
	}
	if c.quota < 0 {
		return errors.New("-quota is below 0")
	}
	if c.relay != "" {
		host, port, err := net.SplitHostPort(c.relay)
		if n, notNumber := strconv.ParseUint(port, 10, 16); err != nil || host == "" || notNumber != nil || n == 0 {
			return fmt.Errorf("-relay %q: want HOST:PORT, with a port from 1 to 65535", c.relay)
		}
	}
	if c.resolver != "system" && c.resolver != "none" {
		if _, err := resolverAddr(c.resolver); err != nil {
			return fmt.Errorf("-resolver %q: want system, none, or an IP address with or without a port", c.resolver)
		}
	}
	if c.log != "off" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(c.log)); err != nil {
			return fmt.Errorf("-log %q: want debug, info, warn, error or off", c.log)
		}
	}
	return c.checkListeners()
}

func (c *config) checkListeners() error {
	on := 0
	for _, l := range c.listen {
		if l.addr == "" {
			continue
		}
		on++
		host, _, err := net.SplitHostPort(l.addr)
		if err != nil {
			return fmt.Errorf("-%s %q: want HOST:PORT, for example 127.0.0.1:2525", l.name, l.addr)
		}
		ip, err := netip.ParseAddr(host)
		if c.plaintextAuth && host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return fmt.Errorf("-plaintext-auth is only for listeners on loopback, and -%s is on %s", l.name, l.addr)
		}
	}
	if on == 0 {
		return errors.New("all listeners are off")
	}
	return nil
}

// resolverAddr gives ADDR:PORT for a name server.
func resolverAddr(s string) (string, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.String(), nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return "", err
	}
	return netip.AddrPortFrom(ip, 53).String(), nil
}
