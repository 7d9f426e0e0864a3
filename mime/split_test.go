package mime_test

import (
	"testing"

	"github.com/gomailroom/mailroom/mime"
	"github.com/stretchr/testify/require"
)

func TestSplitSignature(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, body, signature string }{
		{"a\n-- \nme\n", "a\n", "me\n"},
		{"a\n-- \nb\n-- \nme", "a\n-- \nb\n", "me"},
		{"-- \nme", "", "me"},
		{"a\n--\nno", "a\n--\nno", ""},
		{"a -- \nno", "a -- \nno", ""},
		{"", "", ""},
	} {
		body, signature := mime.SplitSignature(c.text)
		require.Equal(t, [2]string{c.body, c.signature}, [2]string{body, signature}, "%q", c.text)
	}
}

func TestSplitReply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, reply, quoted string }{
		{"Yes.\n\nOn Monday Ann wrote:\n> Lunch?\n> \n> Ann\n", "Yes.\n\n", "On Monday Ann wrote:\n> Lunch?\n> \n> Ann\n"},
		{"Yes.\n\nOn Mon, 5 Jan 2026 at 10:00, Ann\n<ann@example.org> wrote:\n\n> Lunch?\n", "Yes.\n\n", "On Mon, 5 Jan 2026 at 10:00, Ann\n<ann@example.org> wrote:\n\n> Lunch?\n"},
		{"> Lunch?\nYes.\n> When?\nNoon.\n", "> Lunch?\nYes.\n> When?\nNoon.\n", ""},
		{"Yes.\n-----Original Message-----\nFrom: Ann\n\nLunch?\n", "Yes.\n", "-----Original Message-----\nFrom: Ann\n\nLunch?\n"},
		{"Yes.\n________________________________\nFrom: Ann\n", "Yes.\n", "________________________________\nFrom: Ann\n"},
		{"Ja.\n\nAm Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Ann <ann@example.org>:\n\n> Mittag?\n", "Ja.\n\n", "Am Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Ann <ann@example.org>:\n\n> Mittag?\n"},
		{"Oui.\n\nLe lun. 5 janv. 2026 à 10:00, Ann <ann@example.org> a écrit :\n\n> Midi ?\n", "Oui.\n\n", "Le lun. 5 janv. 2026 à 10:00, Ann <ann@example.org> a écrit :\n\n> Midi ?\n"},
		{"Sí.\nEl lun, 5 ene 2026 a las 10:00, Ann\n(<ann@example.org>) escribió:\nsin marcas\n", "Sí.\n", "El lun, 5 ene 2026 a las 10:00, Ann\n(<ann@example.org>) escribió:\nsin marcas\n"},
		{"Да.\nпн, 5 янв. 2026 г. в 10:00, Аня <a@example.org> пишет:\n> ?\n", "Да.\n", "пн, 5 янв. 2026 г. в 10:00, Аня <a@example.org> пишет:\n> ?\n"},
		{"好\n2026年1月5日 10:00，Ann <a@example.org> 写道：\n> 午饭？\n", "好\n", "2026年1月5日 10:00，Ann <a@example.org> 写道：\n> 午饭？\n"},
		{"Yes.\n\nFrom: Ann <ann@example.org>\nSent: Monday, 5 January 2026 10:00\nTo: Bob\nSubject: Lunch\n\nLunch?\n", "Yes.\n\n", "From: Ann <ann@example.org>\nSent: Monday, 5 January 2026 10:00\nTo: Bob\nSubject: Lunch\n\nLunch?\n"},
		{"Ja.\n*Von:* Ann\n*Gesendet:* Montag\n*An:* Bob\n*Betreff:* Mittag\n\nMittag?", "Ja.\n", "*Von:* Ann\n*Gesendet:* Montag\n*An:* Bob\n*Betreff:* Mittag\n\nMittag?"},
		{"Ja.\n-----Ursprüngliche Nachricht-----\nx\n", "Ja.\n", "-----Ursprüngliche Nachricht-----\nx\n"},
		{"From: here to there\nis far.\n", "From: here to there\nis far.\n", ""},
		{"On 5 Jan Ann wrote:\n> a\nanswer\n> b\nanswer\n", "On 5 Jan Ann wrote:\n> a\nanswer\n> b\nanswer\n", ""},
		{"He wrote 3 letters:\none\n", "He wrote 3 letters:\none\n", ""},
		{"plain\n", "plain\n", ""},
		{"> only\n", "", "> only\n"},
		{"", "", ""},
	} {
		reply, quoted := mime.SplitReply(c.text)
		require.Equal(t, [2]string{c.reply, c.quoted}, [2]string{reply, quoted}, "%q", c.text)
	}
}

func TestSplitReplyHTML(t *testing.T) {
	t.Parallel()
	for _, quote := range []string{`<div class="gmail_quote">On Monday`, `<blockquote type="cite">`, `<div id="divRplyFwdMsg" dir="ltr">`, `<div id="appendonsend"></div>`, `<DIV CLASS='x yahoo_quoted'>`,
		`<div class="moz-cite-prefix">`, `<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in">`, `<div id="x_divRplyFwdMsg">`} {
		reply, quoted := mime.SplitReplyHTML("<html><body><p>Yes &amp; no</p>" + quote + "Lunch?")
		require.Equal(t, [2]string{"<html><body><p>Yes &amp; no</p>", quote + "Lunch?"}, [2]string{reply, quoted})
	}
	for _, plain := range []string{"<blockquote>poem</blockquote>", "", "<!-- <div class=gmail_quote> -->", "<script>'<div class=gmail_quote>'</script>"} {
		reply, quoted := mime.SplitReplyHTML(plain)
		require.Equal(t, [2]string{plain, ""}, [2]string{reply, quoted})
	}
}
