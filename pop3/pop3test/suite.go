package pop3test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/pop3"
)

// Fixture is a backend with one empty maildrop.
type Fixture struct {
	Backend  pop3.Backend
	Identity string
	// Deliver puts a message, whose lines end with CRLF, into the maildrop, as
	// mail that arrives.
	Deliver func(t testing.TB, message []byte)
	// Exact says that a message is given back octet for octet; otherwise lines
	// may come before it, such as Return-Path and Received.
	Exact bool
}

// TestBackend runs the suite. open makes a new fixture for each test.
func TestBackend(t *testing.T, open func(t testing.TB) Fixture) {
	tests := []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"empty", testEmpty},
		{"contents", testContents},
		{"snapshot", testSnapshot},
		{"stable identifiers", testStable},
		{"commit", testCommit},
		{"commit twice", testCommitTwice},
		{"close keeps", testCloseKeeps},
		{"no such message", testNoMessage},
		{"second session", testSecondSession},
		{"early close of a message", testEarlyClose},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func messages() [][]byte {
	return [][]byte{
		[]byte("Subject: one\r\n\r\nfirst\r\n"),
		[]byte("Subject: two\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n"),
		[]byte("Subject: three\r\n\r\n" + strings.Repeat("0123456789\r\n", 20_000)),
		[]byte("Subject: empty\r\n\r\n"),
	}
}

func testEmpty(t *testing.T, f Fixture) {
	d, list := openDrop(t, f)
	if len(list) != 0 {
		t.Errorf("an empty maildrop lists %d messages", len(list))
	}
	closeDrop(t, d)
}

func testContents(t *testing.T, f Fixture) {
	sent := messages()
	for _, m := range sent {
		f.Deliver(t, m)
	}
	d, list := openDrop(t, f)
	defer closeDrop(t, d)
	if len(list) != len(sent) {
		t.Fatalf("%d messages listed, %d delivered", len(list), len(sent))
	}
	seen := make(map[string]bool)
	for i, m := range list {
		if len(m.UID) == 0 || len(m.UID) > 70 || strings.ContainsFunc(m.UID, func(r rune) bool { return r < '!' || r > '~' }) {
			t.Errorf("UID %q: want 1 to 70 characters from ! to ~ (RFC 1939 s7)", m.UID)
		}
		if seen[m.UID] {
			t.Errorf("UID %q twice", m.UID)
		}
		seen[m.UID] = true
		got := read(t, d, m.UID)
		if int64(len(got)) != m.Size {
			t.Errorf("message %d: Size %d, but %d octets", i+1, m.Size, len(got))
		}
		if f.Exact && !bytes.Equal(got, sent[i]) || !bytes.HasSuffix(got, sent[i]) {
			t.Errorf("message %d is not what was delivered", i+1)
		}
		if n := bytes.Count(got, []byte("\n")); n != bytes.Count(got, []byte("\r\n")) {
			t.Errorf("message %d has LF without CR", i+1)
		}
		if !bytes.Equal(read(t, d, m.UID), got) {
			t.Errorf("message %d reads differently the second time", i+1)
		}
	}
}

// What arrives or goes while a session is open must not disturb it.
func testSnapshot(t *testing.T, f Fixture) {
	f.Deliver(t, messages()[0])
	d, list := openDrop(t, f)
	f.Deliver(t, messages()[1])
	if len(list) != 1 {
		t.Fatalf("%d messages listed, 1 delivered", len(list))
	}
	read(t, d, list[0].UID)
	if err := d.Commit(t.Context(), []string{list[0].UID}); err != nil {
		t.Fatal(err)
	}
	closeDrop(t, d)
	d, list = openDrop(t, f)
	defer closeDrop(t, d)
	if len(list) != 1 {
		t.Fatalf("%d messages after one of two was deleted", len(list))
	}
	if !bytes.HasSuffix(read(t, d, list[0].UID), messages()[1]) {
		t.Error("the message that arrived during the session is not the one left")
	}
}

