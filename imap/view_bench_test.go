package imap

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const million = 1_000_000

// bigView is a mailbox of a million messages, made once.
var bigView = sync.OnceValue(func() *View {
	put := make([]Message, million)
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range put {
		put[i] = Message{UID: UID(i + 1), ModSeq: ModSeq(i + 1), Size: int64(2000 + i%5000), InternalDate: start.Add(time.Duration(i) * time.Minute)}
	}
	v, err := NewView(1).Apply(Delta{ModSeq: million, Put: put})
	if err != nil {
		panic(err)
	}
	return v
})

func BenchmarkViewMemory(b *testing.B) {
	var before, after runtime.MemStats
	put := make([]Message, million)
	for i := range put {
		put[i] = Message{UID: UID(i + 1), ModSeq: 1, InternalDate: time.Unix(int64(i), 0)}
	}
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		v, err := NewView(1).Apply(Delta{ModSeq: 1, Put: put})
		require.NoError(b, err)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/million, "B/message")
		runtime.KeepAlive(v)
	}
	runtime.KeepAlive(put)
}

func BenchmarkViewSeq(b *testing.B) {
	v, uid := bigView(), UID(0)
	b.ReportAllocs()
	for b.Loop() {
		uid = (uid + 777_777) % million
		v.Seq(uid + 1)
	}
}

func BenchmarkViewMessage(b *testing.B) {
	v, seq := bigView(), uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		seq = (seq + 777_777) % million
		v.Message(seq + 1)
	}
}

func BenchmarkViewFlagChange(b *testing.B) {
	v, uid := bigView(), UID(0)
	b.ReportAllocs()
	for b.Loop() {
		uid = (uid + 777_777) % million
		m := v.Message(uint32(uid) + 1)
		m.Flags, m.ModSeq = m.Flags^FlagSeen, v.ModSeq()+1
		var err error
		if v, err = v.Apply(Delta{ModSeq: m.ModSeq, Put: []Message{m}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkViewAppend(b *testing.B) {
	v := bigView()
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if v, err = v.Apply(Delta{ModSeq: v.ModSeq() + 1, Put: []Message{{UID: v.UIDNext(), ModSeq: v.ModSeq() + 1}}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkViewExpunge(b *testing.B) {
	v, i := bigView(), uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		if v.Len() < million/2 {
			v = bigView()
		}
		i = (i + 777_777) % uint32(v.Len())
		var err error
		if v, err = v.Apply(Delta{ModSeq: v.ModSeq() + 1, Gone: UIDSetOf(v.Message(i + 1).UID)}); err != nil {
			b.Fatal(err)
		}
	}
}

// STORE 1:* +FLAGS (\Flagged)
func BenchmarkViewFlagAll(b *testing.B) {
	v := bigView()
	put := make([]Message, 0, million)
	for _, m := range v.All() {
		m.Flags |= FlagFlagged
		m.ModSeq = v.ModSeq() + 1
		put = append(put, m)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Apply(Delta{ModSeq: v.ModSeq() + 1, Put: put}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkViewAll(b *testing.B) {
	v := bigView()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range v.All() {
			n++
		}
		require.Equal(b, million, n)
	}
}

// One flag changed and one message went in a million.
func BenchmarkViewDiff(b *testing.B) {
	old := bigView()
	m := old.Message(500_000)
	m.ModSeq = old.ModSeq() + 1
	v, err := old.Apply(Delta{ModSeq: m.ModSeq, Put: []Message{m}, Gone: UIDSetOf(100_000)})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range v.Changed(old.ModSeq()) {
			n++
		}
		for range v.Vanished(old) {
			n++
		}
		if n != 2 {
			b.Fatal(n)
		}
	}
}

func BenchmarkViewEncode(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = bigView().AppendBinary(buf[:0])
	}
	b.ReportMetric(float64(len(buf))/million, "B/message")
}

func BenchmarkViewDecode(b *testing.B) {
	buf, err := bigView().AppendBinary(nil)
	require.NoError(b, err)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeView(buf); err != nil {
			b.Fatal(err)
		}
	}
}
