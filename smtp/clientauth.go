package smtp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gomailroom/mailroom/internal/sasl"
)

// Credentials are what a client authenticates with (RFC 4954). The strongest mechanism that both sides have is used: EXTERNAL, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN; or with a
// Token OAUTHBEARER, XOAUTH2. PLAIN, LOGIN and tokens show the secret to the server, and are used under TLS and over loopback only.
type Credentials struct {
	Username string
	Password string
	Identity string // the identity to act as; empty: the user's own

	// Token gives a bearer token, and is used in place of Password. It is called for each authentication, so that it can refresh the token.
	Token func(ctx context.Context) (string, error)

	External   bool     // use the certificate that TLSConfig shows to the server
	Mechanisms []string // those that may be used, the best first; empty: all, the strongest first

	AllowPlaintext bool // show the secret to the server without TLS as well
}

// String keeps the secrets out of logs.
func (c Credentials) String() string { return "credentials of " + c.Username }

// GoString keeps the secrets out of logs.
func (c Credentials) GoString() string {
	return fmt.Sprintf("smtp.Credentials{Username:%q}", c.Username)
}

// maxCommand is the length of a command, with CRLF, that any server takes. RFC 5321 s4.5.3.1.4
const maxCommand = 512

// authenticate runs AUTH. When the server does not want the strongest mechanism after all, the next one is tried; a refused password is tried once.
func (c *Conn) authenticate(ctx context.Context) error {
	cred := c.d.Auth
	secrets := sasl.Credentials{
		Authzid: cred.Identity, Username: cred.Username, Password: cred.Password,
		External: cred.External, AllowPlaintext: cred.AllowPlaintext || isLoopback(c.host),
	}
	if cred.Token != nil {
		token, err := cred.Token(ctx)
		if err != nil {
			return local(EnhancedCode{4, 7, 0}, "AUTH", fmt.Errorf("getting a token: %w", err))
		}
		secrets.Token = token
	}
	channel := sasl.Channel{TLS: c.tls.State}
	offered := c.caps.Mechanisms()
	var last error
	for {
		client, err := pick(cred.Mechanisms, offered, secrets, channel, last != nil)
		if err != nil {
			if last != nil {
				return last
			}
			return local(EnhancedCode{4, 7, 0}, "AUTH", fmt.Errorf("%w: %w", ErrNoMechanism, err))
		}
		r, err := c.exchange(ctx, client)
		if err != nil {
			return err
		}
		if r.Code == 235 {
			return nil
		}
		if last = c.expect(r, 5, "AUTH "+client.Mechanism()); last == nil {
			last = r.asError("AUTH " + client.Mechanism())
		}
		if r.Code != 504 && r.Code != 534 { // RFC 4954 s4, s6: unknown, too weak
			return last
		}
		offered = slices.DeleteFunc(offered, func(m string) bool { return m == client.Mechanism() })
	}
}

// pick chooses a mechanism: the first of those allowed that is offered, or the strongest offered where all are.
func pick(allowed, offered []string, secrets sasl.Credentials, channel sasl.Channel, again bool) (sasl.Client, error) {
	for _, name := range allowed {
		if name = strings.ToUpper(name); slices.Contains(offered, name) {
			return sasl.NewClient(name, secrets, channel)
		}
	}
	if len(allowed) > 0 {
		return nil, fmt.Errorf("offered are %q, allowed %q", offered, allowed)
	}
	client, err := sasl.Pick(offered, secrets, channel)
	if err == nil && again {
		// What was refused is no longer in the list. SCRAM must not take that for a list that somebody shortened on the way (RFC 5802 s6).
		return sasl.NewClient(client.Mechanism(), secrets, channel)
	}
	return client, err
}

// exchange runs one mechanism to the server's verdict. RFC 4954 s4
func (c *Conn) exchange(ctx context.Context, client sasl.Client) (Reply, error) {
	command := "AUTH " + client.Mechanism()
	initial, err := client.Start()
	if err != nil {
		return Reply{}, local(EnhancedCode{4, 7, 0}, command, err)
	}
	first := ""
	held := initial != nil
	if held && len(command)+len(initial)*4/3+8 < maxCommand {
		first, held = " "+sasl.EncodeInitial(initial), false
	}
	r, err := c.command(ctx, c.timeouts.Command, command, first)
	for challenges := 0; err == nil && r.Code == 334; challenges++ {
		var response []byte
		challenge, bad := sasl.DecodeResponse([]byte(r.Text))
		if client.Mechanism() == "LOGIN" {
			bad = nil // some servers ask "Username:" in clear; LOGIN does not look at it
		}
		switch {
		case bad != nil:
		case held: // too long for the command: it answers the empty challenge
			response, held = initial, false
		case challenges > 10:
			bad = ErrBadReply
		default:
			response, bad = client.Next(challenge)
		}
		if bad != nil {
			// The exchange is cancelled; what the server says to that adds nothing.
			if _, err := c.command(ctx, c.timeouts.Command, "*", ""); err != nil {
				return r, err
			}
			return r, local(EnhancedCode{4, 7, 0}, command, bad)
		}
		r, err = c.commandNamed(ctx, c.timeouts.Command, "", sasl.Encode(response), command)
	}
	if err == nil && r.Code == 235 {
		if err := client.Finish(); err != nil {
			return r, c.kill(local(EnhancedCode{4, 7, 0}, command, err)) // the server did not prove that it knows the user
		}
	}
	return r, err
}
