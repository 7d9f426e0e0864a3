package mime_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func TestReceived(t *testing.T) {
	t.Parallel()
	h := mime.ParseHeader([]byte("Received: from mail.example.net (out.example.net [IPv6:2001:db8::7])\r\n\tby mx.example.org (Postfix) with ESMTPS id 4F1D2A\r\n\tfor <bob@example.org>; Tue, 3 Nov 2026 10:20:30 +0100 (CET)\r\nReceived: nonsense\r\n\r\n"))
	var all []mime.Received
	for r := range h.Received() {
		all = append(all, r)
	}
	require.Len(t, all, 2)
	r := all[0]
	require.True(t, time.Date(2026, 11, 3, 9, 20, 30, 0, time.UTC).Equal(r.Time))
	r.Time = time.Time{}
	require.Equal(t, mime.Received{
		From: "mail.example.net", Host: "out.example.net", IP: netip.MustParseAddr("2001:db8::7"),
		By: "mx.example.org", With: "ESMTPS", ID: "4F1D2A", For: "bob@example.org",
	}, r)
	require.Equal(t, mime.Received{}, all[1])
}

func TestVectorsReceived(t *testing.T) {
	t.Parallel()
	type host struct{ Name, IpAddr string }
	type received struct {
		From, By *host
		IP       string `json:"from_ip"`
		For      string `json:"for_"`
		ID       string
		Via      string
		With     string
		Date     *struct{ Year, Month, Day, Hour, Minute, Second int }
	}
	const (
		century  = "two digits of a year up to 49 are in this century (RFC 5322 s4.3)"
		order    = "theirs takes the year for a time zone or the like; the date is in the order of ctime"
		program  = "the name of a program comes first"
		sentence = "a sentence, no clauses"
	)
	why := map[string]string{
		"13 date": order, "117 date": order, "118 date": order, "151 date": order,
		"89 date": century, "90 date": century, "128 date": century,
		"144 date": "the seconds have a fraction",
		"26 with":  program, "27 with": program, "147 with": program,
		"98 with": "ESMTP-TLS, as written", "113 with": "ESMTP-TLS, as written",
		"123 by":   "there are two, and the first one counts",
		"125 from": "theirs cuts the name at its slash",
		"128 for":  "it stands after the date",
		"165 from": sentence, "171 from": sentence,
	}
	for i, v := range vectors[received](t, "received.json") {
		got := mime.ParseReceived(value(v.Header))
		want := v.Expected
		check := func(field, want, got string) {
			key := fmt.Sprint(i, " ", field)
			same := want == "" || strings.EqualFold(want, got)
			switch field {
			case "id":
				same = same || strings.HasPrefix(got, want) // an identifier does not end at a slash
			case "with":
				same = same || strings.Contains(strings.ToUpper(got), want) // theirs is one of a list of protocols, ours as written
			}
			if reason := why[key]; reason != "" {
				require.False(t, same, "%s is argued (%s), but as expected now", key, reason)
			} else if !same {
				t.Errorf("%s: want %q, got %q: %q", key, want, got, v.Header)
			}
		}
		if want.From != nil {
			check("from", want.From.Name+want.From.IpAddr, got.From)
		}
		if want.By != nil {
			check("by", want.By.Name+want.By.IpAddr, got.By)
		}
		if ip, err := netip.ParseAddr(want.IP); err == nil {
			check("ip", ip.Unmap().String(), got.IP.String())
		}
		check("for", want.For, got.For)
		check("id", want.ID, got.ID)
		check("via", want.Via, got.Via)
		check("with", want.With, got.With)
		if d := want.Date; d != nil {
			check("date", fmt.Sprint(d.Year, d.Month, d.Day, d.Hour, d.Minute, d.Second),
				fmt.Sprint(got.Time.Year(), int(got.Time.Month()), got.Time.Day(), got.Time.Hour(), got.Time.Minute(), got.Time.Second()))
		}
	}
}
