package imap

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// threeMessages is a mailbox with the UIDs 2, 4 and 6, UIDNEXT 10, modification sequence 5 and one keyword.
func threeMessages(t testing.TB) *View {
	v, err := NewView(1).Apply(Delta{ModSeq: 5, UIDNext: 10, Keywords: []string{"$Junk"}, Put: []Message{
		{UID: 2, ModSeq: 3, Size: 10}, {UID: 4, ModSeq: 5, Size: 20, Flags: FlagSeen}, {UID: 6, ModSeq: 4, Size: 30, Flags: FlagKeyword},
	}})
	require.NoError(t, err)
	return v
}

func TestApplyRefusesNonsense(t *testing.T) {
	t.Parallel()
	many := make([]string, MaxKeywords+1)
	for i := range many {
		many[i] = "k" + string(rune('a'+i))
	}
	many[0] = "$Junk"
	for name, test := range map[string]struct {
		d   Delta
		uid UID // that the error names
	}{
		"back in time":              {Delta{ModSeq: 4}, 0},
		"change without time":       {Delta{ModSeq: 5, Gone: UIDSetOf(2)}, 0},
		"64 bits":                   {Delta{ModSeq: 1 << 63}, 0},
		"UIDNEXT back":              {Delta{ModSeq: 6, UIDNext: 9}, 9},
		"put UIDNEXT":               {Delta{ModSeq: 6, UIDNext: 10, Put: []Message{{UID: 10, ModSeq: 6}}}, 10},
		"put the last UID":          {Delta{ModSeq: 6, Put: []Message{{UID: math.MaxUint32, ModSeq: 6}}}, math.MaxUint32},
		"put UID 0":                 {Delta{ModSeq: 6, Put: []Message{{ModSeq: 6}}}, 0},
		"put twice":                 {Delta{ModSeq: 6, Put: []Message{{UID: 2, ModSeq: 6, Size: 10}, {UID: 2, ModSeq: 6, Size: 10}}}, 2},
		"put in disorder":           {Delta{ModSeq: 6, UIDNext: 20, Put: []Message{{UID: 11, ModSeq: 6}, {UID: 10, ModSeq: 6}}}, 10},
		"put a used UID":            {Delta{ModSeq: 6, Put: []Message{{UID: 7, ModSeq: 6}}}, 7},
		"put between":               {Delta{ModSeq: 6, Put: []Message{{UID: 3, ModSeq: 6}}}, 3},
		"put before":                {Delta{ModSeq: 6, Put: []Message{{UID: 1, ModSeq: 6}}}, 1},
		"put another size":          {Delta{ModSeq: 6, Put: []Message{{UID: 2, ModSeq: 6, Size: 11}}}, 2},
		"put a negative size":       {Delta{ModSeq: 6, Put: []Message{{UID: 10, ModSeq: 6, Size: -1}}}, 10},
		"put old news":              {Delta{ModSeq: 6, Put: []Message{{UID: 2, ModSeq: 5, Size: 10}}}, 2},
		"put the future":            {Delta{ModSeq: 6, Put: []Message{{UID: 2, ModSeq: 7, Size: 10}}}, 2},
		"unnamed flag":              {Delta{ModSeq: 6, Put: []Message{{UID: 2, ModSeq: 6, Size: 10, Flags: FlagKeyword << 1}}}, 2},
		"put and gone":              {Delta{ModSeq: 6, Put: []Message{{UID: 2, ModSeq: 6, Size: 10}}, Gone: UIDSetOf(2)}, 2},
		"gone before":               {Delta{ModSeq: 6, Gone: UIDSetOf(2, 3)}, 3},
		"gone, a range too long":    {Delta{ModSeq: 6, Gone: UIDSetRange(1, 9)}, 1},
		"gone, never there":         {Delta{ModSeq: 6, Gone: UIDSetOf(10)}, 10},
		"gone, everything":          {Delta{ModSeq: 6, UIDNext: math.MaxUint32, Gone: UIDSetRange(1, math.MaxUint32-1)}, 1},
		"keywords lost":             {Delta{ModSeq: 6, Keywords: []string{}}, 0},
		"keywords renamed":          {Delta{ModSeq: 6, Keywords: []string{"$NotJunk"}}, 0},
		"keyword twice":             {Delta{ModSeq: 6, Keywords: []string{"$Junk", "$junk"}}, 0},
		"keyword without a name":    {Delta{ModSeq: 6, Keywords: []string{"$Junk", ""}}, 0},
		"too many keywords":         {Delta{ModSeq: 6, Keywords: many}, 0},
		"gone and put in one range": {Delta{ModSeq: 6, Put: []Message{{UID: 10, ModSeq: 6}}, Gone: UIDSetOf(10)}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := threeMessages(t)
			next, err := v.Apply(test.d)
			require.Nil(t, next)
			var delta *DeltaError
			require.ErrorAs(t, err, &delta)
			require.Equal(t, test.uid, delta.UID, err)
			require.Equal(t, 3, v.Len())
		})
	}
}

