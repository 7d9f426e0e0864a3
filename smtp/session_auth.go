package smtp

import "github.com/gomailroom/mailroom/internal/sasl"

// auth begins AUTH (RFC 4954 s4).
func (x *session) auth() {
	exchange, err := x.m.sasl.Start(x.ctx, x.m.text, x.channel())
	if err != nil {
		x.m.authDone(replyAuthMechanism)
		return
	}
	x.sasl = exchange
	p := *x.peer // the mechanism counts only with the identity, see authStep
	p.Mechanism = x.m.text
	x.authPeer = &p
	x.authStep(x.m.response)
}

// authStep gives the mechanism a response. The texts for failures are fixed, so that they tell nothing of accounts.
func (x *session) authStep(response []byte) {
	challenge, done, err := x.sasl.Next(response)
	switch {
	case err == nil && !done:
		x.m.challenge(challenge)
		return
	case err == nil:
		p := x.authPeer
		p.Identity = x.sasl.Identity()
		x.peer = p
		x.log("authenticated", "identity", p.Identity, "mechanism", p.Mechanism)
		x.m.authDone(nil)
	case sasl.IsTemporary(err):
		x.log("authentication is not possible", "error", err)
		x.m.authDone(replyAuthTemporary)
	default:
		x.log("authentication failed", "mechanism", x.authPeer.Mechanism)
		x.m.authDone(replyAuthFailed)
	}
	x.sasl, x.authPeer = nil, nil
}
