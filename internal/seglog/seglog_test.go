package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gomailroom/mailroom/internal/disk"
	"github.com/stretchr/testify/require"
)

type entry struct {
	pos     Pos
	kind    byte
	payload string
}

func open(t *testing.T, fs disk.FS, opt Options) (*Log, []entry, []Damage) {
	t.Helper()
	var got []entry
	l, damage, err := Open(fs, opt, func(pos Pos, kind byte, payload []byte) error {
		got = append(got, entry{pos, kind, string(payload)})
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l, got, damage
}

func TestAppendReadReplay(t *testing.T) {
	t.Parallel()
	dir := disk.Dir(t.TempDir())
	l, got, _ := open(t, dir, Options{SegmentSize: 1000})
	require.Empty(t, got)
	var want []entry
	for i := range 100 {
		payload := fmt.Sprintf("payload %d %s", i, bytes.Repeat([]byte{'x'}, i))
		pos, err := l.Append(byte(i), []byte(payload[:5]), []byte(payload[5:]))
		require.NoError(t, err)
		want = append(want, entry{pos, byte(i), payload})
	}
	require.Greater(t, l.Head(), uint32(5), "segments roll")
	for _, e := range want {
		r, err := l.Read(e.pos)
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, e.payload, string(b))
		require.NoError(t, r.Close())
	}
	require.NoError(t, l.Close())
	_, err := l.Append(1, nil)
	require.ErrorIs(t, err, ErrClosed)

	l, got, damage := open(t, dir, Options{SegmentSize: 1000})
	require.Empty(t, damage)
	require.Equal(t, want, got)
	keep := want[50].pos.Segment
	held, err := l.Read(want[0].pos)
	require.NoError(t, err)
	require.NoError(t, l.DropBefore(keep))
	b, err := io.ReadAll(held)
	require.NoError(t, err, "a reader keeps its segment")
	require.Equal(t, want[0].payload, string(b))
	require.NoError(t, held.Close())
	_, err = l.Read(want[0].pos)
	require.Error(t, err)
	require.Equal(t, keep, l.Oldest())
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	var fs disk.Memory
	gate := make(chan struct{})
	var entered atomic.Bool
	first := make(chan struct{})
	l, _, _ := open(t, &fs, Options{})
	fs.Fail(func(op, _ string) error { // holds the first flush until everyone has queued
		if op == "sync" && !entered.Swap(true) {
			close(first)
			<-gate
		}
		return nil
	})
	var wg sync.WaitGroup
	wg.Go(func() { l.Append(0, []byte("first")) })
	<-first
	before := 0
	for i := range 50 {
		wg.Go(func() {
			_, err := l.Append(1, []byte{byte(i)})
			require.NoError(t, err)
		})
	}
	for queued := 0; queued < 50*(frameHeader+1); {
		l.mu.Lock()
		queued = len(l.pending.buf)
		l.mu.Unlock()
	}
	close(gate)
	wg.Wait()
	require.LessOrEqual(t, fs.Syncs()-before, 3, "one flush for the directory, one for the first, one for all that waited")
}

// TestCrash cuts the power at random moments: what was acknowledged is there, in order, and what is there was appended.
func TestCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		fs := &disk.Memory{}
		next := uint64(0)
		durable := map[uint64]bool{} // what was acknowledged or stands before what was, and what survived an earlier cut
		for range 1 + r.IntN(4) {
			l, got, _ := open(t, fs, Options{SegmentSize: 2000})
			seen := map[uint64]bool{}
			last := -1
			for _, e := range got {
				n := binary.LittleEndian.Uint64([]byte(e.payload))
				require.Less(t, n, next)
				require.Equal(t, payload(n), []byte(e.payload))
				require.Greater(t, int(n), last)
				last, seen[n] = int(n), true
			}
			for n := range durable {
				require.True(t, seen[n], "seed %d: frame %d is lost", seed, n)
			}
			durable = seen
			began := next
			for range r.IntN(30) {
				if r.IntN(4) == 0 {
					require.NoError(t, l.AppendLazy(2, payload(next)))
				} else {
					_, err := l.Append(1, payload(next))
					require.NoError(t, err)
					for n := began; n <= next; n++ {
						durable[n] = true
					}
				}
				next++
			}
			fs = fs.Cut(r)
		}
	}
}

func payload(n uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, n)
	return append(b, bytes.Repeat([]byte{byte(n)}, int(n*37%900))...)
}