func testStable(t *testing.T, f Fixture) {
	for _, m := range messages() {
		f.Deliver(t, m)
	}
	d, before := openDrop(t, f)
	if err := d.Commit(t.Context(), []string{before[0].UID}); err != nil {
		t.Fatal(err)
	}
	closeDrop(t, d)
	f.Deliver(t, messages()[0])
	d, after := openDrop(t, f)
	defer closeDrop(t, d)
	if len(after) != len(before) {
		t.Fatalf("%d messages, want %d", len(after), len(before))
	}
	for i, m := range before[1:] {
		if after[i] != m {
			t.Errorf("message %+v is now %+v", m, after[i])
		}
	}
	if last := after[len(after)-1].UID; last == before[0].UID {
		t.Errorf("UID %q of a deleted message was used again", last)
	}
}

func testCommit(t *testing.T, f Fixture) {
	for _, m := range messages() {
		f.Deliver(t, m)
	}
	d, list := openDrop(t, f)
	if err := d.Commit(t.Context(), []string{list[2].UID, list[0].UID}); err != nil {
		t.Fatal(err)
	}
	closeDrop(t, d)
	d, left := openDrop(t, f)
	defer closeDrop(t, d)
	if len(left) != 2 || left[0] != list[1] || left[1] != list[3] {
		t.Errorf("left is %+v, want the second and fourth of %+v", left, list)
	}
}

func testCommitTwice(t *testing.T, f Fixture) {
	for _, m := range messages()[:2] {
		f.Deliver(t, m)
	}
	var list []pop3.Message
	for range 2 {
		d, l := openDrop(t, f)
		if list == nil {
			list = l
		}
		if err := d.Commit(t.Context(), []string{list[0].UID}); err != nil {
			t.Fatalf("deleting what is gone already must not fail: %v", err)
		}
		closeDrop(t, d)
	}
	d, left := openDrop(t, f)
	defer closeDrop(t, d)
	if len(left) != 1 || left[0] != list[1] {
		t.Errorf("left is %+v, want the second of %+v", left, list)
	}
}

func testCloseKeeps(t *testing.T, f Fixture) {
	f.Deliver(t, messages()[0])
	d, _ := openDrop(t, f)
	closeDrop(t, d)
	d, list := openDrop(t, f)
	defer closeDrop(t, d)
	if len(list) != 1 {
		t.Errorf("%d messages after a session without Commit, want 1", len(list))
	}
}

func testNoMessage(t *testing.T, f Fixture) {
	f.Deliver(t, messages()[0])
	d, list := openDrop(t, f)
	defer closeDrop(t, d)
	if body, err := d.Open(t.Context(), "no-such-uid"); err == nil {
		body.Close()
		t.Error("Open of an unknown UID gives no error")
	}
	read(t, d, list[0].UID)
}

// A second session is refused with ErrInUse, or sees the same.
func testSecondSession(t *testing.T, f Fixture) {
	f.Deliver(t, messages()[0])
	d, list := openDrop(t, f)
	second, err := f.Backend.Maildrop(t.Context(), f.Identity)
	switch {
	case err == nil:
		other, err := second.Messages(t.Context())
		if err != nil || len(other) != len(list) {
			t.Errorf("the second session lists %d messages, error %v", len(other), err)
		}
		closeDrop(t, second)
	case !errors.Is(err, pop3.ErrInUse):
		t.Errorf("a second session fails with %v, want ErrInUse", err)
	}
	closeDrop(t, d)
	d, _ = openDrop(t, f)
	closeDrop(t, d)
}

func testEarlyClose(t *testing.T, f Fixture) {
	f.Deliver(t, messages()[2])
	d, list := openDrop(t, f)
	defer closeDrop(t, d)
	body, err := d.Open(t.Context(), list[0].UID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(body, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	read(t, d, list[0].UID)
}

func openDrop(t *testing.T, f Fixture) (pop3.Maildrop, []pop3.Message) {
	t.Helper()
	d, err := f.Backend.Maildrop(t.Context(), f.Identity)
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.Messages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d, list
}

func read(t *testing.T, d pop3.Maildrop, uid string) []byte {
	t.Helper()
	body, err := d.Open(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	p, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func closeDrop(t *testing.T, d pop3.Maildrop) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
