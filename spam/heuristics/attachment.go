package heuristics

import (
	"encoding/binary"
	"io"
	"path"
	"strings"

	"github.com/gomailroom/mailroom/mime"
)

func attachments(s *subject) {
	n := 0
	for p := range s.mail.Message.Parts() {
		if n++; n > maxParts {
			return
		}
		name := strings.TrimRight(strings.ToLower(limit(strings.TrimSpace(p.Filename()), 1000)), ". ")
		if !p.IsLeaf() || name == "" {
			continue
		}
		switch ext := path.Ext(name); {
		case executable[ext] && decoys[path.Ext(strings.TrimSpace(strings.TrimSuffix(name, ext)))]:
			s.add("ATTACHMENT_DOUBLE_EXT", name)
		case executable[ext]:
			s.add("ATTACHMENT_EXECUTABLE", name)
		case macros[ext]:
			s.add("ATTACHMENT_MACRO", name)
		case pages[ext]:
			s.add("ATTACHMENT_HTML", name)
		case ext == ".zip" && encryptedZip(p):
			s.add("ATTACHMENT_ENCRYPTED", name)
		}
		if strings.ContainsAny(name, "\u202e\u202d\u2066\u2067") { // turned text: exe.fdp reads pdf.exe
			s.add("ATTACHMENT_BIDI", name)
		}
	}
}

// encryptedZip looks at the first entry: bit 0 of its flags (APPNOTE.TXT s4.4.4).
func encryptedZip(p *mime.Part) bool {
	var head [8]byte
	if _, err := io.ReadFull(mime.NewDecoder(p.Encoding(), io.LimitReader(p.Raw(), 4096)), head[:]); err != nil {
		return false
	}
	return string(head[:4]) == "PK\x03\x04" && binary.LittleEndian.Uint16(head[6:])&1 != 0
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

var (
	executable = set(".exe .scr .com .pif .bat .cmd .vbs .vbe .js .jse .wsf .wsh .hta .jar .msi .lnk .cpl .ps1 .reg .dll .iso .img .vhd .vhdx .one .chm .apk .appx .msix .xll")
	macros     = set(".docm .xlsm .pptm .dotm .xltm .xlsb .ppam .xlam")
	pages      = set(".html .htm .shtml .xhtml .svg .mht")
	decoys     = set(".pdf .doc .docx .xls .xlsx .ppt .pptx .txt .jpg .jpeg .png .gif .csv .rtf .mp3 .mp4 .zip .html")
)