func TestDamageLosesOnlyWhatItHit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		hit  func(b []byte, frame int) // frame is the offset of the fifth frame
		lost int
	}{
		{"payload", func(b []byte, at int) { b[at+frameHeader] ^= 1 }, 1},
		{"length", func(b []byte, at int) { b[at+keySize+4] ^= 0xff }, 1},
		{"length far", func(b []byte, at int) { b[at+keySize+7] ^= 0xff }, 1},
		{"key", func(b []byte, at int) { b[at] ^= 1 }, 1},
		{"header magic", func(b []byte, _ int) { b[0] ^= 1 }, 0},
		{"header key", func(b []byte, _ int) { b[headerSize-1] ^= 1 }, 0},
		{"a sector", func(b []byte, at int) { clear(b[at : at+512]) }, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			l, _, _ := open(t, disk.Dir(path), Options{})
			var at Pos
			for i := range 20 {
				pos, err := l.Append(1, bytes.Repeat([]byte{byte(i)}, 80))
				require.NoError(t, err)
				if i == 5 {
					at = pos
				}
			}
			require.NoError(t, l.Close())
			name := filepath.Join(path, segmentName(1))
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			c.hit(b, int(at.Offset))
			require.NoError(t, os.WriteFile(name, b, 0o600))
			_, got, damage := open(t, disk.Dir(path), Options{})
			require.Len(t, got, 20-c.lost)
			require.Len(t, damage, min(1, c.lost))
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	var fs disk.Memory
	l, _, _ := open(t, &fs, Options{})
	_, err := l.Append(1, []byte("one"))
	require.NoError(t, err)
	fs.Fail(func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	_, err = l.Append(1, []byte("two"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	fs.Fail(nil)
	_, err = l.Append(1, []byte("three"))
	require.NoError(t, err, "room again: the log goes on")
	require.NoError(t, l.Close())
	_, got, damage := open(t, &fs, Options{})
	require.Empty(t, damage)
	require.Len(t, got, 2)
	require.Equal(t, "three", got[1].payload)
}

func TestFailedFlushIsFinal(t *testing.T) {
	t.Parallel()
	var fs disk.Memory
	l, _, _ := open(t, &fs, Options{})
	fs.Fail(func(op, _ string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	_, err := l.Append(1, []byte("one"))
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, syscall.EIO)
	fs.Fail(nil)
	_, err = l.Append(1, []byte("two"))
	require.ErrorIs(t, err, ErrFailed, "after a failed flush nothing is known of the file")
}

func TestNewerVersion(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, segmentName(1)), append([]byte(headMagic+"\x02"), make([]byte, 100)...), 0o600))
	_, _, err := Open(disk.Dir(path), Options{}, nil)
	require.ErrorIs(t, err, ErrVersion)
}

func TestReplayErrorEndsOpen(t *testing.T) {
	t.Parallel()
	dir := disk.Dir(t.TempDir())
	l, _, _ := open(t, dir, Options{})
	_, err := l.Append(1, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	want := errors.New("no")
	_, _, err = Open(dir, Options{}, func(Pos, byte, []byte) error { return want })
	require.ErrorIs(t, err, want)
}

// FuzzOpen opens any octets as a segment.
func FuzzOpen(f *testing.F) {
	k := key{1, 2, 3, 4, 5, 6, 7, 8}
	good := appendFrame(nil, 1, 5, [][]byte{[]byte("hello")})
	sealFrames(good, k)
	f.Add(append(segmentHeader(1, k), good...))
	f.Add(append(append(segmentHeader(1, k), good[:9]...), good...))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(path, segmentName(1)), append(bytes.Clone(data), good...), 0o600))
		frames := 0
		l, _, err := Open(disk.Dir(path), Options{}, func(Pos, byte, []byte) error { frames++; return nil })
		if err != nil {
			require.ErrorIs(t, err, ErrVersion)
			return
		}
		if bytes.HasPrefix(data, segmentHeader(1, k)) {
			require.Positive(t, frames, "the good frame at the end is found")
		}
		require.NoError(t, l.Close())
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			l, _, err := Open(disk.Dir(b.TempDir()), Options{}, nil)
			require.NoError(b, err)
			defer l.Close()
			body := make([]byte, 2048)
			b.SetBytes(2048)
			b.ReportAllocs()
			b.SetParallelism(writers / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := l.Append(1, body); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// TestShortSegments opens what a crash may leave of a segment's first octets.
func TestShortSegments(t *testing.T) {
	t.Parallel()
	whole := append(segmentHeader(1, key{1, 2, 3}), make([]byte, frameHeader)...)
	for n := range whole {
		path := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(path, segmentName(1)), whole[:n], 0o600))
		l, got, _ := open(t, disk.Dir(path), Options{})
		require.Empty(t, got)
		require.NoError(t, l.Close())
	}
}
