// Mailserver is a whole mail server in one process: SMTP, submission, LMTP, IMAP and POP3 over one store, with a durable queue for what goes
// elsewhere.
//
//	go run ./examples/mailserver -domain example.test -user alice:wonderland -user bob:builder
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run gives the exit code: 0 after a clean end, 1 when something broke while serving, 2 when it could not start.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	if err == errHelp {
		return 0
	}
	if err == nil {
		var s *server
		if s, err = start(ctx, c, stderr); err == nil {
			for _, l := range s.listeners {
				fmt.Fprintf(stdout, "listening %s %s\n", l.name, l.Addr())
			}
			fmt.Fprintln(stdout, "ready")
			if err := s.serve(ctx); err != nil {
				fmt.Fprintln(stderr, "mailserver:", err)
				return 1
			}
			return 0
		}
	}
	fmt.Fprintln(stderr, "mailserver:", err)
	return 2
}
