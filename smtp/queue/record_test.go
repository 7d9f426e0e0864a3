package queue

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestVersion1 opens a log that version 1 wrote. The file is never written anew.
func TestVersion1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := os.ReadFile("testdata/v1/00000001.log")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00000001.log"), b, 0o600))
	l, err := OpenLog(dir, LogOptions{})
	require.NoError(t, err)
	defer l.Close()
	list := all(t, l)
	got, err := json.MarshalIndent(list, "", "\t")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/v1/list.json")
	require.NoError(t, err)
	var statuses []Status // as this version writes them
	require.NoError(t, json.Unmarshal(want, &statuses))
	want, err = json.MarshalIndent(statuses, "", "\t")
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
	j, _, err := l.Claim(context.Background(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), everything)
	require.NoError(t, err)
	require.Equal(t, "Received: by mx.sender.test\r\nSubject: hi\r\n\r\nhello\r\n", read(t, j.Content))
}

func FuzzRecord(f *testing.F) {
	head, err := encodeMessage(&messageRecord{ID: 1, Message: message(f, "a@x.test"), States: make([]State, 1)})
	require.NoError(f, err)
	f.Add(head)
	states, err := encodeStates(&statesRecord{ID: 1, States: map[int]State{0: {Phase: Delivered}}})
	require.NoError(f, err)
	f.Add(states)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, text, err := decodeMessage(b); err == nil {
			require.LessOrEqual(t, text, len(b))
			require.Len(t, r.States, len(r.Message.Envelope.To))
		}
		_, _ = decodeStates(b)
	})
}
