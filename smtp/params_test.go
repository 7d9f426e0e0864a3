package smtp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a command cannot say is an error, not a command that says something else.
func TestAppendMailParams(t *testing.T) {
	t.Parallel()
	ten, day := 10, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		p    MailParams
		want string // empty: an error
	}{
		"longest ENVID":             {MailParams{EnvelopeID: strings.Repeat("x", 100)}, " ENVID=" + strings.Repeat("x", 100)},
		"ENVID too long in xtext":   {MailParams{EnvelopeID: strings.Repeat("+", 34)}, ""},
		"priority":                  {MailParams{Priority: &ten}, ""},
		"hold, rounded up":          {MailParams{HoldFor: 1500 * time.Millisecond}, " HOLDFOR=2"},
		"hold too long":             {MailParams{HoldFor: 1e9 * time.Second}, ""},
		"hold for and until":        {MailParams{HoldFor: time.Second, HoldUntil: day}, ""},
		"hold until":                {MailParams{HoldUntil: day.In(time.FixedZone("", 3600))}, " HOLDUNTIL=2030-01-02T03:04:05Z"},
		"by with return, no time":   {MailParams{DeliverBy: &DeliverBy{Return: true}}, ""},
		"by with notification, old": {MailParams{DeliverBy: &DeliverBy{Within: -time.Second, Trace: true}}, " BY=-1;NT"},
		"by too far":                {MailParams{DeliverBy: &DeliverBy{Within: 1e9 * time.Second}}, ""},
		"by too long ago":           {MailParams{DeliverBy: &DeliverBy{Within: -1e9 * time.Second}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := appendMailParams(nil, &test.p)
			if test.want == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, string(b))
		})
	}
}
