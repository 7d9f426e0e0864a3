package spam

import (
	"context"
	"io"
	"net"
	"net/netip"

	"github.com/gomailroom/mailroom/mime"
)

// A Mail is what is known of a message on its way in. It grows: the caller fills in the fields of each stage before it calls Score with that stage. A Mail
// belongs to one goroutine at a time.
type Mail struct {
	// From StageConnection.
	Remote   netip.Addr
	Hostname string // of the receiving server, for Received-SPF and Authentication-Results
	TLS      bool
	Identity string // who authenticated, empty when nobody did

	// From StageSender.
	Hello string // the argument of EHLO
	From  string // the reverse-path without brackets, empty for <>

	// From StageRecipient.
	To []string // the recipients that were accepted

	// From StageBody.
	Content Content       // the message as it came, without trace fields of the receiving server
	Message *mime.Message // the same, parsed

	// From StageAccount.
	Account string // whose mailbox it is for

	// Authentication is filled in by the checks that establish it (package spam/auth), for those that come after.
	Authentication Authentication

	done    Stage
	symbols []Symbol
}

// Content is a message that can be read again and again. [mime.Spooled] is one.
type Content interface {
	Open() (io.ReadCloser, error)
	Size() int64
}

// A Stage is how much of a [Mail] is known.
type Stage int

// The stages, in order.
const (
	StageConnection Stage = iota + 1
	StageSender
	StageRecipient
	StageBody
	StageAccount // once for each recipient, since models are personal
)

// For gives a copy of a Mail for one recipient's account, with what the earlier stages found.
func (m *Mail) For(account string) *Mail {
	c := *m
	c.Account = account
	c.symbols = append([]Symbol(nil), m.symbols...)
	return &c
}

// Symbols gives what has been found so far.
func (m *Mail) Symbols() []Symbol { return append([]Symbol(nil), m.symbols...) }

// Authentication is what is known about who sent a message.
type Authentication struct {
	SPF   SPFResult
	DKIM  []DKIMResult
	DMARC DMARCResult
}

// An AuthResult is a result of RFC 8601 s2.7: "pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror".
type AuthResult string

// The results.
const (
	AuthNone      AuthResult = "none"
	AuthPass      AuthResult = "pass"
	AuthFail      AuthResult = "fail"
	AuthSoftFail  AuthResult = "softfail"
	AuthNeutral   AuthResult = "neutral"
	AuthPolicy    AuthResult = "policy"
	AuthTempError AuthResult = "temperror"
	AuthPermError AuthResult = "permerror"
)

// SPFResult is the outcome of RFC 7208. Result is empty where SPF was not looked at.
type SPFResult struct {
	Result      AuthResult
	Domain      string // whose policy it is: that of the reverse-path, or of HELO for <>
	Mechanism   string // that matched, as in "ip4:192.0.2.0/24"
	Explanation string // the domain's own words for a failure
	Err         error
}

// DKIMResult is the outcome of one signature (RFC 6376).
type DKIMResult struct {
	Result           AuthResult
	Domain, Selector string
	Err              error
}

// DMARCResult is the outcome of RFC 9989. Result is empty where DMARC was not looked at.
type DMARCResult struct {
	Result AuthResult
	Domain string // of the From field
	Policy string // "none", "quarantine" or "reject", what the domain asks for when it fails
	Found  string // where the policy was found: the domain, or the one above it
	By     string // what passed and is aligned: "spf", "dkim"
	Err    error
}

// Resolver is the DNS that checks need. *net.Resolver is one, and so is mxresolve's. What does not exist is an error for which errors.As finds a *net.DNSError with IsNotFound; all others
// are temporary.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}
