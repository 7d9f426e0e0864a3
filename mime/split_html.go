package mime

import (
	"strings"

	"golang.org/x/net/html"
)

// SplitReplyHTML is [SplitReply] for an HTML document: reply is what comes before the quoted message, and quoted begins with the element in which the program of the
// author put it. Neither is a whole document; a browser closes what is open. Without such an element quoted is "".
func SplitReplyHTML(document string) (reply, quoted string) {
	z := html.NewTokenizer(strings.NewReader(document))
	z.SetMaxBuf(1 << 20)
	at := 0
	for {
		kind := z.Next()
		size := len(z.Raw())
		if kind == html.ErrorToken {
			return document, ""
		}
		if kind == html.StartTagToken && quotes(z) {
			return document[:at], document[at:]
		}
		at += size
	}
}

// quotes reports whether an element is the beginning of a quoted message, as common programs mark it.
func quotes(z *html.Tokenizer) bool {
	name, more := z.TagName()
	cite := string(name) == "blockquote"
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		v := strings.ToLower(string(value))
		switch string(key) {
		case "type":
			if cite && v == "cite" { // Apple Mail, Thunderbird
				return true
			}
		case "class":
			for class := range strings.FieldsSeq(v) {
				switch strings.TrimPrefix(class, "x_") { // Outlook on the web puts it before what it quotes
				case "gmail_quote", "gmail_quote_container", "gmail_extra", "yahoo_quoted", "moz-cite-prefix", "moz-forward-container", "protonmail_quote", "tutanota_quote",
					"zmail_extra", "outlookmessageheader", "yahoo-quoted-begin":
					return true
				}
			}
		case "id":
			switch strings.TrimPrefix(v, "x_") {
			case "divrplyfwdmsg", "appendonsend", "outlookmessageheader", "replysplit", "ms-outlook-mobile-body-separator-line", "mailcontentquote", "isforwardcontent", "isreplycontent":
				return true
			}
		case "style":
			// Outlook: the line above the header of the quoted message.
			style := strings.ReplaceAll(v, " ", "")
			if strings.Contains(style, "border-top:solid#e1e1e11.0pt") || strings.Contains(style, "border-top:solid#b5c4df1.0pt") {
				return true
			}
		}
	}
	return false
}
