// Mxlookup shows where mail for a domain goes, and why: the decision of mxresolve as a tree, or as JSON.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes; 75 is EX_TEMPFAIL of sysexits.h, 130 what shells make of SIGINT.
const (
	exitOK          = 0
	exitPermanent   = 1
	exitUsage       = 2
	exitOutput      = 74 // EX_IOERR
	exitTemporary   = 75
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program without more ado
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseArgs(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "mxlookup: %v (mxlookup -h for help)\n", err)
		return exitUsage
	}
	defer c.resolver.Close()
	code := exitOK
	for i, decided := range c.start(ctx) {
		d := <-decided
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "mxlookup: interrupted")
			return exitInterrupted
		}
		var out bytes.Buffer
		if c.json {
			err = printJSON(&out, d)
		} else {
			if i > 0 {
				out.WriteByte('\n')
			}
			printTree(&out, d)
		}
		if err == nil {
			_, err = stdout.Write(out.Bytes())
		}
		if err != nil {
			fmt.Fprintln(stderr, "mxlookup:", err)
			return exitOutput
		}
		switch {
		case d.err == nil:
		case !d.err.Temporary:
			code = exitPermanent
		case code == exitOK:
			code = exitTemporary
		}
	}
	return code
}
