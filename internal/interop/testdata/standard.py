"""Drives the mail server with the mail modules of Python's standard library. Arguments: the certificate authority's file, then NAME=PORT for each listener."""

import base64
import imaplib
import poplib
import re
import smtplib
import socket
import ssl
import sys
import unittest
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

CA = sys.argv[1]
PORT = {k: int(v) for k, v in (a.split("=") for a in sys.argv[2:])}
HOST, USER, PASSWORD = "localhost", "alice", "wonder land"
ALICE, BOB = "alice@example.test", "bob@example.test"
TLS = ssl.create_default_context(cafile=CA)
TIMEOUT = 30


def letter(subject, body="Hello\r\n", sender=ALICE):
    return f"From: {sender}\r\nTo: {BOB}\r\nSubject: {subject}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@example.test>\r\n\r\n{body}".encode()


def imap(user=USER, password=PASSWORD):
    m = imaplib.IMAP4_SSL(HOST, PORT["imaps"], ssl_context=TLS, timeout=TIMEOUT)
    m.login(user, password)
    return m


def bob():
    return imap("bob", 'b\\uilder"s')


class SMTP(unittest.TestCase):
    def submission(self):
        s = smtplib.SMTP_SSL(HOST, PORT["submissions"], context=TLS, timeout=TIMEOUT)
        self.addCleanup(s.close)
        return s

    def last(self):
        m = bob()
        try:
            m.select()
            _, found = m.uid("SEARCH", "ALL")
            _, data = m.uid("FETCH", found[0].split()[-1].decode(), "(BODY.PEEK[])")
            return data[0][1]
        finally:
            m.logout()

    def test_starttls_and_auth(self):
        s = smtplib.SMTP(HOST, PORT["submission"], timeout=TIMEOUT)
        s.ehlo()
        self.assertFalse(s.has_extn("auth"))
        with self.assertRaises(smtplib.SMTPException):
            s.login(USER, PASSWORD)
        code, _ = s.docmd("AUTH", "PLAIN " + base64.b64encode(b"\0alice\0wonder land").decode())
        self.assertIn(code, (530, 538, 502, 503, 504))
        s.starttls(context=TLS)
        s.login(USER, PASSWORD)
        message = letter("starttls")
        self.assertEqual(s.sendmail(ALICE, BOB, message), {})
        self.assertTrue(self.last().endswith(message))
        s.quit()

    def test_auth_each(self):
        for mechanism in ("auth_plain", "auth_login"):
            for initial in (True, False):
                s = self.submission()
                s.ehlo()
                s.user, s.password = ALICE, PASSWORD
                code, _ = s.auth(mechanism[5:].upper(), getattr(s, mechanism), initial_response_ok=initial)
                self.assertEqual(code, 235)
                self.assertEqual(s.auth("PLAIN", s.auth_plain)[0], 503)  # RFC 4954 s4: once
                s.quit()

    def test_auth_wrong_then_right(self):
        s = self.submission()
        with self.assertRaises(smtplib.SMTPAuthenticationError) as e:
            s.login(USER, "wrong")
        self.assertEqual(e.exception.smtp_code, 535)
        s.login(USER, PASSWORD)
        code, _ = s.docmd("AUTH PLAIN")
        self.assertEqual(code, 503)

    def test_auth_cancelled(self):
        s = self.submission()
        s.ehlo()
        self.assertEqual(s.docmd("AUTH LOGIN")[0], 334)
        self.assertEqual(s.docmd("*")[0], 501)
        self.assertEqual(s.noop()[0], 250)

    def test_eight_bit_and_utf8(self):
        s = self.submission()
        s.login(USER, PASSWORD)
        self.assertTrue(s.has_extn("8bitmime") and s.has_extn("smtputf8") and s.has_extn("size"))
        m = EmailMessage(policy=policy.SMTPUTF8)
        m["From"], m["To"], m["Subject"] = ALICE, BOB, "Grüße ☃"
        m["Date"], m["Message-ID"] = "Sat, 21 Nov 2026 10:00:00 +0000", "<utf8@example.test>"
        m.set_content("Zürich\n", cte="8bit")
        m.add_attachment(bytes(range(256)) * 300, "application", "octet-stream", filename="Füße.bin")
        self.assertEqual(s.send_message(m, mail_options=["SMTPUTF8", "BODY=8BITMIME"]), {})
        got = BytesParser(policy=policy.default).parsebytes(self.last())
        self.assertEqual(got["Subject"], "Grüße ☃")
        self.assertEqual(got.get_body().get_content(), "Zürich\r\n")
        attachment = next(got.iter_attachments())
        self.assertEqual(attachment.get_filename(), "Füße.bin")
        self.assertEqual(attachment.get_content(), bytes(range(256)) * 300)

    def test_non_ascii_addresses(self):
        s = smtplib.SMTP(HOST, PORT["smtp"], timeout=TIMEOUT)
        s.ehlo("client.test")
        message = letter("eai", "Grüße\r\n", "jürgen@bücher.test")
        self.assertEqual(s.sendmail("jürgen@bücher.test", [BOB], message, mail_options=["SMTPUTF8", "BODY=8BITMIME"]), {})
        got = self.last()
        self.assertTrue(got.endswith(message))
        self.assertIn("Return-Path: <jürgen@bücher.test>\r\n".encode(), got)
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as e:
            s.sendmail("jürgen@bücher.test", ["nöbody@example.test"], message, mail_options=["SMTPUTF8"])
        self.assertEqual(e.exception.recipients["nöbody@example.test"][0], 550)
        s.rset()
        s.send("MAIL FROM:<jürgen@bücher.test>\r\n".encode())  # RFC 6531 s3.5: not without SMTPUTF8
        self.assertGreaterEqual(s.getreply()[0], 500)
        s.quit()

    def test_partly_refused(self):
        s = smtplib.SMTP(HOST, PORT["smtp"], timeout=TIMEOUT)
        refused = s.sendmail("x@other.test", ["nobody@example.test", BOB, "x@elsewhere.test"], letter("partly"))
        self.assertEqual({k: v[0] for k, v in refused.items()}, {"nobody@example.test": 550, "x@elsewhere.test": 550})
        self.assertTrue(self.last().endswith(letter("partly")))
        s.quit()

    def test_dialog(self):
        s = smtplib.SMTP(HOST, PORT["smtp"], timeout=TIMEOUT)
        self.assertEqual(s.docmd("RCPT TO:<a@example.test>")[0], 503)
        s.ehlo("client.test")
        self.assertEqual(s.docmd("DATA")[0], 503)
        self.assertEqual(s.docmd("MAIL FROM:x y z")[0], 501)
        self.assertEqual(s.docmd("MAIL FROM:<a@b.test> SIZE=99999999999")[0], 552)
        self.assertEqual(s.docmd("MAIL FROM:<a@b.test> NONSENSE=1")[0], 555)
        self.assertEqual(s.docmd("MAIL FROM:<>")[0], 250)
        self.assertEqual(s.docmd("RCPT TO:<Postmaster>")[0], 250)  # RFC 5321 s4.5.1
        self.assertEqual(s.rset()[0], 250)
        self.assertEqual(s.docmd("NOOP x")[0], 250)
        self.assertIn(s.vrfy("alice")[0], (250, 252, 550, 502))
        self.assertIn(s.docmd("HELP")[0], (211, 214, 502))
        self.assertEqual(s.docmd("FOO")[0], 500)
        self.assertEqual(s.docmd("QUIT")[0], 221)

    def test_smuggling(self):
        """A bare LF before the dot does not end a message."""
        s = smtplib.SMTP(HOST, PORT["smtp"], timeout=TIMEOUT)
        s.ehlo("client.test")
        s.mail("x@other.test")
        s.rcpt(BOB)
        self.assertEqual(s.docmd("DATA")[0], 354)
        s.send(b"Subject: smuggler\r\n\r\na\n.\nMAIL FROM:<evil@other.test>\r\n.\r\n")
        code, _ = s.getreply()
        self.assertGreaterEqual(code, 500)
        self.assertEqual(s.noop()[0], 250)
        m = bob()
        m.select()
        self.assertEqual(m.search(None, "SUBJECT", "smuggler")[1], [b""])
        m.logout()

    def test_lmtp(self):
        s = smtplib.LMTP(HOST, PORT["lmtp"])
        s.ehlo("client.test")
        s.mail("x@other.test")
        s.rcpt(ALICE)
        s.rcpt(BOB)
        self.assertEqual(s.docmd("DATA")[0], 354)
        s.send(letter("lmtp") + b".\r\n")
        self.assertEqual([s.getreply()[0], s.getreply()[0]], [250, 250])
        self.assertEqual(s.helo()[0], 500)


