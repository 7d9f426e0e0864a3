//go:build unix

package interop

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMsmtp(t *testing.T) {
	t.Parallel()
	program(t, "msmtp")
	s := newServer(t, t.TempDir())
	home := t.TempDir()
	supported := must(t, home, "", "msmtp", "--version").stdout
	letter := strings.Replace(letters()["parts"], "carol@other.test", alice, 1)
	trust := "tls_trust_file " + common.authority + "\n"
	sent := 0
	for _, mechanism := range []string{"plain", "login", "scram-sha-256"} {
		for name, transport := range map[string]string{
			"STARTTLS":            "port " + s.port("submission") + "\ntls on\ntls_starttls on\n" + trust,
			"implicit":            "port " + s.port("submissions") + "\ntls on\ntls_starttls off\n" + trust,
			"pinned certificate":  "port " + s.port("submissions") + "\ntls on\ntls_starttls off\ntls_fingerprint " + common.fingerprintWithDelimiter + "\n",
			"any mechanism is on": "port " + s.port("submissions") + "\ntls on\ntls_starttls off\nauth on\n" + trust,
		} {
			t.Run(mechanism+", "+name, func(t *testing.T) {
				if !strings.Contains(supported, " "+mechanism+" ") && !strings.Contains(supported, "\n"+mechanism+" ") {
					t.Skipf("this msmtp has no %s", mechanism)
				}
				home := t.TempDir()
				config := write(t, home, "msmtprc", "account default\nhost localhost\nfrom %s\nuser alice@example.test\npassword %s\nauth %s\n%s", alice, alicePassword, mechanism, transport)
				must(t, home, unix(letter), "msmtp", "-C", config, "--debug", "--", bob)
				sent++
			})
		}
	}
	kept := s.mailbox("bob", "INBOX")
	require.Len(t, kept, sent)
	for _, m := range kept {
		above, ok := strings.CutSuffix(m.body, letter)
		require.True(t, ok, "%q", m.body)
		requireTrace(t, above)
	}

	for name, try := range map[string]struct {
		config string
		code   int
	}{
		"wrong password":    {"port " + s.port("submissions") + "\nuser alice\npassword x\ntls on\ntls_starttls off\nauth plain\n" + trust, 77},
		"wrong SCRAM":       {"port " + s.port("submissions") + "\nuser alice\npassword x\ntls on\ntls_starttls off\nauth scram-sha-256\n" + trust, 77},
		"wrong fingerprint": {"port " + s.port("submissions") + "\ntls on\ntls_starttls off\ntls_fingerprint " + strings.Repeat("AB:", 31) + "AB\n", 69},
		"unknown user":      {"port " + s.port("smtp") + "\ntls off\nauth off\n", 67},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			home := t.TempDir()
			config := write(t, home, "msmtprc", "account default\nhost localhost\nfrom %s\n%s", alice, try.config)
			o := run(t, home, unix(letter), "msmtp", "-C", config, "--", "nobody@example.test")
			require.NotZero(t, o.code, o.stderr)
		})
	}
}

// TestMsmtpLMTP delivers over LMTP, to many at once.
func TestMsmtpLMTP(t *testing.T) {
	t.Parallel()
	program(t, "msmtp")
	s := newServer(t, memory)
	home := t.TempDir()
	config := write(t, home, "msmtprc", "account default\nhost localhost\nport %s\nprotocol lmtp\ntls on\ntls_starttls on\ntls_trust_file %s\nfrom %s\n", s.port("lmtp"), common.authority, "carol@other.test")
	for _, letter := range letters() {
		must(t, home, unix(letter), "msmtp", "-C", config, "--", alice, bob, "alice+Junk@example.test")
	}
	for _, letter := range letters() {
		s.arrived("alice", "INBOX", letter)
		s.arrived("bob", "INBOX", letter)
	}
}
