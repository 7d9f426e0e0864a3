package imap

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A UIDSet is a set of UIDs, kept as sorted, disjoint ranges: what it costs depends on the number of ranges and never on how many UIDs they
// span. The zero value is empty. A copy shares memory with the original, as a slice does: Clone it before adding to both.
type UIDSet struct {
	r []uidRange // ascending; a gap of at least one between neighbours
}

type uidRange struct{ first, last UID }

// UIDSetOf gives the set of these UIDs; 0 is left out.
func UIDSetOf(uids ...UID) UIDSet {
	r := make([]uidRange, 0, len(uids))
	for _, uid := range uids {
		r = append(r, uidRange{uid, uid})
	}
	return normalize(r)
}

// UIDSetRange gives the set of all UIDs from first to last, which may come in either order; 0 is left out.
func UIDSetRange(first, last UID) UIDSet {
	var s UIDSet
	s.AddRange(first, last)
	return s
}

// Add adds one UID. Adding in ascending order takes constant time.
func (s *UIDSet) Add(uid UID) { s.AddRange(uid, uid) }

// AddRange adds all UIDs from first to last, which may come in either order (RFC 3501 s9, seq-range). 0 is left out.
func (s *UIDSet) AddRange(first, last UID) {
	if first > last {
		first, last = last, first
	}
	if last == 0 {
		return
	}
	first = max(first, 1)
	n := len(s.r)
	if n == 0 || first > s.r[n-1].last && first-s.r[n-1].last > 1 {
		s.r = append(s.r, uidRange{first, last})
		return
	}
	if first >= s.r[n-1].first {
		s.r[n-1].last = max(last, s.r[n-1].last)
		return
	}
	// The ranges from i to j touch or overlap the new one.
	i := sort.Search(n, func(i int) bool { return s.r[i].last >= first-1 })
	j := i
	for j < n && (s.r[j].first <= last || s.r[j].first == last+1) {
		first, last = min(first, s.r[j].first), max(last, s.r[j].last)
		j++
	}
	s.r = slices.Replace(s.r, i, j, uidRange{first, last})
}

// AddSet adds all of other.
func (s *UIDSet) AddSet(other UIDSet) {
	switch {
	case len(other.r) == 0:
	case len(other.r) == 1:
		s.AddRange(other.r[0].first, other.r[0].last)
	default:
		*s = s.Union(other)
	}
}

// Clone gives a set that shares nothing with s.
func (s UIDSet) Clone() UIDSet { return UIDSet{slices.Clone(s.r)} }

// IsEmpty says whether there is no UID in s.
func (s UIDSet) IsEmpty() bool { return len(s.r) == 0 }

// Contains says whether uid is in s.
func (s UIDSet) Contains(uid UID) bool {
	i := s.search(uid)
	return i < len(s.r) && s.r[i].first <= uid
}

// search gives the first range that ends at or after uid.
func (s UIDSet) search(uid UID) int {
	return sort.Search(len(s.r), func(i int) bool { return s.r[i].last >= uid })
}

// Len gives the number of UIDs.
func (s UIDSet) Len() int {
	var n uint64
	for _, r := range s.r {
		n += uint64(r.last-r.first) + 1
	}
	return int(min(n, math.MaxInt))
}

// NumRanges gives the number of ranges.
func (s UIDSet) NumRanges() int { return len(s.r) }

// Min gives the lowest UID, or 0 of an empty set.
func (s UIDSet) Min() UID {
	if len(s.r) == 0 {
		return 0
	}
	return s.r[0].first
}

// Max gives the highest UID, or 0 of an empty set.
func (s UIDSet) Max() UID {
	if len(s.r) == 0 {
		return 0
	}
	return s.r[len(s.r)-1].last
}

// All gives the UIDs in ascending order.
func (s UIDSet) All() iter.Seq[UID] {
	return func(yield func(UID) bool) {
		for _, r := range s.r {
			for uid := r.first; ; uid++ {
				if !yield(uid) {
					return
				}
				if uid == r.last {
					break
				}
			}
		}
	}
}

// Ranges gives the first and last UID of each range, in ascending order.
func (s UIDSet) Ranges() iter.Seq2[UID, UID] {
	return func(yield func(UID, UID) bool) {
		for _, r := range s.r {
			if !yield(r.first, r.last) {
				return
			}
		}
	}
}

