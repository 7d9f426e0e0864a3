package imap

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseUIDSet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		star UID
		want string // "" for an error
	}{
		{"1", 0, "1"},
		{"1:3,2:5,7", 0, "1:5,7"},
		{"5:1", 0, "1:5"},
		{"9,8,7", 0, "7:9"},
		{"4294967295", 0, "4294967295"},
		{"1:4294967295,4294967295", 0, "1:4294967295"},
		{"*", 12, "12"},
		{"*:20", 12, "12:20"}, // RFC 3501 s9: the order does not matter
		{"5:*", 12, "5:12"},
		{"5:*", 0, ""},
		{"", 0, ""},
		{"0", 0, ""},
		{"01", 0, ""},
		{"1,", 0, ""},
		{"1:", 0, ""},
		{"1:2:3", 0, ""},
		{"4294967296", 0, ""},
		{"-1", 0, ""},
		{"1 ", 0, ""},
		{"1,2,3,4,5,6,7,8,9", 0, ""}, // past maxRanges
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			s, err := ParseUIDSet(test.text, test.star, 8)
			if test.want == "" {
				require.Error(t, err)
				require.True(t, s.IsEmpty())
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, s.String())
		})
	}
}

func TestUIDSetZero(t *testing.T) {
	t.Parallel()
	var s UIDSet
	require.True(t, s.IsEmpty())
	require.Zero(t, s.Len())
	require.Equal(t, "", s.String())
	require.False(t, s.Contains(1))
	require.True(t, s.Union(s).Equal(s.Intersect(s).Union(s.Subtract(s))))
	s.Add(0)
	require.True(t, s.IsEmpty(), "0 is no UID")
}

// The largest set costs one range.
func TestUIDSetFull(t *testing.T) {
	t.Parallel()
	s := UIDSetRange(1, 4294967295)
	require.Equal(t, 4294967295, s.Len())
	s = s.Subtract(UIDSetOf(1, 77, 4294967295))
	require.Equal(t, "2:76,78:4294967294", s.String())
	require.Equal(t, "2:76,78:4294967295", s.Union(UIDSetOf(4294967295)).String())
}

func TestUIDSetCloneIsApart(t *testing.T) {
	t.Parallel()
	a := UIDSetRange(1, 3)
	b := a.Clone()
	b.Add(4)
	require.Equal(t, "1:3", a.String())
	require.Equal(t, "1:4", b.String())
}

// Sets behave as maps of UIDs do.
func TestUIDSetModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		sets, models := [2]UIDSet{}, [2]map[UID]bool{{}, {}}
		for range 30 {
			k := rnd.IntN(2)
			first := UID(rnd.IntN(60))
			last := UID(max(0, int(first)+rnd.IntN(8)-2))
			sets[k].AddRange(first, last)
			for uid := max(1, min(first, last)); uid <= max(first, last); uid++ {
				models[k][uid] = true
			}
		}
		check := func(s UIDSet, in func(UID) bool) {
			t.Helper()
			var want []UID
			for uid := range UID(80) {
				if in(uid) {
					want = append(want, uid)
				}
				require.Equal(t, in(uid), s.Contains(uid))
			}
			require.Equal(t, want, slices.Collect(s.All()))
			require.Equal(t, len(want), s.Len())
			for i := 1; i < len(s.r); i++ {
				require.Greater(t, s.r[i].first, s.r[i-1].last+1, "ranges that touch are one")
			}
			if len(want) > 0 {
				again, err := ParseUIDSet(s.String(), 0, 0)
				require.NoError(t, err)
				require.True(t, s.Equal(again))
			}
		}
		a, b := models[0], models[1]
		check(sets[0], func(uid UID) bool { return a[uid] })
		check(sets[0].Union(sets[1]), func(uid UID) bool { return a[uid] || b[uid] })
		check(sets[0].Intersect(sets[1]), func(uid UID) bool { return a[uid] && b[uid] })
		check(sets[0].Subtract(sets[1]), func(uid UID) bool { return a[uid] && !b[uid] })
		check(UIDSetOf(slices.Collect(sets[0].All())...), func(uid UID) bool { return a[uid] })
		check(sets[0], func(uid UID) bool { return a[uid] })
	}
}

func FuzzParseUIDSet(f *testing.F) {
	for _, seed := range []string{"1", "1:*", "*:5,9", "4294967295:1", "1,,2", "1:2:3", "00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseUIDSet(text, 50, 100)
		if err != nil {
			return
		}
		again, err := ParseUIDSet(s.String(), 0, 100)
		require.NoError(t, err)
		require.True(t, s.Equal(again))
		require.Positive(t, s.Len())
	})
}