func TestApplyAccepts(t *testing.T) {
	t.Parallel()
	v := threeMessages(t)
	same, err := v.Apply(Delta{ModSeq: 5})
	require.NoError(t, err)
	require.Equal(t, 3, same.Len())
	all, err := v.Apply(Delta{ModSeq: 9, UIDNext: 20, Gone: UIDSetOf(2, 4, 6, 10, 19)})
	require.NoError(t, err)
	require.Zero(t, all.Len())
	require.Equal(t, Message{}, all.Message(1))
	require.EqualValues(t, 20, all.UIDNext())
	last, err := all.Apply(Delta{ModSeq: 10, Put: []Message{{UID: math.MaxUint32 - 1, ModSeq: 10}}})
	require.NoError(t, err)
	require.EqualValues(t, math.MaxUint32, last.UIDNext())
	require.Equal(t, []string{"$Junk"}, last.Keywords())
}

// A list that is handed out is the caller's.
func TestViewKeywordsAreCopies(t *testing.T) {
	t.Parallel()
	v := threeMessages(t)
	v.Keywords()[0] = "x"
	require.Equal(t, []string{"$Junk"}, v.Keywords())
}

func TestDecodeViewRefuses(t *testing.T) {
	t.Parallel()
	good, err := threeMessages(t).AppendBinary([]byte("before"))
	require.NoError(t, err)
	require.Equal(t, "before", string(good[:6]))
	good = good[6:]
	_, err = DecodeView(good)
	require.NoError(t, err)
	for n := range good {
		_, err := DecodeView(good[:n])
		require.ErrorIs(t, err, ErrBadView, "cut at %d", n)
		bad := slices.Clone(good)
		bad[n] ^= 4
		_, err = DecodeView(bad)
		require.ErrorIs(t, err, ErrBadView, "changed at %d", n)
		bad = resum(append(slices.Clone(good[:n]), 0, 0, 0, 0))
		_, err = DecodeView(bad)
		if n != len(good)-4 {
			require.ErrorIs(t, err, ErrBadView, "cut at %d with a good checksum", n)
		}
	}
}

func resum(b []byte) []byte {
	if len(b) >= 4 {
		binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
	}
	return b
}

// Any bytes either are refused or give a view that holds together.
func FuzzDecodeView(f *testing.F) {
	good, _ := threeMessages(f).AppendBinary(nil)
	f.Add(good)
	empty, _ := NewView(1).AppendBinary(nil)
	f.Add(empty)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeView(resum(slices.Clone(b)))
		if err != nil {
			require.ErrorIs(t, err, ErrBadView)
			return
		}
		last, n := UID(0), 0
		for seq, m := range v.All() {
			n++
			require.EqualValues(t, n, seq)
			require.Greater(t, m.UID, last)
			require.Less(t, m.UID, v.UIDNext())
			require.LessOrEqual(t, m.ModSeq, v.ModSeq())
			last = m.UID
		}
		require.Equal(t, v.Len(), n)
		if v.ModSeq() < math.MaxInt64 && v.UIDNext() < math.MaxUint32 {
			_, err = v.Apply(Delta{ModSeq: v.ModSeq() + 1, Gone: v.UIDs(1, math.MaxUint32), Put: []Message{{UID: v.UIDNext(), ModSeq: v.ModSeq() + 1}}})
			require.NoError(t, err)
		}
	})
}

func TestLive(t *testing.T) {
	t.Parallel()
	var l Live
	_, err := l.View(t.Context())
	require.ErrorIs(t, err, ErrGone)
	require.Nil(t, l.Current())
	var seen []ModSeq
	stop := l.Watch(func(v *View) { seen = append(seen, v.ModSeq()) })
	v := threeMessages(t)
	require.True(t, l.Publish(v))
	require.False(t, l.Publish(v), "forward only")
	require.False(t, l.Publish(NewView(1)))
	again := NewView(2)
	require.True(t, l.Publish(again), "a mailbox made anew")
	require.Equal(t, []ModSeq{5, 0}, seen)
	stop()
	stop()
	next, err := again.Apply(Delta{ModSeq: 1, UIDNext: 2})
	require.NoError(t, err)
	require.True(t, l.Publish(next))
	require.Equal(t, []ModSeq{5, 0}, seen)
	got, err := l.View(t.Context())
	require.NoError(t, err)
	require.Same(t, next, got)
}

// Readers never see time go backwards, whatever order writers publish in.
func TestLiveConcurrent(t *testing.T) {
	t.Parallel()
	var l Live
	views := []*View{NewView(1)}
	for i := range 200 {
		v, err := views[i].Apply(Delta{ModSeq: ModSeq(i + 1), Put: []Message{{UID: UID(i + 1), ModSeq: ModSeq(i + 1)}}})
		require.NoError(t, err)
		views = append(views, v)
	}
	l.Publish(views[0])
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < len(views); i += 4 {
				l.Publish(views[i])
			}
		})
		wg.Go(func() {
			last := ModSeq(0)
			for last < 190 {
				v := l.Current()
				if v.ModSeq() < last || v.Len() != int(v.ModSeq()) {
					t.Errorf("picture %d after %d, %d messages", v.ModSeq(), last, v.Len())
					return
				}
				last = v.ModSeq()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 200, l.Current().ModSeq())
}

func TestInternalDateKeepsZone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2026-11-21T22:20:54Z", "1965-01-01T00:00:00+05:45", "2026-11-21T22:20:54-12:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00"} {
		at, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		require.Equal(t, text, packDate(at).time().Format(time.RFC3339))
	}
	require.True(t, packDate(time.Time{}).time().IsZero())
}
