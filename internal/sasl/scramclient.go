package sasl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

type scramClient struct {
	name      string
	client    *scram.Client
	binding   *scram.ChannelBinding
	advertise bool
	conv      *scram.ClientConversation
}

func newSCRAMClient(mechanism string, c Credentials, ch Channel) (Client, error) {
	var prepared [3]string
	for i, s := range []string{c.Username, c.Password, c.Authzid} {
		p, err := Prepare(s)
		if err != nil {
			return nil, err
		}
		prepared[i] = p
	}
	s := &scramClient{name: mechanism}
	hash, plus := strings.CutSuffix(strings.TrimPrefix(mechanism, "SCRAM-"), "-PLUS")
	if plus {
		b, ok := clientBinding(ch)
		if !ok {
			return nil, fmt.Errorf("sasl: %s needs TLS", mechanism)
		}
		s.binding = &b
	}
	var err error
	s.client, err = scramHash(hash).NewClientUnprepped(prepared[0], prepared[1], prepared[2])
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	return s, nil
}

// clientBinding: tls-exporter from TLS 1.3 on (RFC 9266), before that
// tls-server-end-point (RFC 5929).
func clientBinding(ch Channel) (b scram.ChannelBinding, ok bool) {
	if ch.TLS == nil {
		return b, false
	}
	if ch.TLS.Version >= tls.VersionTLS13 {
		b, err := scram.NewTLSExporterBinding(ch.TLS)
		return b, err == nil
	}
	if len(ch.TLS.PeerCertificates) == 0 {
		return b, false
	}
	b, err := endPoint(ch.TLS.PeerCertificates[0])
	return b, err == nil
}

func (c *scramClient) Mechanism() string { return c.name }

func (c *scramClient) Start() ([]byte, error) {
	switch {
	case c.binding != nil:
		c.conv = c.client.NewConversationWithChannelBinding(*c.binding)
	case c.advertise:
		c.conv = c.client.NewConversationAdvertisingChannelBinding()
	default:
		c.conv = c.client.NewConversation()
	}
	return c.step("")
}

func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	if c.conv == nil {
		return c.Start()
	}
	if tooManyIterations(string(challenge)) {
		return nil, fmt.Errorf("sasl: %s: the server asks for more than %d iterations", c.name, maxIterations)
	}
	return c.step(string(challenge))
}

// maxIterations bounds the work that a server can make a client do.
const maxIterations = 2_000_000

func tooManyIterations(challenge string) bool {
	for field := range strings.SplitSeq(challenge, ",") {
		if n, ok := strings.CutPrefix(field, "i="); ok {
			i, err := strconv.Atoi(n)
			return err != nil || i > maxIterations
		}
	}
	return false
}

func (c *scramClient) step(challenge string) ([]byte, error) {
	r, err := c.conv.Step(challenge)
	if err != nil {
		return nil, fmt.Errorf("sasl: %s: %w", c.name, err)
	}
	return []byte(r), nil
}

func (c *scramClient) Finish() error {
	if c.conv == nil || !c.conv.Valid() {
		return errors.New("sasl: the server did not prove that it knows the password")
	}
	return nil
}
