package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"

	"github.com/gomailroom/mailroom/mime"
)

// ordinary gives a letter as people write them.
func ordinaryLetter() (mime.Letter, error) {
	picture, err := makePicture()
	if err != nil {
		return mime.Letter{}, err
	}
	report := make([]byte, 20_000)
	for i := range report {
		report[i] = byte(i * i >> 3)
	}
	return mime.Letter{
		From:        mime.Addr("Alice Müller", "alice@sender.test"),
		To:          []mime.Address{mime.Addr("Bob Café", "bob@recipient.test")},
		Subject:     "Grüße vom See – 湖からの挨拶",
		Text:        "Hallo Bob,\n\ndas Bild ist von gestern. Der Bericht liegt bei.\n\nAlice\n",
		HTML:        `<p>Hallo Bob,</p><p>das Bild ist von gestern:</p><img src="cid:lake"><p>Der Bericht liegt bei.</p><p>Alice</p>`,
		Inline:      []mime.File{{Name: "see.png", ContentType: "image/png", ContentID: "lake", Content: bytesContent(picture)}},
		Attachments: []mime.File{{Name: "Bericht für Zürich.pdf", ContentType: "application/pdf", Content: bytesContent(report)}},
	}, nil
}

func makePicture() ([]byte, error) {
	m := image.NewRGBA(image.Rect(0, 0, 48, 32))
	for y := range 32 {
		for x := range 48 {
			m.Set(x, y, color.RGBA{uint8(x * 4), uint8(100 + y*3), 200, 255})
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return b.Bytes(), err
}

// plainLetter gives a short one.
func plainLetter(to, subject string) mime.Letter {
	return mime.Letter{From: mime.Addr("Alice Müller", "alice@sender.test"), To: []mime.Address{mime.Addr("", to)}, Subject: subject, Text: "Hello,\n\nare you there?\n\nAlice\n"}
}

// spamText lacks its date.
const spamText = `From: "Your Bank" <service@bank.test>
To: <bob@recipient.test>
Subject: Urgent: your account will be closed
Date: %s
Message-ID: <1@bank.test>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<html><body><p>Dear customer, verify your account NOW or lose it:</p>
<p><a href="http://203.0.113.9/login?u=bob">https://www.bank.test/login</a></p>
<p style="font-size:0">lottery winner pills casino</p></body></html>
`

type bytesContent []byte

func (b bytesContent) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
func (b bytesContent) Size() int64                  { return int64(len(b)) }

// read gives all of a content.
func read(c mime.Content) ([]byte, error) {
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

const maxMessage = 32 << 20 // octets as they travel

// readMessage reads a message from a file, with the line ends that mail has.
func readMessage(ctx context.Context, name string) ([]byte, error) {
	b, err := readFile(ctx, name)
	if err != nil {
		return nil, err
	}
	b = withCRLF(b)
	if len(b) > maxMessage {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, maxMessage>>20)
	}
	if bytes.HasPrefix(b, []byte("From ")) { // the line that separates messages in an mbox file; it is no part of any
		_, b, _ = bytes.Cut(b, []byte("\r\n"))
	}
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	case bytes.IndexByte(b, 0) >= 0:
		return nil, fmt.Errorf("%s has NUL octets: it is no message that SMTP can carry", name)
	}
	return b, nil
}

// readFile reads a file, or a little more than maxMessage of it. A pipe may never end; the context does.
func readFile(ctx context.Context, name string) ([]byte, error) {
	var b []byte
	done := make(chan error, 1)
	go func() {
		f, err := os.Open(name)
		if err == nil {
			b, err = io.ReadAll(io.LimitReader(f, maxMessage+1))
			f.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		return b, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// withCRLF gives every line end its two octets.
func withCRLF(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	if !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b, '\n')
	}
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}
