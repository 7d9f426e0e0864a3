//go:build unix

package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/smtp"
)

// TestPostfixSASL has Postfix's client authenticate by each mechanism that Cyrus SASL, its library, shares with the server. The domain of the recipient chooses
// the mechanism.
func TestPostfixSASL(t *testing.T) {
	t.Parallel()
	plugins, err := filepath.Glob("/usr/lib/*/sasl2/libscram.so")
	require.NoError(t, err)
	if len(plugins) == 0 {
		t.Skip("Cyrus SASL has no SCRAM here: libsasl2-modules is missing")
	}
	program(t, "postfix")
	s := startSubmission(t, nil)
	mechanisms := []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}
	relay := "[127.0.0.1]:" + s.port
	transports, services := "", ""
	for _, m := range mechanisms {
		name := strings.ToLower(m)
		transports += fmt.Sprintf(" {%s.test = %s:%s}", name, name, relay)
		services += fmt.Sprintf("%s unix - - n - - smtp\n  -o smtp_sasl_mechanism_filter=%s\n", name, name)
	}
	p := startPostfix(t, fmt.Sprintf(`
transport_maps = inline:{%s }
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{ {%s = alice:wonder land} }
smtp_sasl_security_options = noanonymous
smtp_tls_CAfile = %s
smtp_tls_secure_cert_match = localhost
`, transports, relay, s.id.authority), services)
	for _, m := range mechanisms {
		t.Run(m, func(t *testing.T) {
			_, err := smtp.SendMail(t.Context(), p.client, p.addr, newEnvelope(t, "alice@example.org", "bob@"+strings.ToLower(m)+".test"), smtp.StringContent(submitted))
			require.NoError(t, err)
			s.one(t, m)
		})
	}
}
