package imap

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMailboxNames(t *testing.T) {
	t.Parallel()
	for wire, name := range map[string]string{
		"INBOX":                           "INBOX",
		"inbox":                           "INBOX",
		"inBox/a":                         "INBOX/a",
		"inboxes":                         "inboxes",
		"a&-b":                            "a&b",
		"~peter/mail/&U,BTFw-/&ZeVnLIqe-": "~peter/mail/台北/日本語",
		"&2D3eAA-":                        "😀",
		"Entw&APw-rfe":                    "Entwürfe",
		"Entwürfe":                        "Entwürfe", // UTF-8 as it is
		"u\u0308":                         "ü",        // NFC
		"&AHUDCA-":                        "",         // U+0075 in base64 is a second spelling
	} {
		got, err := decodeMailbox(wire)
		if name == "" {
			require.Error(t, err, wire)
			continue
		}
		require.NoError(t, err, wire)
		require.Equal(t, name, got, wire)
		back, err := decodeMailbox(encodeUTF7(got))
		require.NoError(t, err)
		require.Equal(t, got, back)
	}
	for _, wire := range []string{"&", "a&", "&AB", "&AB-", "&2D0-", "&####-", "\xff", "a\x00b", "a\u2028b", strings.Repeat("x", 1001)} {
		_, err := decodeMailbox(wire)
		require.Error(t, err, "%q", wire)
	}
}

// TestBlanksInLists: Dovecot's dsync writes a space before a list of keywords only.
func TestBlanksInLists(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`(\Seen $Forwarded)`, `( \Seen $Forwarded)`, `(\Seen  $Forwarded )`} {
		p := parser{b: []byte(text)}
		got := p.flagList()
		require.NoError(t, p.end(), text)
		require.Equal(t, flagSet{FlagSeen, []string{"$Forwarded"}}, got, text)
	}
	for text, ok := range map[string]bool{"()": true, "( )": true, "(": false, "( ": false, "(a ": false, "(a": false, "(a(": false} {
		p := parser{b: []byte(text)}
		p.flagList()
		require.Equal(t, ok, p.end() == nil, text)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	p := parser{b: []byte(`" 7-Feb-1994 21:52:25 -0800"`)}
	got := p.dateTime()
	require.NoError(t, p.end())
	require.True(t, got.Equal(time.Date(1994, 2, 8, 5, 52, 25, 0, time.UTC)))
	require.Equal(t, `" 7-Feb-1994 21:52:25 -0800"`, got.Format(dateTimeLayout))
	require.Equal(t, time.Date(1994, 2, 7, 0, 0, 0, 0, time.UTC), day(got), "the day where it was written")
	for _, bad := range []string{`"32-Jan-2000 00:00:00 +0000"`, `"01-Foo-2000 00:00:00 +0000"`, `""`, `x`, `"01-Jan-2000"`} {
		p := parser{b: []byte(bad)}
		p.dateTime()
		require.Error(t, p.err, bad)
	}
	for text, ok := range map[string]bool{"1-Feb-1994": true, `"01-feb-1994"`: true, "31-Feb-1994": false, "Feb": false, `"`: false} {
		p := parser{b: []byte(text)}
		p.date()
		require.Equal(t, ok, p.err == nil, text)
	}
}

func TestMatchPattern(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"%", "a/b", false}, {"%", "a", true}, {"a/%", "a/b", true}, {"a/%", "a/b/c", false}, {"*b", "a/b", true}, {"%/%", "a/b", true}, {"a*%c", "a/b/c", true},
		{"a", "A", false}, {"", "", true}, {"%*", "", true}, {"a%b*c", "axxb/yyc", true}, {"a%b", "ax/xb", false}, {strings.Repeat("*a", 500), strings.Repeat("a", 1000), true},
		{strings.Repeat("%a", 500) + "b", strings.Repeat("a", 1000), false},
	} {
		require.Equal(t, test.want, matchPattern(test.pattern, test.name), "%.20q %.20q", test.pattern, test.name)
	}
}

