package mime_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

// bombs are messages made to cost far more than their size. Each also says which defect has to tell of its limit.
func bombs() map[string]struct {
	raw    []byte
	defect mime.DefectKind
} {
	type bomb = struct {
		raw    []byte
		defect mime.DefectKind
	}
	repeat := func(n int, f func(b *bytes.Buffer, i int)) []byte {
		var b bytes.Buffer
		for i := range n {
			f(&b, i)
		}
		return b.Bytes()
	}
	text := func(s string) []byte { return []byte(s) }
	return map[string]bomb{
		"20,000 nested multiparts": {repeat(20000, func(b *bytes.Buffer, i int) {
			fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}), mime.DefectLimitDepth},
		"100,000 nested messages": {bytes.Repeat(text("Content-Type: message/rfc822\r\n\r\n"), 100000), mime.DefectLimitDepth},
		"nested digests":          {bytes.Repeat(text("Content-Type: multipart/digest; boundary=x\n\n--x\n\n"), 20000), mime.DefectLimitDepth},
		"2,000,000 empty parts":   {append(text("Content-Type: multipart/mixed; boundary=xxxx\r\n\r\n"), bytes.Repeat(text("--xxxx\r\n\r\n"), 2000000)...), mime.DefectLimitParts},
		"90,000 fields":           {repeat(90000, func(b *bytes.Buffer, i int) { fmt.Fprintf(b, "X-%d: value\n", i) }), mime.DefectLimitFields},
		"90,000 short fields":     {bytes.Repeat(text("a:b\n"), 90000), mime.DefectLimitFields},
		"one field of 20 MB":      {append(text("Subject: "), bytes.Repeat(text("x"), 20<<20)...), mime.DefectLimitHeaderBytes},
		"hyphens in a multipart":  {append(text("Content-Type: multipart/mixed; boundary=x\n\n"), bytes.Repeat(text("--y \t z --\n"), 1<<20)...), mime.DefectNoParts},
		"long lines of hyphens":   {append(text("Content-Type: multipart/mixed; boundary=x\n\n"), bytes.Repeat(append(bytes.Repeat(text("-- "), 5000), '\n'), 1000)...), mime.DefectNoParts},
		"hyphens inside 120 multiparts": {append(repeat(120, func(b *bytes.Buffer, i int) {
			fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}), bytes.Repeat(text("\n--b\n"), 2<<20)...), mime.DefectNoClose},
		"lines that are no fields": {bytes.Repeat(text("Content-Type: multipart/mixed; boundary=x\nno field\n\n--x\nno field\nno field\n"), 50000), mime.DefectHeaderLine},
		"addresses":                {append(text("To: "), bytes.Repeat(text("a@b,"), 60000)...), mime.DefectHeaderEnd},
		"groups":                   {append(text("To: "), bytes.Repeat(text("a:"), 120000)...), mime.DefectHeaderEnd},
		"comments":                 {append(text("To: "), bytes.Repeat(text("("), 250000)...), mime.DefectHeaderEnd},
		"brackets":                 {append(text("To: "), bytes.Repeat(text("<"), 250000)...), mime.DefectHeaderEnd},
		"commas in brackets":       {append(text("To: "), bytes.Repeat(text("<,"), 120000)...), mime.DefectHeaderEnd},
		"quotes":                   {append(text("To: "), bytes.Repeat(text("\""), 250001)...), mime.DefectHeaderEnd},
		"words":                    {append(text("To: "), bytes.Repeat(text("a "), 120000)...), mime.DefectHeaderEnd},
		"at signs":                 {append(text("To: "), bytes.Repeat(text("@ "), 120000)...), mime.DefectHeaderEnd},
		"literals":                 {append(text("To: "), bytes.Repeat(text("@["), 120000)...), mime.DefectHeaderEnd},
		"encoded words":            {append(text("Subject: "), bytes.Repeat(text("=?utf-8?Q?"), 25000)...), mime.DefectHeaderEnd},
		"encoded words in names":   {append(text("To: "), bytes.Repeat(text("=?utf-8?Q?"), 25000)...), mime.DefectHeaderEnd},
		"small encoded words":      {append(text("Subject: "), bytes.Repeat(text("=?utf-8?Q?=41?= =?x?b?QQ==?= "), 8000)...), mime.DefectHeaderEnd},
		"parameters":               {append(text("Content-Type: text/plain"), bytes.Repeat(text("; a=b"), 50000)...), mime.DefectHeaderEnd},
		"parameter sections":       {append(text("Content-Type: text/plain"), bytes.Repeat(text("; a*1*=b"), 30000)...), mime.DefectHeaderEnd},
		"equals signs":             {append(text("Content-Type: text/plain; a=b"), bytes.Repeat(text(" ="), 120000)...), mime.DefectHeaderEnd},
		"equals signs in a type":   {append(text("Content-Type: "), bytes.Repeat(text("="), 240000)...), mime.DefectHeaderEnd},
		"escaped quotes in names":  {append(text("To: \""), bytes.Repeat(text("\\\""), 120000)...), mime.DefectHeaderEnd},
		"words in a parameter":     {append(text("Content-Type: text/plain; a=b"), bytes.Repeat(text(" c"), 120000)...), mime.DefectHeaderEnd},
		"subject marks":            {append(text("Subject: "), bytes.Repeat(text("[a]"), 80000)...), mime.DefectHeaderEnd},
		"replies":                  {append(text("Subject: "), bytes.Repeat(text("[fwd:Re:"), 30000)...), mime.DefectHeaderEnd},
		"message identifiers":      {append(text("References: "), bytes.Repeat(text("<a<"), 80000)...), mime.DefectHeaderEnd},
		"dates":                    {append(text("Date: "), bytes.Repeat(text(";1 Jan 2020 "), 20000)...), mime.DefectHeaderEnd},
		"html":                     {append(text("Content-Type: text/html\n\n"), bytes.Repeat(text("<div><blockquote>"), 500000)...), mime.DefectNone},
		"html tags":                {append(text("Content-Type: text/html\n\n"), bytes.Repeat(text("<"), 4<<20)...), mime.DefectNone},
		"flowed":                   {append(text("Content-Type: text/plain; format=flowed\n\n"), bytes.Repeat(text("> \n>> \n"), 1<<20)...), mime.DefectNone},
		"flowed quotes":            {append(text("Content-Type: text/plain; format=flowed\n\n"), bytes.Repeat(text(">"), 8<<20)...), mime.DefectNone},
		"quoted-printable":         {append(text("Content-Transfer-Encoding: quoted-printable\n\n"), bytes.Repeat(text("a=3D"), 4<<20-100)...), mime.DefectNone},
		"soft breaks":              {append(text("Content-Transfer-Encoding: quoted-printable\n\n"), bytes.Repeat(text("= \t \n"), 3<<20)...), mime.DefectNone},
		"equals signs and space":   {append(text("Content-Transfer-Encoding: quoted-printable\n\n"), bytes.Repeat(text("="+strings.Repeat(" ", 1000)), 16000)...), mime.DefectNone},
		"base64 in base64": {text("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString(bytes.Repeat(text("Content-Type: message/rfc822\n\n"), 100000))), mime.DefectNone},
	}
}

// TestBombs parses what is made to be expensive and asks everything of it, within bounds.
func TestBombs(t *testing.T) {
	if raceEnabled {
		t.Skip("it measures time, which the race detector takes")
	}
	for name, bomb := range bombs() {
		t.Run(name, func(t *testing.T) {
			var before, after, asking, read runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m := mime.ParseBytes(bomb.raw)
			parsed := time.Since(start)
			runtime.ReadMemStats(&after)
			for range 3 { // a busy machine may slow one run down, but hardly all
				start := time.Now()
				mime.ParseBytes(bomb.raw)
				parsed = min(parsed, time.Since(start))
			}
			runtime.ReadMemStats(&asking)
			start = time.Now()
			h := m.Header()
			h.Addresses("To")
			h.Date()
			h.References()
			mime.BaseSubject(h.Text("Subject"))
			m.Root().Filename()
			m.Structure()
			asked := time.Since(start)
			_, _ = m.Text() // may say that the text is too long
			_, _ = m.Preview(200)
			m.Root().Embedded()
			all := time.Since(start)
			runtime.ReadMemStats(&read)

			p := mime.NewParser(mime.Limits{})
			for b := range slices.Chunk(bomb.raw, 4096) {
				p.Write(b)
			}
			require.Equal(t, describe(m), describe(p.Close()))
			t.Logf("%d bytes: parsed in %v, headers asked %v, bodies read %v, %d and %d KiB allocated", len(bomb.raw), parsed, asked, all, (after.TotalAlloc-before.TotalAlloc)>>10, (read.TotalAlloc-asking.TotalAlloc)>>10)
			require.Less(t, parsed, time.Second)
			require.Less(t, asked, 5*time.Second)
			require.Less(t, all, 10*time.Second)
			// All that was allocated, which is more than was in use at any time.
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "parsing")
			require.Less(t, read.TotalAlloc-asking.TotalAlloc, uint64(64<<20), "reading")
			if bomb.defect != mime.DefectNone {
				var kinds []string
				for _, d := range m.Defects() {
					kinds = append(kinds, d.Kind.String())
				}
				require.Contains(t, strings.Join(kinds, "; "), bomb.defect.String())
			}
		})
	}
}
