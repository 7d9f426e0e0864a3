package smtp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	out, r, err := converse(&Server{}, "EHLO client.example\r\nMAIL FROM:<a@example.org> SIZE=100\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
		"Subject: x\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<\"b c\"@example.org>\r\nBDAT 5\r\nhelloBDAT 2 LAST\r\n\r\nQUIT\r\n")
	require.NoError(t, err)
	t.Log(out)
	t.Log(r.log())
}
