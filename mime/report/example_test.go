package report_test

import (
	"fmt"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/mime/report"
)

func ExampleDSN() {
	notice := report.DSN{
		From: mime.Addr("", "mailer-daemon@mx.example.org"), To: mime.Addr("", "alice@example.org"), Date: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), MessageID: "2@mx.example.org",
		ReportingMTA: "mx.example.org",
		Recipients: []report.DSNRecipient{{
			Final: "bob@example.net", Action: report.ActionFailed, Status: "5.1.1",
			RemoteMTA: "mx.example.net", Diagnostic: "550 5.1.1 no such user",
		}},
	}
	msg, err := notice.Compose()
	if err != nil {
		panic(err)
	}
	fmt.Println(msg.Header().Text("Subject"))
	fmt.Printf("reverse path %q, to %v\n", msg.From(), msg.Recipients())
	// Output:
	// Undelivered mail returned to sender
	// reverse path "", to [alice@example.org]
}

func ExampleParse() {
	m := mime.ParseBytes([]byte("Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n" +
		"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n" +
		"Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"))
	switch r, err := report.Parse(m); r := r.(type) {
	case *report.DSN:
		fmt.Println(r.ReportingMTA, r.Recipients[0].Final, r.Recipients[0].Action, r.Recipients[0].Status)
	default:
		fmt.Println("no delivery status", err)
	}
	// Output: mx.example.org bob@example.net failed 5.1.1
}
