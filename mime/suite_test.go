package mime_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// suite returns a folder of the foreign suites, or skips.
func suite(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("MAILROOM_SUITES")
	if root == "" {
		t.Skip("MAILROOM_SUITES is not set: the suites that others wrote are not at hand")
	}
	return filepath.Join(root, path)
}

// mime4jArgued are cases in which we differ from mime4j, and why.
var mime4jArgued = map[string]string{
	"malformedHeader-noheader":              "mime4j loses the text of a message without a header; we keep all of it as the body",
	"malformedHeaderStartsBody-noheader":    "likewise, in mime4j's other mode it loses the second line",
	"malformedHeaderStartsBody-nocrlfcrlf":  "the same message as malformedHeader-nocrlfcrlf in mime4j's other mode; a field follows the bad line, so the header goes on",
	"hdr-fakeout":                           "the line that should be blank has a space; we take the lines after it, which are no fields, for the body and mime4j loses them",
	"basic-plain-with-bad-header-separator": "likewise",
}

// TestMime4j compares the event trees of Apache mime4j's 80 messages, which hold the MIME-tools torture set.
func TestMime4j(t *testing.T) {
	t.Parallel()
	root := suite(t, "mime/mime4j")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.msg"))
	require.NoError(t, err)
	require.Len(t, files, 80)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".msg")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			want, err := os.ReadFile(strings.TrimSuffix(file, ".msg") + ".xml")
			require.NoError(t, err)
			var got strings.Builder
			printEvents(t, &got, mime.ParseBytes(raw), raw)
			g, w := normalEvents(got.String()), normalEvents(string(want))
			if why := mime4jArgued[name]; why != "" {
				require.NotEqual(t, w, g, "argued (%s), but equal now", why)
				return
			}
			require.Equal(t, w, g)
		})
	}
}

// normalEvents puts both sides into one form: mime4j printed line ends and bytes beyond ASCII in its own way.
func normalEvents(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x80 {
			b.WriteByte(c)
		}
	}
	// mime4j is of two minds about the line end after a close delimiter.
	return blankText.ReplaceAllString(strings.TrimRight(b.String(), "\n"), "")
}

var blankText = regexp.MustCompile(`<(preamble|epilogue)>\s*</(preamble|epilogue)>\n`)

var xmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// printEvents prints a message as mime4j does.
func printEvents(t *testing.T, w *strings.Builder, m *mime.Message, raw []byte) {
	w.WriteString("<message>\n")
	printPart(t, w, m.Root(), raw)
	w.WriteString("</message>\n")
}

func printPart(t *testing.T, w *strings.Builder, p *mime.Part, raw []byte) {
	w.WriteString("<header>\n")
	for f := range p.Header().Fields() {
		w.WriteString("<field>\n" + xmlEscape.Replace(strings.TrimRight(string(f.Raw()), "\r\n")) + "</field>\n")
	}
	w.WriteString("</header>\n")
	start, size := p.BodyRange()
	body := raw[start : start+size]
	switch {
	case p.IsMultipart():
		w.WriteString("<multipart>\n")
		preamble, epilogue := body, []byte(nil)
		if p.IsLeaf() { // a close delimiter alone is not among the offsets
			closing := []byte("\n--" + p.ContentType().Params.Get("boundary") + "--")
			if before, after, ok := bytes.Cut(body, closing); ok {
				preamble = bytes.TrimSuffix(before, []byte("\r"))
				_, epilogue, _ = bytes.Cut(after, []byte("\n"))
			}
		}
		for c := range p.Children() {
			at, _ := c.HeaderRange()
			if preamble != nil {
				before := raw[start:at]
				before = before[:bytes.LastIndexByte(before[:len(before)-1], '\n')+1] // without the delimiter line
				before = bytes.TrimSuffix(bytes.TrimSuffix(before, []byte("\n")), []byte("\r"))
				printText(w, "preamble", before)
				preamble = nil
			}
			w.WriteString("<body-part>\n")
			printPart(t, w, c, raw)
			w.WriteString("</body-part>\n")
			o, l := c.BodyRange()
			rest := raw[o+l : start+size]
			rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n"))
			_, epilogue, _ = bytes.Cut(rest, []byte("\n"))
		}
		printText(w, "preamble", preamble)
		printText(w, "epilogue", epilogue)
		w.WriteString("</multipart>\n")
	case !p.IsLeaf():
		for c := range p.Children() {
			w.WriteString("<message>\n")
			printPart(t, w, c, raw)
			w.WriteString("</message>\n")
		}
	case p.MediaType() == "message/rfc822":
		b, err := io.ReadAll(p.Decoded())
		require.NoError(t, err)
		printEvents(t, w, mime.ParseBytes(b), b)
	default:
		w.WriteString("<body>\n" + xmlEscape.Replace(string(body)) + "</body>\n")
	}
}

