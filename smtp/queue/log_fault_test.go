package queue

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/gomailroom/mailroom/smtp"
	"github.com/stretchr/testify/require"
)

// TestPowerCut adds, delivers and cuts the power at random: what was acknowledged is there with its text, what was delivered is not delivered again, and no text
// without a message stays on the disk.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		fs := &disk.Memory{}
		texts := map[ID]string{}
		finished := map[ID]bool{}
		for range 2 + r.IntN(3) {
			l, err := openLog(fs, LogOptions{SegmentSize: 3000})
			require.NoError(t, err)
			list := all(t, l)
			there := map[ID]bool{}
			for _, s := range list {
				there[s.ID] = true
				require.Contains(t, texts, s.ID, "seed %d", seed)
				require.False(t, finished[s.ID], "seed %d: %s was finished and is back", seed, s.ID)
			}
			for id := range texts {
				require.True(t, there[id] || finished[id], "seed %d: %s is lost", seed, id)
			}
			for range r.IntN(25) {
				if r.IntN(3) > 0 {
					text := fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", r.IntN(1000), bytes.Repeat([]byte{'x'}, r.IntN(900)))
					if r.IntN(100) == 0 {
						text += string(make([]byte, inlineSize))
					}
					id, err := l.Add(t.Context(), message(t, "a@x.test", fmt.Sprintf("b@%d.test", r.IntN(3))), nil, smtp.StringContent(text))
					require.NoError(t, err)
					texts[id] = text
					continue
				}
				j, _, err := l.Claim(t.Context(), time.Now().Add(time.Hour), everything)
				require.NoError(t, err)
				if j == nil {
					continue
				}
				require.Equal(t, texts[j.ID], read(t, j.Content), "seed %d", seed)
				states := make([]State, len(j.Indexes))
				for i := range states {
					states[i] = State{Phase: Phase(r.IntN(2)), Attempts: 1, Due: time.Now()}
				}
				require.NoError(t, l.Settle(t.Context(), j, states))
				l.mu.Lock()
				finished[j.ID] = l.entries[j.ID] == nil
				l.mu.Unlock()
			}
			after := fs.Cut(r)
			require.NoError(t, l.Close())
			fs = after
		}
	}
}

// TestUnreadableMessage damages one message on the disk under an open log: the others are listed and delivered, and an operator can get rid of it.
func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := OpenLog(dir, LogOptions{SegmentSize: 2000})
	require.NoError(t, err)
	defer l.Close()
	var ids []ID
	for range 3 {
		id, err := l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.StringContent("hi\r\n"))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	pos := l.entries[ids[0]].pos
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%08d.log", pos.Segment)), os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, 20), pos.Offset)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	var seen []ID
	for s, err := range l.All(t.Context()) {
		if seen = append(seen, s.ID); s.ID == ids[0] {
			require.ErrorContains(t, err, ids[0].String())
			require.Len(t, s.States, 1, "what memory has of it")
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, ids, seen)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range l.All(canceled) {
		require.ErrorIs(t, err, context.Canceled)
	}
	_, _, err = l.Claim(t.Context(), time.Now(), everything)
	require.ErrorContains(t, err, ids[0].String())
	for _, id := range ids[1:] {
		j, _, err := l.Claim(t.Context(), time.Now(), everything)
		require.NoError(t, err)
		require.Equal(t, id, j.ID)
		require.NoError(t, l.Settle(t.Context(), j, []State{{Phase: Delivered}}))
	}
	for range 20 { // so that there is something to compact
		id, err := l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.BytesContent(make([]byte, 500)))
		require.NoError(t, err)
		require.NoError(t, l.Remove(t.Context(), id))
	}
	require.Eventually(t, func() bool { // the compactor has seen it, and does not try again and again
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.stuck == pos.Segment
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, l.Remove(t.Context(), ids[0]))
	for l.compactOnce() {
	}
	require.Greater(t, l.log.Oldest(), pos.Segment)
}

func TestFullDiskRefuses(t *testing.T) {
	t.Parallel()
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	for _, size := range []int{10, inlineSize + 10} {
		fs.Fail(func(op, _ string) error {
			if op == "write" {
				return syscall.ENOSPC
			}
			return nil
		})
		_, err = l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.BytesContent(make([]byte, size)))
		require.ErrorIs(t, err, syscall.ENOSPC)
		fs.Fail(nil)
		_, err = l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.BytesContent(make([]byte, size)))
		require.NoError(t, err)
	}
	list := all(t, l)
	require.Len(t, list, 2)
}

// TestFailedFlushDeliversAgain cannot record a delivery: the message is not given out again while the log is open, and after a restart it is there with its text.
func TestFailedFlushDeliversAgain(t *testing.T) {
	t.Parallel()
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(t, err)
	large := smtp.BytesContent(bytes.Repeat([]byte("x"), inlineSize+1))
	_, err = l.Add(t.Context(), message(t, "a@x.test"), nil, large)
	require.NoError(t, err)
	j, _, err := l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	fs.Fail(func(op, _ string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	require.ErrorIs(t, l.Settle(t.Context(), j, []State{{Phase: Delivered}}), syscall.EIO)
	j, _, err = l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.Nil(t, j)
	back := 0
	for seed := range uint64(10) {
		after, err := openLog(fs.Cut(rand.New(rand.NewPCG(seed, 3))), LogOptions{})
		require.NoError(t, err)
		j, _, err = after.Claim(t.Context(), time.Now(), everything)
		require.NoError(t, err)
		if j != nil { // the frame may have reached the disk all the same
			back++
			require.Equal(t, string(large), read(t, j.Content))
		}
		require.NoError(t, after.Close())
	}
	require.NotZero(t, back)
	require.Error(t, l.Close())
}

// TestFailedFlushOfLargeText refuses a message when nobody knows what is on the disk. It is there after a restart, since the disk had it, and then with its text.
func TestFailedFlushOfLargeText(t *testing.T) {
	t.Parallel()
	fs := &disk.Memory{}
	l, err := openLog(fs, LogOptions{})
	require.NoError(t, err)
	large := strings.Repeat("0123456789abcdef", inlineSize/16+1)
	fs.Fail(func(op, name string) error {
		if op == "sync" && strings.HasSuffix(name, ".log") {
			return syscall.EIO
		}
		return nil
	})
	_, err = l.Add(t.Context(), message(t, "a@x.test"), nil, smtp.StringContent(large))
	require.ErrorIs(t, err, syscall.EIO)
	require.Error(t, l.Close())
	fs.Fail(nil)
	l, err = openLog(fs, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	j, _, err := l.Claim(t.Context(), time.Now(), everything)
	require.NoError(t, err)
	require.NotNil(t, j)
	require.Equal(t, large, read(t, j.Content))
}
