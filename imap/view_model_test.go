package imap

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is a mailbox kept as a plain slice: what a View must agree with.
type model struct {
	uidNext  UID
	modseq   ModSeq
	keywords []string
	messages []Message
}

func (m *model) clone() *model {
	c := *m
	c.messages = slices.Clone(m.messages)
	return &c
}

// change makes a random delta and applies it to the model.
func (m *model) change(rnd *rand.Rand) Delta {
	m.modseq += ModSeq(1 + rnd.IntN(3))
	d := Delta{ModSeq: m.modseq}
	if rnd.IntN(10) == 0 && len(m.keywords) < MaxKeywords {
		m.keywords = append(slices.Clone(m.keywords), "k"+string(rune('A'+len(m.keywords))))
		d.Keywords = m.keywords
	}
	flags := func() Flags { return Flags(rnd.Uint64()) & (FlagsSystem | (1<<len(m.keywords)-1)*FlagKeyword) }
	everyNth := func() int { return []int{1, 2, 10, 100, 1000}[rnd.IntN(5)] }
	from := rnd.IntN(len(m.messages) + 1)
	to := from + rnd.IntN(len(m.messages)+1-from)
	switch kind := rnd.IntN(8); kind {
	case 0, 1: // flags
		nth := everyNth()
		for i := from; i < to; i++ {
			if rnd.IntN(nth) == 0 {
				m.messages[i].Flags, m.messages[i].ModSeq = flags(), m.modseq
				d.Put = append(d.Put, m.messages[i])
			}
		}
	case 2, 3: // expunge here and there, and what was never seen
		nth := everyNth()
		kept := m.messages[:0:0]
		for i, msg := range m.messages {
			if i >= from && i < to && rnd.IntN(nth) == 0 {
				d.Gone.Add(msg.UID)
			} else {
				kept = append(kept, msg)
			}
		}
		m.messages = kept
		if rnd.IntN(2) == 0 {
			d.Gone.AddRange(m.uidNext, m.uidNext+3)
			m.uidNext += 5
			d.UIDNext = m.uidNext
		}
	default: // arrivals, with flag changes before
		if len(m.messages) > 0 {
			i := rnd.IntN(len(m.messages))
			m.messages[i].Flags, m.messages[i].ModSeq = flags(), m.modseq
			d.Put = append(d.Put, m.messages[i])
		}
		for range rnd.IntN([]int{2, 10, 1000, 3000}[rnd.IntN(4)]) {
			msg := Message{UID: m.uidNext, Flags: flags(), ModSeq: m.modseq, Size: rnd.Int64N(1 << 20),
				InternalDate: time.Unix(rnd.Int64N(1<<32), 0).In(time.FixedZone("", []int{0, 3600, -12600, 20700}[rnd.IntN(4)]))}
			m.uidNext += UID(1 + rnd.IntN(2))
			m.messages = append(m.messages, msg)
			d.Put = append(d.Put, msg)
		}
		d.UIDNext = m.uidNext
	}
	return d
}

func requireSame(t *testing.T, want, got Message) {
	t.Helper()
	_, wantZone := want.InternalDate.Zone()
	_, gotZone := got.InternalDate.Zone()
	if !want.InternalDate.Equal(got.InternalDate) || wantZone != gotZone {
		t.Fatalf("dates differ: %v, %v", want, got)
	}
	want.InternalDate, got.InternalDate = time.Time{}, time.Time{}
	if want != got {
		t.Fatalf("messages differ: %v, %v", want, got)
	}
}

