package imap

import (
	"slices"
	"strings"
	"time"

	"github.com/gomailroom/mailroom/mime"
)

// truth is what is known of a message before it is looked into.
type truth int8

const (
	never truth = iota
	maybe
	yes
)

// The costs of a key: what it has to see.
const (
	costView      = iota // flags, size, dates, UID
	costStructure        // the envelope that was parsed when the message came in
	costHeader           // the header as it stands in the message
	costBody             // the whole message
)

// A matcher is a search key made ready: keywords are bits, texts are folded, and what is cheap comes first.
type matcher struct {
	root *node
	want Want
}

type node struct {
	key    *SearchKey
	cost   int
	kids   []*node
	mask   Flags
	needle needle
	field  func(*mime.Envelope) any // of SearchHeader: the envelope's copy
	proved bool                     // the index of the backend has answered it
}

func newMatcher(key *SearchKey, keywords []string) *matcher {
	m := &matcher{}
	m.root = m.node(key, keywords)
	return m
}

func (m *matcher) node(k *SearchKey, keywords []string) *node {
	n := &node{key: k}
	for i := range k.Keys {
		kid := m.node(&k.Keys[i], keywords)
		n.kids = append(n.kids, kid)
		n.cost = max(n.cost, kid.cost)
	}
	slices.SortStableFunc(n.kids, func(a, b *node) int { return a.cost - b.cost })
	switch k.Op {
	case SearchFlag:
		n.mask = k.Flags
	case SearchKeyword:
		for i, name := range keywords {
			if strings.EqualFold(name, k.Name) {
				n.mask = FlagKeyword << i
			}
		}
	case SearchSentBefore, SearchSentOn, SearchSentSince:
		n.cost = costStructure
	case SearchHeader:
		n.cost, n.needle = costHeader, newNeedle(k.Text)
		if k.Text != "" { // whether a field is there at all, the envelope cannot tell
			if n.field = envelopeFields[strings.ToLower(k.Name)]; n.field != nil {
				n.cost = costStructure
			}
		}
	case SearchBody, SearchText:
		n.cost, n.needle = costBody, newNeedle(k.Text)
	}
	m.want.Structure = m.want.Structure || n.cost != costView
	m.want.Body = m.want.Body || n.cost >= costHeader
	return n
}

// within gives the UIDs that a search is limited to, if it is.
func (m *matcher) within() (uids UIDSet, ok bool) {
	for _, n := range append(m.root.kids, m.root) {
		if n.key.Op == SearchUID && (m.root.key.Op == SearchAnd || n == m.root) {
			if ok {
				uids = uids.Intersect(n.key.UIDs)
			} else {
				uids, ok = n.key.UIDs, true
			}
		}
	}
	return uids, ok
}

// onView decides as far as the view goes.
func (m *matcher) onView(n *node, msg *Message) truth {
	if n.cost == costView {
		if m.simple(n, msg) {
			return yes
		}
		return never
	}
	switch n.key.Op {
	case SearchAnd:
		all := yes
		for _, kid := range n.kids {
			if all = min(all, m.onView(kid, msg)); all == never {
				break
			}
		}
		return all
	case SearchOr:
		any := never
		for _, kid := range n.kids {
			if any = max(any, m.onView(kid, msg)); any == yes {
				break
			}
		}
		return any
	case SearchNot:
		return yes - m.onView(n.kids[0], msg)
	}
	return maybe
}

// simple decides a key that needs the view alone.
func (m *matcher) simple(n *node, msg *Message) bool {
	k := n.key
	switch k.Op {
	case SearchAll:
		return true
	case SearchAnd:
		for _, kid := range n.kids {
			if !m.simple(kid, msg) {
				return false
			}
		}
		return true
	case SearchOr:
		for _, kid := range n.kids {
			if m.simple(kid, msg) {
				return true
			}
		}
		return false
	case SearchNot:
		return !m.simple(n.kids[0], msg)
	case SearchUID:
		return k.UIDs.Contains(msg.UID)
	case SearchFlag, SearchKeyword:
		return n.mask != 0 && msg.Flags&n.mask == n.mask
	case SearchLarger:
		return msg.Size > k.Size
	case SearchSmaller:
		return msg.Size < k.Size
	case SearchBefore:
		return day(msg.InternalDate).Before(k.Time)
	case SearchOn:
		return day(msg.InternalDate).Equal(k.Time)
	case SearchSince:
		return !day(msg.InternalDate).Before(k.Time)
	case SearchOlder:
		return !msg.InternalDate.After(k.Time)
	case SearchYounger:
		return !msg.InternalDate.Before(k.Time)
	case SearchModSeq:
		return msg.ModSeq >= k.ModSeq
	}
	return false
}

// onMessage decides for good.
func (m *matcher) onMessage(n *node, msg *Message, item *Item) (bool, error) {
	if n.proved {
		return true, nil
	}
	if n.cost == costView {
		return m.simple(n, msg), nil
	}
	k := n.key
	switch k.Op {
	case SearchAnd, SearchOr:
		for _, kid := range n.kids {
			ok, err := m.onMessage(kid, msg, item)
			if err != nil || ok == (k.Op == SearchOr) {
				return ok, err
			}
		}
		return k.Op == SearchAnd, nil
	case SearchNot:
		ok, err := m.onMessage(n.kids[0], msg, item)
		return !ok, err
	case SearchSentBefore, SearchSentOn, SearchSentSince:
		return sent(k, item.Structure), nil
	case SearchHeader:
		if n.field != nil {
			return n.needle.inField(n.field(&item.Structure.Envelope)), nil
		}
		return n.needle.inHeader(item, k.Name)
	}
	return n.needle.inMessage(item, k.Op == SearchText)
}

// sent compares the day of the Date field, as it is called where the message was written. A message without date matches nothing.
func sent(k *SearchKey, s *mime.Structure) bool {
	t, ok := mime.ParseDate(s.Envelope.Date)
	if !ok {
		return false
	}
	return map[SearchOp]func(time.Time, time.Time) bool{
		SearchSentBefore: time.Time.Before,
		SearchSentOn:     time.Time.Equal,
		SearchSentSince:  func(d, than time.Time) bool { return !d.Before(than) },
	}[k.Op](day(t), k.Time)
}

// envelopeFields are the header fields that need no look at the message.
var envelopeFields = map[string]func(*mime.Envelope) any{
	"date":        func(e *mime.Envelope) any { return e.Date },
	"subject":     func(e *mime.Envelope) any { return e.Subject },
	"from":        func(e *mime.Envelope) any { return e.From },
	"to":          func(e *mime.Envelope) any { return e.To },
	"cc":          func(e *mime.Envelope) any { return e.Cc },
	"bcc":         func(e *mime.Envelope) any { return e.Bcc },
	"in-reply-to": func(e *mime.Envelope) any { return e.InReplyTo },
	"message-id":  func(e *mime.Envelope) any { return e.MessageID },
}