func TestSections(t *testing.T) {
	t.Parallel()
	for text, label := range map[string]string{
		"[]": "BODY[]", "[1.2]": "BODY[1.2]", "[header]<1.2>": "BODY[HEADER]", "[1.Mime]": "BODY[1.MIME]",
		`[2.HEADER.FIELDS (From "x y")]`: "", `[HEADER.FIELDS.NOT (a "b[")]`: `BODY[HEADER.FIELDS.NOT (a b[)]`, "[TEXT": "", "[0]": "", "[1..2]": "", "[1TEXT]": "",
		"[]<1>": "", "[]<1.2.3>": "", "[HEADER.FIELDS ()]": "", "[99999999999]": "",
	} {
		p := parser{b: []byte(text)}
		var s section
		p.section(&s)
		err := p.end()
		if label == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, label, s.label)
	}
}

// TestSearchLooksFar finds what lies across the blocks that a body is read in.
func TestSearchLooksFar(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"needle in HAY", "Nädel im HEU"} {
		n := newNeedle(strings.ToUpper(text))
		for _, at := range []int{0, 1, blockSize - 14, blockSize - 13, blockSize - 5, blockSize, 2*blockSize - 20, 2*blockSize - 3, 3 * blockSize} {
			found, err := n.inReader(strings.NewReader(strings.Repeat("é", at/2) + strings.Repeat("x", at%2) + text + "tail"))
			require.NoError(t, err)
			require.True(t, found, "%s at %d", text, at)
		}
		found, err := n.inReader(strings.NewReader(strings.Repeat(text[:len(text)-1], 5000)))
		require.NoError(t, err)
		require.False(t, found)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	e := answer(ErrOverQuota)
	require.Equal(t, "OVERQUOTA", e.Code)
	require.True(t, e.Temporary())
	require.ErrorIs(t, e, ErrOverQuota)
	require.Equal(t, "imap: NO [OVERQUOTA] Over quota: imap: over quota", e.Error())
	require.Equal(t, "SERVERBUG", answer(errors.New("disk on fire")).Code)
	require.Equal(t, StatusBye, answer(ErrGone).Status)
	own := &Error{Code: "CORRUPTION", Text: "lost", Command: "FETCH"}
	require.Equal(t, own, answer(own))
	require.Equal(t, "imap: FETCH: NO [CORRUPTION] lost", own.Error())
}

// TestSkippedCommandStaysSkipped sends commands inside the literal of a command that is refused later for its length: they must not be obeyed.
func TestSkippedCommandStaysSkipped(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"line":                strings.Repeat("y", 200) + "\r\nb NOOP\r\n",
		"literal on the line": strings.Repeat("y", 200) + " {8+}\r\nx EVIL\r\n\r\nb NOOP\r\n",
		"literal too big":     " {60+}\r\n" + strings.Repeat("EVIL\r\n", 10) + "\r\nb NOOP\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, step := range []int{1, 7, 1000} {
				f := &framer{maxLine: 100, maxLiteral: 50, maxCommand: 300, maxDrain: 1000}
				input := "a SEARCH {16+}\r\nx EVIL\r\ny EVIL\r\n" + rest
				var kinds []eventKind
				last := ""
				for i := 0; i < len(input); i += step {
					piece := input[i:min(len(input), i+step)]
					f.commit(copy(f.space(len(piece)), piece))
					for ev := f.next(); ev.kind != evMore; ev = f.next() {
						kinds = append(kinds, ev.kind)
						last = string(ev.data)
					}
				}
				require.Len(t, kinds, 2)
				require.NotEqual(t, evCommand, kinds[0])
				require.Equal(t, "b NOOP", last)
			}
		})
	}
}

