package queue

import (
	"bytes"
	"io"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

var everything = func(string) bool { return true }

func message(t testing.TB, to ...string) Message {
	e, err := smtp.NewEnvelope("alice@sender.test", to...)
	require.NoError(t, err)
	return Message{Envelope: *e, Queued: time.Now()}
}

// all gives the messages of a store.
func all(t testing.TB, s Store) (list []Status) {
	for status, err := range s.All(t.Context()) {
		require.NoError(t, err)
		list = append(list, status)
	}
	return list
}

func read(t testing.TB, c smtp.Content) string {
	r, err := c.Open()
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Len(t, b, int(c.Size()))
	return string(b)
}

// TestClockSetBack: what was queued while the clock was years ahead is not left until then.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	const ahead = 10 * 365 * 24 * time.Hour
	future := time.Now().Add(ahead)
	add := func(to string, params smtp.MailParams) {
		m := message(t, to)
		m.Queued, m.Envelope.Params = future, params
		_, err := l.Add(t.Context(), m, nil, smtp.StringContent("x\r\n"))
		require.NoError(t, err)
	}
	add("now@a.test", smtp.MailParams{})
	add("later@b.test", smtp.MailParams{HoldFor: time.Hour})
	add("then@c.test", smtp.MailParams{HoldUntil: future.Add(time.Hour)})
	add("retried@d.test", smtp.MailParams{})
	job, _, err := l.Claim(t.Context(), future.Add(time.Minute), func(domain string) bool { return domain == "d.test" })
	require.NoError(t, err)
	require.NoError(t, l.Settle(t.Context(), job, []State{{Attempts: 1, Due: future.Add(2 * time.Hour)}}))
	require.NoError(t, l.Close())

	l, err = OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	now := time.Now()
	for _, s := range all(t, l) {
		want := map[string]time.Time{"a.test": now, "b.test": now.Add(time.Hour), "c.test": future.Add(time.Hour), "d.test": now.Add(2 * time.Hour)}[s.Message.Envelope.To[0].Path.Domain]
		require.WithinDuration(t, want, s.States[0].Due, 10*time.Minute, s.Message.Envelope.To[0].Path.String())
	}
}

// TestFarAway holds messages until times that are no number of nanoseconds since 1970: they are neither told wrongly nor due after a restart.
func TestFarAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	far := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	m := message(t, "asked@a.test")
	m.Envelope.Params.HoldUntil = far
	_, err = l.Add(t.Context(), m, nil, smtp.StringContent("x\r\n"))
	require.NoError(t, err)
	id, err := l.Add(t.Context(), message(t, "held@b.test"), nil, smtp.StringContent("x\r\n"))
	require.NoError(t, err)
	require.NoError(t, l.Reschedule(t.Context(), id, far))
	check := func() {
		for _, s := range all(t, l) {
			require.True(t, s.States[0].Due.Equal(far), s.States[0].Due.String())
		}
		j, next, err := l.Claim(t.Context(), time.Now(), everything)
		require.NoError(t, err)
		require.Nil(t, j)
		require.True(t, next.Equal(far), next.String())
	}
	check()
	require.NoError(t, l.Close())
	l, err = OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	check()
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "queue")
	l, err := OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	_, err = OpenLog(dir, LogOptions{})
	require.ErrorContains(t, err, "in use by another process")

	small := smtp.StringContent("Subject: small\r\n\r\nhello\r\n")
	large := smtp.BytesContent(bytes.Repeat([]byte("0123456789abcdef\r\n"), 200_000))
	first, err := l.Add(t.Context(), message(t, "a@x.test", "b@x.test", "c@y.test"), []byte("Received: x\r\n"), small)
	require.NoError(t, err)
	second, err := l.Add(t.Context(), message(t, "d@z.test"), []byte("Received: y\r\n"), large)
	require.NoError(t, err)
	require.Greater(t, second, first)

	j, _, err := l.Claim(t.Context(), time.Now(), func(domain string) bool { return domain == "x.test" })
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, j.Indexes)
	due := time.Now().Add(time.Hour).UTC().Truncate(0)
	require.NoError(t, l.Settle(t.Context(), j, []State{{Phase: Delivered}, {Attempts: 1, Due: due, Code: 451, Text: "later"}}))
	require.NoError(t, l.Close())

	l, err = OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	list := all(t, l)
	require.Len(t, list, 2)
	require.Equal(t, first, list[0].ID)
	require.Equal(t, Delivered, list[0].States[0].Phase)
	require.Equal(t, "later", list[0].States[1].Text)
	require.True(t, due.Equal(list[0].States[1].Due))
	seen := map[string]string{}
	for range 2 {
		j, _, err := l.Claim(t.Context(), time.Now(), everything)
		require.NoError(t, err)
		require.NotNil(t, j)
		seen[j.Domain] = read(t, j.Content)
	}
	require.Equal(t, map[string]string{"y.test": "Received: x\r\n" + string(small), "z.test": "Received: y\r\n" + string(large)}, seen)
	j, next, err := l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.Nil(t, j)
	require.True(t, due.Equal(next))
	require.ErrorIs(t, l.Remove(t.Context(), second), ErrBusy)
	require.ErrorIs(t, l.Remove(t.Context(), 12345), ErrNotFound)
	require.ErrorIs(t, l.Reschedule(t.Context(), 12345, time.Now()), ErrNotFound)
	require.ErrorIs(t, l.Reschedule(t.Context(), second, time.Now()), ErrBusy)
	require.NoError(t, l.Reschedule(t.Context(), first, time.Now()))
	j, _, err = l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.Equal(t, "x.test", j.Domain, "due at once")
	require.True(t, j.Asked)
}

