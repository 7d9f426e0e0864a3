package mime

import "strings"

// introductions are what programs write above a quote: how the line starts, and how it ends before its colon. In lower case.
var introductions = []struct{ start, end string }{
	{"on ", "wrote"},                    // English
	{"am ", ""},                         // German: "Am 5. Januar 2026 schrieb Ann:"
	{"le ", "a écrit"},                  // French
	{"el ", "escribió"},                 // Spanish
	{"il ", "ha scritto"},               // Italian
	{"em ", "escreveu"},                 // Portuguese
	{"op ", "schreef"},                  // Dutch
	{"op ", ""},                         // Dutch: "Op ma 5 jan 2026 schreef Ann:"
	{"den ", "skrev"},                   // Danish, Swedish, Norwegian
	{"den ", ""},                        // "Den mån 5 jan. 2026 kl 10:00 skrev Ann:"
	{"på ", "skrev"},                    //
	{"dne ", "napsal"},                  // Czech
	{"dne ", "napsal(a)"},               //
	{"w dniu ", "napisał"},              // Polish
	{"w dniu ", "napisał(a)"},           //
	{"dnia ", "napisał"},                //
	{"dňa ", "napísal"},                 // Slovak
	{"", "wrote"},                       // "Ann wrote:", "2026-01-05 10:00 GMT+01:00 Ann <a@b> wrote:"
	{"", "schrieb"},                     //
	{"", "kirjoitti"},                   // Finnish
	{"", "пишет"},                       // Russian
	{"", "написал"},                     //
	{"", "написав"},                     // Ukrainian
	{"", "写道"},                          // Chinese
	{"", "寫道"},                          //
	{"", "のメッセージ"},                      // Japanese
	{"", "님이 작성"},                       // Korean
	{"", "tarihinde şunu yazdı"},        // Turkish
	{"στις ", "έγραψε"},                 // Greek
	{"în ", "a scris"},                  // Romanian
	{"", "ezt írta"},                    // Hungarian
	{"vào ", "đã viết"},                 // Vietnamese
	{"pada tanggal ", "menulis"},        // Indonesian
	{"בתאריך ", "כתב/ה"}, {"", "כתב/ה"}, // Hebrew
	{"في ", "كتب"}, {"", "كتب"}, {"", "："}, // Arabic; a colon of East Asia
}

// verbs stand in the middle of introductions whose end is a name.
var verbs = []string{" schrieb ", " schreef ", " skrev ", " escribió "}

const maxIntroduction = 300 // octets of an introduction, which may be broken over three lines

// introduction returns how many lines introduce a quote, or 0. The first has a number (the date), or an address, and the last ends in a colon.
func introduction(lines []string) int {
	if !strings.ContainsAny(lines[0], "0123456789@<") {
		return 0
	}
	joined := ""
	for n := 0; n < min(3, len(lines)); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || strings.HasPrefix(line, ">") {
			return 0
		}
		if joined += " " + line; len(joined) > maxIntroduction {
			return 0
		}
		if strings.HasSuffix(line, ":") || strings.HasSuffix(line, "：") {
			if isIntroduction(strings.ToLower(strings.TrimSpace(joined))) {
				return n + 1
			}
			return 0
		}
	}
	return 0
}

func isIntroduction(s string) bool {
	body := strings.TrimSpace(strings.TrimRight(s, ":："))
	for _, i := range introductions {
		if !strings.HasPrefix(s, i.start) || !strings.HasSuffix(body, i.end) {
			continue
		}
		if i.end != "" {
			return i.end != "：" // a colon alone says nothing
		}
		for _, verb := range verbs {
			if strings.Contains(body, verb) {
				return true
			}
		}
	}
	return false
}

// isReplySeparator reports whether a line is what common programs put above a whole message that they quote without marks.
func isReplySeparator(line string) bool {
	line = strings.TrimSpace(line)
	if len(line) < 10 || line[0] != '-' && line[0] != '_' {
		return false
	}
	if strings.Trim(line, "_") == "" {
		return len(line) >= 32
	}
	if !strings.HasPrefix(line, "--") || !strings.HasSuffix(line, "--") {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(strings.Trim(line, "-"))) {
	case "original message", "forwarded message", "original appointment", "reply message", "ursprüngliche nachricht", "originalnachricht", "weitergeleitete nachricht",
		"message d'origine", "message d’origine", "message original", "message transféré", "mensaje original", "mensaje reenviado", "messaggio originale", "messaggio inoltrato",
		"mensagem original", "mensagem encaminhada", "oorspronkelijk bericht", "doorgestuurd bericht", "originalmeddelande", "ursprungligt meddelande", "oprindelig meddelelse",
		"opprinnelig melding", "alkuperäinen viesti", "wiadomość oryginalna", "oryginalna wiadomość", "původní zpráva", "исходное сообщение", "пересылаемое сообщение",
		"原始邮件", "邮件原件", "转发邮件", "原始郵件", "元のメッセージ", "원본 메시지", "özgün ileti", "orijinal mesaj":
		return true
	}
	return false
}

// headerWords are the names of From, and of Sent, Date, To and Subject, with which Outlook begins a quoted message in many languages.
var headerWords = [2]map[string]bool{
	words("from", "von", "de", "da", "van", "från", "fra", "lähettäjä", "od", "от", "发件人", "寄件者", "差出人", "보낸 사람", "kimden", "από"),
	words("sent", "date", "to", "subject", "cc", "gesendet", "datum", "an", "betreff", "envoyé", "date", "à", "objet", "enviado", "enviado el", "fecha", "para", "asunto", "inviato",
		"data", "a", "oggetto", "assunto", "enviada em", "verzonden", "aan", "onderwerp", "skickat", "till", "ämne", "sendt", "til", "emne", "lähetetty", "vastaanottaja", "aihe",
		"wysłano", "do", "temat", "odesláno", "komu", "předmět", "отправлено", "дата", "кому", "тема", "发送时间", "收件人", "主题", "寄件日期", "收件者", "主旨", "送信日時", "宛先", "件名",
		"보낸 날짜", "받는 사람", "제목", "gönderme tarihi", "gönderildi", "kime", "konu", "στάλθηκε", "προς", "θέμα"),
}

func words(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, w := range list {
		m[w] = true
	}
	return m
}

// isReplyHeader reports whether lines begin with the header of a message, as Outlook quotes it: a sender, and at least two more of its fields.
func isReplyHeader(lines []string) bool {
	if len(lines) < 3 || !headerWords[0][headerWord(lines[0])] {
		return false
	}
	found := 0
	for _, line := range lines[1:min(len(lines), 8)] {
		if strings.TrimSpace(line) == "" {
			break
		}
		if headerWords[1][headerWord(line)] {
			found++
		}
	}
	return found >= 2
}

// headerWord is what a line has before its colon, without the asterisks that mark bold text.
func headerWord(line string) string {
	name, _, ok := strings.Cut(strings.ReplaceAll(line, "：", ":"), ":")
	if !ok || len(name) > 40 {
		return ""
	}
	return strings.ToLower(strings.Trim(name, " \t*>"))
}
