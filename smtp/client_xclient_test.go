package smtp_test

import (
	"testing"

	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

func TestXClientRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		want   string
		cause  error
	}{
		"not offered": {hello("SIZE"), "XCLIENT: 554 5.3.3: the server does not take XCLIENT from here", smtp.ErrNoXClient},
		"refused":     {hello("XCLIENT NAME") + "C: XCLIENT NAME=a.test\nS: 550 5.7.0 insufficient authorization\n", "XCLIENT: 550 5.7.0 insufficient authorization", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := client()
			d.XClient = &smtp.XClient{Name: "a.test"}
			_, err := d.NewConn(t.Context(), peer(t, script(c.script)), "mx.test")
			require.EqualError(t, err, c.want)
			if c.cause != nil {
				require.ErrorIs(t, err, c.cause)
			}
		})
	}
}