// Equal says whether both sets have the same UIDs.
func (s UIDSet) Equal(other UIDSet) bool { return slices.Equal(s.r, other.r) }

// Union gives the UIDs that are in s, in other or in both.
func (s UIDSet) Union(other UIDSet) UIDSet {
	if len(s.r) == 0 {
		return other.Clone()
	}
	out := UIDSet{make([]uidRange, 0, len(s.r)+len(other.r))}
	a, b := s.r, other.r
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].first <= b[0].first {
			out.AddRange(a[0].first, a[0].last)
			a = a[1:]
		} else {
			out.AddRange(b[0].first, b[0].last)
			b = b[1:]
		}
	}
	return out
}

// Intersect gives the UIDs that are in both sets.
func (s UIDSet) Intersect(other UIDSet) UIDSet {
	var out UIDSet
	if len(s.r) == 0 || len(other.r) == 0 {
		return out
	}
	a, b := s.r[s.search(other.Min()):], other.r[other.search(s.Min()):]
	for len(a) > 0 && len(b) > 0 {
		first, last := max(a[0].first, b[0].first), min(a[0].last, b[0].last)
		if first <= last {
			out.r = append(out.r, uidRange{first, last})
		}
		if a[0].last <= b[0].last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

// Subtract gives the UIDs of s that are not in other.
func (s UIDSet) Subtract(other UIDSet) UIDSet {
	if len(s.r) == 0 || len(other.r) == 0 {
		return s.Clone()
	}
	out := UIDSet{make([]uidRange, 0, len(s.r))}
	b := other.r[other.search(s.Min()):]
	for _, r := range s.r {
		for len(b) > 0 && b[0].last < r.first {
			b = b[1:]
		}
		whole := true
		for i := 0; i < len(b) && b[i].first <= r.last; i++ {
			if b[i].first > r.first {
				out.r = append(out.r, uidRange{r.first, b[i].first - 1})
			}
			if b[i].last >= r.last {
				whole = false
				break
			}
			r.first = b[i].last + 1
			b, i = b[1:], i-1
		}
		if whole {
			out.r = append(out.r, r)
		}
	}
	return out
}

// String gives the set as IMAP writes it: "1:3,7". An empty set, which IMAP cannot write, gives "".
func (s UIDSet) String() string { return string(s.Append(nil)) }

// Append appends what String gives.
func (s UIDSet) Append(b []byte) []byte {
	for i, r := range s.r {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(r.first), 10)
		if r.last != r.first {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(r.last), 10)
		}
	}
	return b
}

// ParseUIDSet reads a set such as "1:3,7,9:*" (RFC 3501 s9, sequence-set). star is the UID that "*" stands for: the highest in the mailbox; with 0, "*" is refused, as
// uid-set demands (RFC 4315 s4). Of the ranges, in any order and overlapping as they like, at most maxRanges are taken; 0 means 10,000.
func ParseUIDSet(text string, star UID, maxRanges int) (UIDSet, error) {
	if maxRanges <= 0 {
		maxRanges = 10_000
	}
	n := strings.Count(text, ",") + 1
	if n > maxRanges {
		return UIDSet{}, fmt.Errorf("imap: UID set of %d ranges, %d allowed", n, maxRanges)
	}
	ranges := make([]uidRange, 0, n)
	for part := range strings.SplitSeq(text, ",") {
		a, b, isRange := strings.Cut(part, ":")
		first, err := parseUID(a, star)
		if err != nil {
			return UIDSet{}, err
		}
		last := first
		if isRange {
			if last, err = parseUID(b, star); err != nil {
				return UIDSet{}, err
			}
		}
		ranges = append(ranges, uidRange{min(first, last), max(first, last)})
	}
	return normalize(ranges), nil
}

func parseUID(text string, star UID) (UID, error) {
	if text == "*" && star != 0 {
		return star, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 || text[0] == '0' { // nz-number (RFC 3501 s9)
		return 0, fmt.Errorf("imap: %.20q is no UID", text)
	}
	return UID(n), nil
}

// normalize makes a set of ranges in any order. It keeps r.
func normalize(r []uidRange) UIDSet {
	byFirst := func(a, b uidRange) int { return cmp.Compare(a.first, b.first) }
	if !slices.IsSortedFunc(r, byFirst) {
		slices.SortFunc(r, byFirst)
	}
	out := UIDSet{r[:0]} // never overtakes the reading
	for _, x := range r {
		out.AddRange(x.first, x.last)
	}
	return out
}