// TestNoInjection holds that nothing a client or a sender wrote can end a line of ours.
func TestNoInjection(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := &writer{w: &out}
	for _, s := range []string{"a\r\nb", "\x00\n", `"\`, "", "é"} {
		w.string(s)
		w.byte('|')
	}
	require.NoError(t, w.flush())
	require.Equal(t, "{4}\r\na\r\nb|{2}\r\n?\n|\"\\\"\\\\\"|\"\"|{2}\r\né|", out.String())
	require.Equal(t, "a??b", oneLine("a\r\nb"))
}

// FuzzParser reads commands of every kind, none of which may panic or run away.
func FuzzParser(f *testing.F) {
	for _, s := range []string{`1:* (FLAGS BODY[1.HEADER.FIELDS ("a" b)]<0.5>) (CHANGEDSINCE 5)`, "1,2:4 +FLAGS.SILENT (\\Seen x)",
		"OR NOT (ALL) UID 4:* SUBJECT {3}\r\nabc SINCE 1-Feb-1994", `(SUBSCRIBED) "" (a "b") RETURN (STATUS (MESSAGES))`, `(\Seen) "01-Jan-2000 00:00:00 +0000" {5}`, `"a\"b" &AAA-`} {
		f.Add([]byte(" " + s))
	}
	v, err := NewView(1).Apply(Delta{ModSeq: 1, UIDNext: 8, Put: []Message{{UID: 3, ModSeq: 1}, {UID: 7, ModSeq: 1}}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &session{cfg: &settings{limits: Limits{}.withDefaults()}, box: &box{picture: newPicture(v, false)}}
		fetch := parser{b: b}
		_, plan, err := fetch.fetch()
		if err == nil {
			require.LessOrEqual(t, len(plan.items), maxFetchItems+3)
		}
		(&parser{b: b}).store()
		(&parser{b: b}).flagList()
		(&parser{b: b}).appendMeta()
		(&parser{b: b}).dateTime()
		s.parseList(&parser{b: b})
		q, err := s.parseSearch(&parser{b: b})
		if err == nil {
			newMatcher(&q.key, nil).onView(newMatcher(&q.key, nil).root, &Message{UID: 3})
		}
		if name, err := decodeMailbox(string(b)); err == nil {
			back, err := decodeMailbox(encodeUTF7(name))
			require.NoError(t, err)
			require.Equal(t, name, back)
		}
		matchPattern(string(b), "INBOX/a")
	})
}

// FuzzFramer cuts input at any place: the same commands must come out.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("a LOGIN {5}\r\nalice {6+}\r\nsecret\r\nb NOOP\r\n"), 7)
	f.Add([]byte("a X {99999+}\r\n"+strings.Repeat("x", 200)+"\r\nb NOOP\n"), 20)
	f.Add([]byte("a APPEND x {3+}\r\nabc {4}\r\nabcd\r\nb NOOP\r\n"), 9)
	f.Fuzz(func(t *testing.T, input []byte, cut int) {
		run := func(pieces ...[]byte) (events []string) {
			fr := &framer{maxLine: 100, maxLiteral: 50, maxCommand: 200, maxDrain: 1000}
			for _, p := range pieces {
				for i := 0; i < len(p); {
					n := copy(fr.space(1), p[i:])
					fr.commit(n)
					i += n
					for {
						ev := fr.next()
						if ev.kind == evMore {
							break
						}
						if ev.kind == evHopeless {
							return append(events, "hopeless")
						}
						data := string(ev.data)
						if ev.kind == evTooLong {
							data = "" // what is known of it depends on when it is noticed
						}
						events = append(events, string(rune('0'+ev.kind))+data)
						if ev.kind == evMessage {
							fr.refuse(min(ev.size, 1000))
						}
						require.LessOrEqual(t, len(ev.data), 300)
					}
					require.LessOrEqual(t, len(fr.buf), len(input))
				}
			}
			return events
		}
		cut = max(0, min(cut, len(input)))
		require.Equal(t, run(input), run(input[:cut], input[cut:]))
	})
}