func printText(w *strings.Builder, name string, b []byte) {
	if len(b) > 0 {
		w.WriteString("<" + name + ">\n" + xmlEscape.Replace(string(b)) + "</" + name + ">\n")
	}
}

// TestMime4jDecoded compares the decoded bodies of the same messages.
func TestMime4jDecoded(t *testing.T) {
	t.Parallel()
	root := suite(t, "mime/mime4j")
	files, err := filepath.Glob(filepath.Join(root, "*", "*.msg"))
	require.NoError(t, err)
	bodyName := regexp.MustCompile(`-body name="([^"]+)"`)
	compared := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".msg")
		if mime4jArgued[name] != "" {
			continue
		}
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		tree, err := os.ReadFile(strings.TrimSuffix(file, ".msg") + "_decoded.xml")
		require.NoError(t, err)
		names := bodyName.FindAllSubmatch(tree, -1)
		leaves := decodedLeaves(t, mime.ParseBytes(raw))
		require.Len(t, leaves, len(names), name)
		for i, n := range names {
			want, err := os.ReadFile(filepath.Join(filepath.Dir(file), string(n[1])))
			require.NoError(t, err)
			w, got := normalText(want), normalText(leaves[i])
			if why := mime4jDecodedArgued[string(n[1])]; why != "" {
				assert.NotEqual(t, w, got, "%s is argued (%s), but equal now", n[1], why)
				continue
			}
			at := 0
			for at < len(got) && at < len(w) && got[at] == w[at] {
				at++
			}
			if at < len(got) || at < len(w) {
				t.Errorf("%s differs at %d: want %.80q, got %.80q", n[1], at, w[at:], got[at:])
			}
			compared++
		}
	}
	require.Greater(t, compared, 150)
}

// mime4jDecodedArgued are bodies that mime4j decodes in another way.
var mime4jDecodedArgued = map[string]string{
	"frag_decoded_1_2_1_2_1_2_1_2.bin": "the base64 is cut inside a group of four; the letters that are there still make two bytes",
	"multi-frag_decoded_1_3_2.bin":     "likewise",
}

// normalText drops what git and mime4j's own test harness changed in the expectations: line ends.
func normalText(b []byte) string {
	return strings.TrimRight(strings.ReplaceAll(string(b), "\r", ""), "\n")
}

// decodedLeaves returns the decoded bodies of all parts that have no parts inside, those of encoded messages too.
func decodedLeaves(t *testing.T, m *mime.Message) (bodies [][]byte) {
	for p := range m.Parts() {
		switch {
		case !p.IsLeaf() || p.IsMultipart():
		case p.MediaType() == "message/rfc822":
			inside, err := p.Embedded()
			require.NoError(t, err)
			bodies = append(bodies, decodedLeaves(t, inside)...)
		default:
			b, err := io.ReadAll(p.Decoded())
			require.NoError(t, err)
			bodies = append(bodies, b)
		}
	}
	return bodies
}
