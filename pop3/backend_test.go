package pop3_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/internal/memnet"
	"github.com/gomailroom/mailroom/pop3"
	"github.com/stretchr/testify/require"
)

// brokenDrop fails where it is told to.
type brokenDrop struct {
	pop3.Maildrop
	at      string
	commits *[]string
}

func (d brokenDrop) Messages(ctx context.Context) ([]pop3.Message, error) {
	switch d.at {
	case "messages":
		return nil, errors.New("secret detail")
	case "uid":
		return []pop3.Message{{UID: "a b", Size: 1}}, nil
	}
	return d.Maildrop.Messages(ctx)
}

func (d brokenDrop) Open(ctx context.Context, uid string) (io.ReadCloser, error) {
	switch d.at {
	case "open":
		return nil, errors.New("secret detail")
	case "own words":
		return nil, &pop3.Error{Code: "SYS/PERM", Text: "on tape\r\n+OK"}
	case "first read":
		return io.NopCloser(iotestErr{}), nil
	case "read":
		return io.NopCloser(io.MultiReader(strings.NewReader("Subject: x\r\n\r\n"), iotestErr{})), nil
	}
	return d.Maildrop.Open(ctx, uid)
}

func (d brokenDrop) Commit(ctx context.Context, uids []string) error {
	*d.commits = append(*d.commits, uids...)
	if d.at == "commit" {
		return errors.New("secret detail")
	}
	return d.Maildrop.Commit(ctx, uids)
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errors.New("secret detail") }

func TestBackendFails(t *testing.T) {
	t.Parallel()
	cases := []struct{ at, pass, retr, quit string }{
		{"maildrop", "-ERR [SYS/TEMP] cannot read the maildrop now, try again later", "", ""},
		{"messages", "-ERR [SYS/TEMP] cannot read the maildrop now, try again later", "", ""},
		{"uid", "-ERR [SYS/PERM] maildrop has entries that POP3 cannot show", "", ""},
		{"open", "+OK 3 97", "-ERR [SYS/TEMP] cannot read the maildrop now, try again later", "+OK bye"},
		{"own words", "+OK 3 97", "-ERR [SYS/PERM] on tape??+OK", "+OK bye"},
		{"first read", "+OK 3 97", "-ERR [SYS/TEMP] cannot read the maildrop now, try again later", "+OK bye"},
		{"read", "+OK 3 97", "+OK 44 octets\r\nSubject: x\r\n", ""},
		{"commit", "+OK 3 97", "+OK 44 octets", "-ERR [SYS/TEMP] some deleted messages not removed"},
	}
	for _, tt := range cases {
		t.Run(tt.at, func(t *testing.T) {
			t.Parallel()
			srv, m := newServer(t)
			var commits []string
			srv.Backend = pop3.BackendFunc(func(ctx context.Context, identity string) (pop3.Maildrop, error) {
				if tt.at == "maildrop" {
					return nil, errors.New("secret detail")
				}
				d, err := m.Maildrop(ctx, identity)
				return brokenDrop{d, tt.at, &commits}, err
			})
			a, b := memnet.Pipe()
			ended := make(chan error, 1)
			go func() { ended <- srv.ServeConn(t.Context(), b) }()
			io.WriteString(a, "USER alice\r\nPASS pass word \r\nDELE 2\r\nRETR 1\r\nQUIT\r\n")
			a.(*memnet.Conn).CloseWrite()
			got, _ := io.ReadAll(a)
			err := <-ended
			require.NotContains(t, string(got), "secret")
			require.Contains(t, string(got), tt.pass+"\r\n")
			require.Contains(t, string(got), tt.retr)
			require.Contains(t, string(got), tt.quit)
			if tt.at == "read" {
				require.Error(t, err)
				require.NotContains(t, string(got), "\r\n.\r\n")
				require.Empty(t, commits, "a fetch that broke off deletes nothing")
			}
			d, err := m.Maildrop(t.Context(), "alice")
			require.NoError(t, err, "the maildrop was let go of")
			d.Close()
		})
	}
}

// The client is gone before the QUIT that it pipelined: what it could not
// fetch must not be deleted.
func TestPipelinedQuitOnBrokenConnection(t *testing.T) {
	t.Parallel()
	srv, m := newServer(t)
	big := []byte("Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20_000))
	uid := m.Deliver("mrose", big)
	a, b := memnet.Pipe()
	io.WriteString(a, "USER mrose\r\nPASS tanstaaf\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeConn(t.Context(), b) }()
	io.ReadFull(a, make([]byte, 1000))
	a.Close()
	require.Error(t, <-ended)
	require.Equal(t, []string{uid}, m.UIDs("mrose"))
}

func TestLongMessages(t *testing.T) {
	t.Parallel()
	srv, m := newServer(t)
	cases := []struct{ stored, sent string }{
		{strings.Repeat("x", 200_000), strings.Repeat("x", 200_000) + "\r\n"},
		{strings.Repeat(".\r\n", 50_000), strings.Repeat(".\r\n", 50_000)},
		{strings.Repeat("a\n", 50_000), strings.Repeat("a\r\n", 50_000)},
		{strings.Repeat("\n", 50_000), strings.Repeat("\r\n", 50_000)},
		{"", ""},
		{"x\r", "x\r\n"},
		{"\n.\n", "\r\n.\r\n"},
	}
	for _, tt := range cases {
		m.Deliver("mrose", []byte(tt.stored))
	}
	dial, _ := serve(t, srv, false)
	conn := dial()
	io.WriteString(conn, "USER mrose\r\nPASS tanstaaf\r\n")
	for i := range cases {
		io.WriteString(conn, "RETR "+string(rune('1'+i))+"\r\n")
	}
	io.WriteString(conn, "QUIT\r\n")
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(got), "\r\n+OK 7 ")
	for i, tt := range cases {
		_, body, _ := strings.Cut(rest, " octets\r\n")
		want := strings.ReplaceAll("\n"+tt.sent, "\n.", "\n..")[1:] + ".\r\n"
		require.True(t, strings.HasPrefix(body, want), "message %d", i+1)
		rest = body[len(want):]
	}
}
