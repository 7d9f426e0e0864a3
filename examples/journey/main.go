// Journey carries letters through a whole mail system in one process, over real sockets with the real protocols, and
// prints each step as it happens. It needs nothing: no network beyond loopback, no privileges, no other programs.
//
//	go run ./examples/journey
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Carries letters through a whole mail system in this process, over real sockets on loopback, and prints each step as it happens with its time:
what was said, what was decided and why.

  journey [-eml FILE] [-v | -json]

There are two mail servers, sender.test and recipient.test, and a name server that knows them. Five letters travel: an ordinary one, spam, one
to a user who does not exist, one to a mailbox that is full, one to a domain that takes no mail. The addresses of the example domains (192.0.2.x) stand
for sockets on 127.0.0.1. Exit codes: 0 all was as it must be, 1 something was not, 2 the command line was wrong.

Flags:
`

func main() {
	// SIGPIPE is what "journey | head" ends with: even then nothing is left behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("journey", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	eml := f.String("eml", "", "send the message in `FILE` instead of the ordinary letter, from alice@sender.test to bob@recipient.test")
	verbose := f.Bool("v", false, "print the complete dialogs")
	asJSON := f.Bool("json", false, "print the steps as JSON, when all is done")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage)
		f.SetOutput(stderr)
		f.PrintDefaults()
		return 0
	case err == nil && f.NArg() > 0:
		fmt.Fprintf(stderr, "journey: argument %q is not understood (-h explains the flags)\n", f.Arg(0))
		return 2
	case err != nil:
		fmt.Fprintf(stderr, "journey: %v (-h explains the flags)\n", err)
		return 2
	}
	var own []byte
	if *eml != "" {
		var err error
		if own, err = readMessage(ctx, *eml); err != nil {
			fmt.Fprintln(stderr, "journey: -eml:", err)
			return 2
		}
	}
	s := newStory(stdout, *verbose, *asJSON)
	w, err := newWorld(ctx, s, own != nil)
	if err != nil {
		fmt.Fprintln(stderr, "journey:", err)
		return 2
	}
	defer w.close()
	w.ordinary(ctx, own)
	w.spam(ctx)
	w.unknownUser(ctx)
	w.overQuota(ctx)
	w.nullMX(ctx)
	if err := s.end(); err != nil {
		fmt.Fprintln(stderr, "journey:", err)
		return 1
	}
	return 0
}
