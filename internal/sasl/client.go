package sasl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Client is the client's side of one exchange.
type Client interface {
	Mechanism() string
	// Start returns the initial response; nil when the server speaks first.
	Start() ([]byte, error)
	// Next answers a challenge.
	Next(challenge []byte) ([]byte, error)
	// Finish is called when the server reports success. An error means that the
	// server has not proved itself, and must not be trusted.
	Finish() error
}

// Credentials are what a client may show.
type Credentials struct {
	Authzid  string // whom to act as; empty: the user
	Username string
	Password string
	Token    string // OAuth 2 access token; then Password is not used
	External bool   // use the TLS client certificate

	AllowPlaintext bool // show Password and Token also without TLS; loopback is always allowed
}

// ErrNoMechanism reports that nothing offered can be used.
var ErrNoMechanism = errors.New("sasl: no mechanism in common")

// Pick takes the strongest mechanism that is offered and that the credentials
// serve. PLAIN, LOGIN and tokens are used under TLS or on loopback only.
func Pick(offered []string, c Credentials, ch Channel) (Client, error) {
	has := func(name string) bool {
		return slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, name) })
	}
	for _, name := range c.candidates(ch) {
		if has(name) {
			client, err := NewClient(name, c, ch)
			if s, ok := client.(*scramClient); ok && ch.TLS != nil && !has(name+"-PLUS") {
				s.advertise = true
			}
			return client, err
		}
	}
	return nil, fmt.Errorf("%w: offered are %q", ErrNoMechanism, offered)
}

// candidates lists what could be used, the strongest first.
func (c Credentials) candidates(ch Channel) (names []string) {
	private := c.private(ch)
	if c.External && ch.TLS != nil {
		names = append(names, "EXTERNAL")
	}
	if c.Token != "" {
		if private {
			names = append(names, "OAUTHBEARER", "XOAUTH2")
		}
		return names
	}
	if c.Password == "" {
		return names
	}
	if _, ok := clientBinding(ch); ok {
		names = append(names, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
	}
	names = append(names, "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5")
	if private {
		names = append(names, "PLAIN", "LOGIN")
	}
	return names
}

func (c Credentials) private(ch Channel) bool {
	return ch.TLS != nil || ch.Remote.IsLoopback() || c.AllowPlaintext
}

// NewClient begins an exchange with one mechanism.
func NewClient(mechanism string, c Credentials, ch Channel) (Client, error) {
	mechanism = strings.ToUpper(mechanism)
	switch mechanism {
	case "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2":
		if !c.private(ch) {
			return nil, fmt.Errorf("sasl: %s shows the secret, and there is no TLS", mechanism)
		}
		if strings.Contains(c.Authzid+c.Username+c.Password, "\x00") {
			return nil, errors.New("sasl: NUL in name or password")
		}
	}
	switch mechanism {
	case "PLAIN":
		msg := c.Authzid + "\x00" + c.Username + "\x00" + c.Password
		return &oneMessage{name: mechanism, msg: msg}, nil
	case "EXTERNAL":
		return &oneMessage{name: mechanism, msg: c.Authzid}, nil
	case "OAUTHBEARER":
		user := c.Authzid
		if user == "" {
			user = c.Username
		}
		if user != "" {
			user = "a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
		}
		return &oneMessage{name: mechanism, msg: "n," + user + ",\x01auth=Bearer " + c.Token + "\x01\x01", dummy: "\x01"}, nil
	case "XOAUTH2":
		return &oneMessage{name: mechanism, msg: "user=" + c.Username + "\x01auth=Bearer " + c.Token + "\x01\x01"}, nil
	case "LOGIN":
		return &loginClient{answers: []string{c.Username, c.Password}}, nil
	case "CRAM-MD5":
		return &cramClient{name: c.Username, secret: c.Password}, nil
	case "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS":
		return newSCRAMClient(mechanism, c, ch)
	}
	return nil, fmt.Errorf("sasl: unknown mechanism %q", mechanism)
}

// oneMessage says everything at once.
type oneMessage struct {
	name, msg string
	dummy     string // answers the challenge that carries an error
	sent      bool
}

func (c *oneMessage) Mechanism() string { return c.name }
func (c *oneMessage) Finish() error     { return nil }

func (c *oneMessage) Start() ([]byte, error) {
	c.sent = true
	return []byte(c.msg), nil
}

func (c *oneMessage) Next(challenge []byte) ([]byte, error) {
	if !c.sent {
		return c.Start()
	}
	if len(challenge) > 0 && (c.name == "OAUTHBEARER" || c.name == "XOAUTH2") {
		return []byte(c.dummy), nil // then the server fails the exchange
	}
	return nil, errors.New("sasl: unexpected challenge")
}

type loginClient struct{ answers []string }

func (c *loginClient) Mechanism() string      { return "LOGIN" }
func (c *loginClient) Start() ([]byte, error) { return nil, nil }
func (c *loginClient) Finish() error          { return nil }

func (c *loginClient) Next([]byte) ([]byte, error) {
	if len(c.answers) == 0 {
		return nil, errors.New("sasl: unexpected challenge")
	}
	answer := c.answers[0]
	c.answers = c.answers[1:]
	return []byte(answer), nil
}

type cramClient struct {
	name, secret string
	answered     bool
}

func (c *cramClient) Mechanism() string      { return "CRAM-MD5" }
func (c *cramClient) Start() ([]byte, error) { return nil, nil }

func (c *cramClient) Next(challenge []byte) ([]byte, error) {
	if c.answered {
		return nil, errors.New("sasl: unexpected challenge")
	}
	c.answered = true
	return append([]byte(c.name+" "), cramDigest(c.secret, challenge)...), nil
}

func (c *cramClient) Finish() error {
	if !c.answered {
		return errors.New("sasl: success before the exchange")
	}
	return nil
}