// TestRescheduleIsDurable holds a message back, and lets another go, and cuts the power.
func TestRescheduleIsDurable(t *testing.T) {
	t.Parallel()
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(t, err)
	var ids []ID
	for range 2 {
		id, err := l.Add(t.Context(), message(t, "a@x.test", "b@y.test"), nil, smtp.StringContent("hi\r\n"))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	later := time.Now().Add(48 * time.Hour)
	require.NoError(t, l.Reschedule(t.Context(), ids[0], later))
	require.NoError(t, l.Reschedule(t.Context(), ids[1], later))
	require.NoError(t, l.Reschedule(t.Context(), ids[1], time.Now()))
	after := fs.Cut(rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, l.Close())
	l, err = openLog(after, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	for range 2 {
		j, _, err := l.Claim(t.Context(), time.Now(), everything)
		require.NoError(t, err)
		require.Equal(t, ids[1], j.ID)
	}
	j, next, err := l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.Nil(t, j)
	require.True(t, next.Equal(later))
	after.Fail(func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	require.ErrorIs(t, l.Reschedule(t.Context(), ids[0], time.Now()), syscall.ENOSPC)
	_, next, err = l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.True(t, next.Equal(later), "what could not be written is not done either")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(t, err)
	large := smtp.BytesContent(make([]byte, inlineSize+1))
	id, err := l.Add(t.Context(), message(t, "a@x.test"), nil, large)
	require.NoError(t, err)
	names, err := fs.Names()
	require.NoError(t, err)
	require.Contains(t, names, id.String()+textSuffix)
	require.NoError(t, l.Remove(t.Context(), id))
	names, err = fs.Names()
	require.NoError(t, err)
	require.NotContains(t, names, id.String()+textSuffix)
	require.NoError(t, l.Close())
	l, err = openLog(fs, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	list := all(t, l)
	require.Empty(t, list)
}

// TestCompaction keeps one message that cannot be delivered while many others come and go: the log stays small.
func TestCompaction(t *testing.T) {
	t.Parallel()
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{SegmentSize: 20_000})
	require.NoError(t, err)
	stuck, err := l.Add(t.Context(), message(t, "a@down.test"), nil, smtp.StringContent("stuck\r\n"))
	require.NoError(t, err)
	later := func(domain string) bool { return domain == "up.test" }
	for range 500 {
		_, err := l.Add(t.Context(), message(t, "b@up.test"), nil, smtp.BytesContent(make([]byte, 1000)))
		require.NoError(t, err)
		j, _, err := l.Claim(t.Context(), time.Now(), later)
		require.NoError(t, err)
		require.NoError(t, l.Settle(t.Context(), j, []State{{Phase: Delivered}}))
	}
	require.NoError(t, l.Close())
	require.Less(t, l.live, int64(2000))
	l, err = openLog(fs, LogOptions{SegmentSize: 20_000})
	require.NoError(t, err)
	defer l.Close()
	for l.compactOnce() {
	}
	require.Less(t, l.log.Size(), int64(100_000), "500 KB went through it")
	j, _, err := l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.Equal(t, stuck, j.ID)
	require.Equal(t, "stuck\r\n", read(t, j.Content))
}