func (m *model) check(t *testing.T, v *View, rnd *rand.Rand) {
	t.Helper()
	require.Equal(t, len(m.messages), v.Len())
	require.Equal(t, m.uidNext, v.UIDNext())
	require.Equal(t, m.modseq, v.ModSeq())
	require.Equal(t, m.keywords, v.Keywords())
	unseen, deleted, size := 0, 0, int64(0)
	for seq, msg := range v.All() {
		requireSame(t, m.messages[seq-1], msg)
		if msg.Flags&FlagSeen == 0 {
			unseen++
		}
		if msg.Flags&FlagDeleted != 0 {
			deleted++
		}
		size += msg.Size
	}
	require.Equal(t, unseen, v.Unseen())
	require.Equal(t, deleted, v.Deleted())
	require.Equal(t, size, v.Size())
	for range 20 {
		uid := UID(rnd.Uint32N(uint32(m.uidNext) + 3))
		at, found := slices.BinarySearchFunc(m.messages, uid, func(x Message, uid UID) int { return int(x.UID) - int(uid) })
		seq, ok := v.Seq(uid)
		require.Equal(t, found, ok, "UID %d", uid)
		if found {
			require.EqualValues(t, at+1, seq)
		}
		require.EqualValues(t, at+1, v.SeqFrom(uid))
		if len(m.messages) > 0 {
			seq := uint32(1 + rnd.IntN(len(m.messages)))
			requireSame(t, m.messages[seq-1], v.Message(seq))
			last := seq + uint32(rnd.IntN(600))
			want := m.messages[seq-1 : min(int(last), len(m.messages))]
			for got, msg := range v.Messages(seq, last) {
				if want[0].UID != msg.UID || v.Message(got).UID != msg.UID {
					t.Fatalf("Messages(%d, %d) gives %v as %d", seq, last, msg, got)
				}
				want = want[1:]
			}
			require.Empty(t, want)
		}
	}
	var some UIDSet
	for range 5 {
		first := UID(rnd.Uint32N(uint32(m.uidNext) + 3))
		some.AddRange(first, first+UID(rnd.Uint32N(500)))
	}
	var want, got []UID
	for _, msg := range m.messages {
		if some.Contains(msg.UID) {
			want = append(want, msg.UID)
		}
	}
	for seq, msg := range v.Within(some) {
		if v.Message(seq).UID != msg.UID {
			t.Fatalf("Within gives %v as %d", msg, seq)
		}
		got = append(got, msg.UID)
	}
	require.Equal(t, want, got)
}

// Pictures agree with the model, old ones stay as they were, and from any to any later one Changed and Vanished tell it all.
func TestViewModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		m := &model{uidNext: 1}
		v := NewView(7)
		var views []*View
		var models []*model
		for range 60 {
			d := m.change(rnd)
			next, err := v.Apply(d)
			require.NoError(t, err)
			v = next
			m.check(t, v, rnd)
			views, models = append(views, v), append(models, m.clone())
		}
		for range 20 {
			i := rnd.IntN(len(views))
			j := i + rnd.IntN(len(views)-i)
			models[i].check(t, views[i], rnd)
			requireDiff(t, models[i], models[j], views[i], views[j])
		}
		b, err := v.AppendBinary(nil)
		require.NoError(t, err)
		again, err := DecodeView(b)
		require.NoError(t, err)
		m.check(t, again, rnd)
		requireDiff(t, models[3], m, views[3], again)
		// A tree stays dense: no two neighbours could be one.
		nodes := 0
		for _, g := range v.groups {
			nodes += len(g.chunks)
		}
		require.LessOrEqual(t, nodes, 4+4*v.Len()/chunkMax+len(v.groups))
	}
}

func requireDiff(t *testing.T, old, now *model, oldView, view *View) {
	t.Helper()
	var want, got []UID
	exists := map[UID]bool{}
	for _, msg := range now.messages {
		exists[msg.UID] = true
		if msg.ModSeq > old.modseq {
			want = append(want, msg.UID)
		}
	}
	for seq, msg := range view.Changed(old.modseq) {
		if now.messages[seq-1].UID != msg.UID {
			t.Fatalf("Changed gives %v as %d", msg, seq)
		}
		got = append(got, msg.UID)
	}
	require.Equal(t, want, got)
	want, got = nil, nil
	for _, msg := range old.messages {
		if !exists[msg.UID] {
			want = append(want, msg.UID)
		}
	}
	for seq, uid := range view.Vanished(oldView) {
		if old.messages[seq-1].UID != uid {
			t.Fatalf("Vanished gives UID %d as %d", uid, seq)
		}
		got = append(got, uid)
	}
	require.Equal(t, want, got)
}