class IMAP(unittest.TestCase):
    def fresh(self, name):
        m = imap()
        self.addCleanup(m.shutdown)
        m.delete(name)
        self.assertEqual(m.create(name)[0], "OK")
        return m

    def ok(self, answer):
        self.assertEqual(answer[0], "OK", answer)
        return answer[1]

    def numbers(self, answer):
        return [int(n) for n in self.ok(answer)[0].split()]

    def test_login(self):
        m = imaplib.IMAP4(HOST, PORT["imap"], timeout=TIMEOUT)
        self.assertIn("LOGINDISABLED", m.capabilities)
        with self.assertRaises(imaplib.IMAP4.error):
            m.login(USER, PASSWORD)
        m.starttls(TLS)
        self.assertNotIn("STARTTLS", m.capabilities)
        with self.assertRaises(imaplib.IMAP4.error):
            m.login(USER, "wrong")
        self.ok(m.authenticate("PLAIN", lambda _: b"\0alice\0wonder land"))
        self.ok(m.noop())
        self.assertEqual(m.logout()[0], "BYE")

    def test_append_fetch(self):
        m = self.fresh("Fetch")
        first = letter("first", "Grüße\r\n")
        data = self.ok(m.append("Fetch", r"(\Seen Custom)", '"05-Nov-2026 10:11:12 +0100"', first))
        self.assertRegex(data[0], rb"\[APPENDUID \d+ 1\]")
        self.ok(m.append("Fetch", None, None, letter("second")))
        self.assertEqual(self.ok(m.select("Fetch")), [b"2"])
        data = self.ok(m.fetch("1", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
        self.assertEqual(data[0][1], first)
        self.assertEqual(imaplib.ParseFlags(data[0][0]) or imaplib.ParseFlags(data[1]), (b"\\Seen", b"Custom"))
        self.assertIn(b"RFC822.SIZE %d" % len(first), data[0][0] + data[1])
        self.assertRegex(data[0][0] + data[1], rb'INTERNALDATE "[ 0]5-Nov-2026 (10:11:12 \+0100|09:11:12 \+0000)"')
        self.assertEqual(self.ok(m.fetch("1", "(BODY.PEEK[]<10.20>)"))[0][1], first[10:30])
        self.assertEqual(self.ok(m.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1], b"Subject: first\r\n\r\n")
        self.assertEqual(self.ok(m.fetch("2", "(RFC822.TEXT)"))[0][1], b"Hello\r\n")
        self.assertIn(b"\\Seen", self.ok(m.fetch("2", "(FLAGS)"))[0])
        self.assertIn(b'"TEXT" "PLAIN"', self.ok(m.fetch("2", "(BODYSTRUCTURE)"))[0].upper())
        self.assertIn(b'"first"', self.ok(m.fetch("1", "(ENVELOPE)"))[0])

    def test_search_store_copy_move(self):
        m = self.fresh("Source")
        m.delete("Target")
        self.ok(m.create("Target"))
        for i in range(6):
            self.ok(m.append("Source", None, None, letter(f"number{i}", f"body {i} " + "x" * i * 100 + "\r\n")))
        self.ok(m.select("Source"))
        self.assertEqual(self.numbers(m.search(None, "SUBJECT", "number3")), [4])
        self.assertEqual(self.numbers(m.search("UTF-8", "OR", "BODY", '"body 1"', "LARGER", "600")), [2, 6])
        self.assertEqual(self.numbers(m.search(None, "NOT", "1:3")), [4, 5, 6])
        self.assertEqual(self.numbers(m.uid("SEARCH", "UID", "5:*")), [5, 6])
        m.literal = "Größe".encode()
        self.assertEqual(m.uid("SEARCH", "CHARSET", "UTF-8", "TEXT")[1], [b""])
        self.ok(m.store("1:2", "+FLAGS", r"(\Flagged \Answered)"))
        self.ok(m.store("2", "-FLAGS", r"\Answered"))
        self.ok(m.store("3", "FLAGS.SILENT", r"(\Draft $Forwarded)"))
        self.assertEqual(self.numbers(m.search(None, "FLAGGED", "UNANSWERED")), [2])
        self.assertEqual(self.numbers(m.search(None, "KEYWORD", "$Forwarded")), [3])
        self.ok(m.copy("1:2", "Target"))
        self.assertRegex(m.response("COPYUID")[1][0], rb"^\d+ 1:2 1:2$")
        self.ok(m.uid("MOVE", "3,5", "Target"))
        self.assertRegex(m.response("COPYUID")[1][0], rb"^\d+ 3,5 3:4$")
        self.assertEqual(self.numbers(m.uid("SEARCH", "ALL")), [1, 2, 4, 6])
        self.ok(m.store("1:*", "+FLAGS.SILENT", r"(\Deleted)"))
        self.ok(m.uid("EXPUNGE", "2:4"))
        self.assertEqual(self.numbers(m.uid("SEARCH", "ALL")), [1, 6])
        m.untagged_responses.pop("EXPUNGE", None)
        self.assertIn(self.ok(m.expunge()), ([b"1", b"1"], [b"2", b"1"]))
        self.assertEqual(self.ok(m.noop()), [b"NOOP completed"])
        self.ok(m.select("Target", readonly=True))
        self.assertEqual(self.numbers(m.search(None, "ALL")), [1, 2, 3, 4])
        self.assertIn(b"\\Flagged", self.ok(m.fetch("1", "(FLAGS)"))[0])
        self.assertEqual(m.store("1", "+FLAGS", r"(\Seen)")[0], "NO")
        self.ok(m.close())
        self.assertEqual(m.append("Nowhere", None, None, letter("x"))[0], "NO")

    def test_condstore(self):
        m = self.fresh("Cond")
        for i in range(3):
            self.ok(m.append("Cond", None, None, letter(f"cond{i}")))
        self.ok(m.enable("CONDSTORE"))
        self.ok(m.select("Cond"))
        before = int(m.response("HIGHESTMODSEQ")[1][0])
        self.ok(m.store("2", "+FLAGS", r"(\Seen)"))
        data = self.ok(m.fetch("1:*", f"(FLAGS) (CHANGEDSINCE {before})"))
        self.assertEqual(len(data), 1)
        after = int(re.search(rb"MODSEQ \((\d+)\)", data[0]).group(1))
        self.assertGreater(after, before)
        self.ok(m.store("1:3", f"(UNCHANGEDSINCE {before}) +FLAGS.SILENT", r"(\Flagged)"))
        self.assertEqual(self.numbers(m.search(None, "FLAGGED")), [1, 3])  # 2 had changed

    def test_condstore_search(self):
        m = self.fresh("CondSearch")
        self.ok(m.append("CondSearch", None, None, letter("a")))
        self.ok(m.select("CondSearch"))
        self.assertRegex(self.ok(m.search(None, "MODSEQ", "1"))[0], rb"^1 \(MODSEQ \d+\)$")

    def test_folders(self):
        m = self.fresh("A&AOQ-/B")
        names = self.ok(m.list('""', '"A*"'))
        self.assertIn(b'"A&AOQ-/B"', b" ".join(names))
        self.ok(m.subscribe('"A&AOQ-/B"'))
        self.assertIn(b'"A&AOQ-/B"', b" ".join(self.ok(m.lsub())))
        m.delete("C")
        self.ok(m.rename('"A&AOQ-/B"', "C"))
        self.ok(m.unsubscribe('"A&AOQ-/B"'))
        self.assertIn(b"MESSAGES 0", self.ok(m.status("C", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT)"))[0])
        self.ok(m.delete("C"))
        self.assertEqual(m.select("C")[0], "NO")
        self.assertEqual(m.delete("INBOX")[0], "NO")
        self.assertIn(b'(("" "/"))', self.ok(m.namespace())[0])
        special = b" ".join(self.ok(m.list()))
        for use in (b"\\Sent", b"\\Junk", b"\\Trash", b"\\Drafts"):
            self.assertIn(use, special)

    def test_idle(self):
        m = self.fresh("Idle")
        self.ok(m.select("Idle"))
        m.send(b"I1 IDLE\r\n")
        self.assertTrue(m.readline().startswith(b"+ "))
        other = imap()
        self.ok(other.append("Idle", None, None, letter("idle")))
        self.assertEqual(m.readline(), b"* 1 EXISTS\r\n")
        self.ok(other.select("Idle"))
        m.sock.settimeout(TIMEOUT)
        self.ok(other.store("1", "+FLAGS", r"(\Seen)"))
        line = m.readline()
        while b"FETCH" not in line:
            self.assertIn(b"RECENT", line)
            line = m.readline()
        self.assertIn(b"\\Seen", line)
        self.ok(other.store("1", "+FLAGS", r"(\Deleted)"))
        self.ok(other.expunge())
        line = m.readline()
        while b"EXPUNGE" not in line:
            self.assertIn(b"FETCH", line)
            line = m.readline()
        self.assertEqual(line, b"* 1 EXPUNGE\r\n")
        m.send(b"DONE\r\n")
        self.assertTrue(m.readline().startswith(b"I1 OK"))
        other.logout()

    def test_arrival_while_selected(self):
        m = imap()
        count = int(self.ok(m.select())[0])
        s = smtplib.SMTP(HOST, PORT["smtp"], timeout=TIMEOUT)
        s.sendmail("x@other.test", [ALICE], letter("arrival"))
        s.quit()
        m.untagged_responses.pop("EXISTS", None)
        self.ok(m.noop())
        self.assertEqual(m.response("EXISTS")[1], [b"%d" % (count + 1)])
        m.logout()


class POP3(unittest.TestCase):
    messages = [letter("one"), letter("dots", ".\r\n..\r\n.x\r\nend\r\n"), letter("three", "Grüße\r\n" * 50)]

    def setUp(self):
        m = imap()
        m.select()
        m.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
        m.expunge()
        for message in self.messages:
            m.append("INBOX", None, None, message)
        m.logout()

    def pop(self, login=True):
        p = poplib.POP3_SSL(HOST, PORT["pop3s"], context=TLS, timeout=TIMEOUT)
        self.addCleanup(p.close)
        if login:
            p.user(USER)
            p.pass_(PASSWORD)
        return p

    def test_all(self):
        p = self.pop()
        self.assertEqual(p.stat(), (3, sum(map(len, self.messages))))
        self.assertEqual(p.list()[1], [b"%d %d" % (i + 1, len(m)) for i, m in enumerate(self.messages)])
        for i, m in enumerate(self.messages):
            self.assertEqual(b"\r\n".join(p.retr(i + 1)[1]) + b"\r\n", m)
        self.assertEqual(p.top(2, 2)[1][-3:], [b"", b".", b".."])
        self.assertEqual(p.top(2, 0)[1][-1], b"")
        uidl = p.uidl()[1]
        self.assertEqual(len({u.split()[1] for u in uidl}), 3)
        self.assertIn(uidl[0].split()[1], p.uidl(1))
        p.dele(1)
        with self.assertRaises(poplib.error_proto):
            p.retr(1)
        self.assertEqual(p.stat()[0], 2)
        p.rset()
        self.assertEqual(p.stat()[0], 3)
        p.dele(2)
        p.noop()
        p.quit()
        p = self.pop()
        self.assertEqual(p.uidl()[1], [b"1 " + uidl[0].split()[1], b"2 " + uidl[2].split()[1]])
        p.dele(1)
        p.close()  # without QUIT nothing goes (RFC 1939 s6)
        p = self.pop()
        self.assertEqual(p.stat()[0], 2)
        p.quit()

    def test_capa_and_stls(self):
        p = poplib.POP3(HOST, PORT["pop3"], timeout=TIMEOUT)
        before = p.capa()
        self.assertIn("STLS", before)
        self.assertNotIn("USER", before)
        with self.assertRaises(poplib.error_proto):
            p.user(USER)
            p.pass_(PASSWORD)
        p.stls(TLS)
        after = p.capa()
        for c in ("USER", "TOP", "UIDL", "PIPELINING", "RESP-CODES"):
            self.assertIn(c, after)
        self.assertNotIn("STLS", after)
        p.user(USER)
        p.pass_(PASSWORD)
        self.assertEqual(p.stat()[0], 3)
        p.quit()

    def test_wrong_password(self):
        p = self.pop(login=False)
        p.user(USER)
        with self.assertRaises(poplib.error_proto) as e:
            p.pass_("wrong")
        self.assertIn(b"[AUTH]", e.exception.args[0])
        p.user(USER)
        p.pass_(PASSWORD)
        p.quit()

    def test_errors(self):
        p = self.pop()
        for command in ("RETR 0", "RETR 4", "RETR x", "TOP 1", "DELE -1", "UIDL 9", "LIST 99999999999999999999", "FOO", "TOP 1 -1"):
            with self.assertRaises(poplib.error_proto, msg=command):
                p._shortcmd(command)
        self.assertEqual(p.stat()[0], 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
